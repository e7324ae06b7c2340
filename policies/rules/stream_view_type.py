"""`stream-view-type`: both images in every record."""

from __future__ import annotations

from collections.abc import Iterator

from aws_semantics.limits import STREAM_VIEW_TYPES
from policies.aws_types import TABLE
from policies.not_applicable import NotApplicable
from policies.resources import Resource
from policies.rule import Config, Parameter, Rule, Violation


def check(table: Resource, config: Config) -> Iterator[Violation]:
    """The view type of a table's stream."""
    if table.props.flag("streamEnabled") is not True:
        raise NotApplicable(f"{table.name} has no stream")
    view_type = table.props.text("streamViewType")
    if view_type in config["allowed"]:
        return
    shown = view_type if view_type in STREAM_VIEW_TYPES else "not one that DynamoDB has"
    yield Violation(
        what=f"the stream's view type is {shown}",
        lost="from the first record on, a consumer cannot tell which attributes a write changed: it repeats effects "
        "for writes that changed something else, or misses the change; AWS cannot edit the type, and a new stream has "
        "no history",
        fix=f"set stream_view_type to {' or '.join(config['allowed'])}",
    )


RULE = Rule(
    id="stream-view-type",
    level="mandatory",
    severity="high",
    title="A table's stream carries both images",
    why="With one image, or none, a consumer cannot compare before and after, so it cannot tell a change of the "
    "attribute it cares about from any other write. The view type of a stream cannot be edited: a later change means "
    "a new stream with a new ARN and no history (docs/aws-semantics.md §1.3).",
    remediation='Set stream_view_type="NEW_AND_OLD_IMAGES".',
    resources=(TABLE,),
    parameters={
        "allowed": Parameter(
            default=["NEW_AND_OLD_IMAGES"],
            schema={"type": "array", "items": {"type": "string", "enum": list(STREAM_VIEW_TYPES)}, "minItems": 1},
            description="View types that are accepted.",
        )
    },
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
            streamViewType: KEYS_ONLY
        """,
    ),
)
