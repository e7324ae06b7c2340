"""`stream-table-protection`: the table itself can be restored, and not deleted by mistake."""

from __future__ import annotations

from collections.abc import Iterator

from policies.aws_types import TABLE
from policies.not_applicable import NotApplicable
from policies.resources import Resource
from policies.rule import Config, Rule, Violation, each
from policies.wording import named, setting


def check(table: Resource, _: Config) -> Iterator[Violation]:
    """Check that a table with a stream has backups and deletion protection."""
    props = table.props
    if props.flag("streamEnabled") is not True:
        raise NotApplicable(f"{table.name} has no stream")

    def backups() -> Iterator[Violation]:
        if props.block("pointInTimeRecovery").flag("enabled") is not True:
            yield Violation(
                what="the table has a stream and no point-in-time recovery",
                lost="items that a faulty write or consumer destroys are gone at once; the stream shows the last 24 "
                "h only, and cannot rebuild the table",
                fix=f"set {setting('pointInTimeRecovery', {'enabled': True})}",
            )

    def deletion() -> Iterator[Violation]:
        if props.flag("deletionProtectionEnabled") is not True:
            yield Violation(
                what="the table has a stream and no deletion protection",
                lost="one replacement or `pulumi destroy` deletes the items at once, and the stream with them within "
                "24 h: what consumers had not read is lost",
                fix=f"set {setting('deletionProtectionEnabled', True)}",
            )

    yield from each(backups, deletion)


RULE = Rule(
    id="stream-table-protection",
    level="advisory",
    severity="medium",
    title="A table with a stream must be restorable and protected from deletion",
    why="Side effects follow the table: items lost there cannot be repaired downstream, because the stream remembers "
    "24 h (docs/aws-semantics.md §1.1).",
    remediation=f"Set {named('pointInTimeRecovery')} and {named('deletionProtectionEnabled')}.",
    resources=(TABLE,),
    check=check,
    good=(
        """
        users:
          type: aws:dynamodb:Table
          properties:
            attributes: [{name: userId, type: S}]
            hashKey: userId
            billingMode: PAY_PER_REQUEST
            streamEnabled: true
            streamViewType: NEW_AND_OLD_IMAGES
            pointInTimeRecovery: {enabled: true}
            deletionProtectionEnabled: true
        """,
    ),
    bad=(
        """
        users:
          type: aws:dynamodb:Table
          properties:
            attributes: [{name: userId, type: S}]
            hashKey: userId
            billingMode: PAY_PER_REQUEST
            streamEnabled: true
            streamViewType: NEW_AND_OLD_IMAGES
            deletionProtectionEnabled: true
        """,
    ),
)
