"""`stream-view-type`: both images in every record, where a consumer may need them."""

from __future__ import annotations

from collections.abc import Iterator

from aws_semantics.limits import STREAM_VIEW_TYPES
from policies.aws_types import TABLE
from policies.graph import Stack
from policies.image_needs import view_suffices
from policies.not_applicable import NotApplicable
from policies.resources import Resource
from policies.rule import Config, Parameter, StackRule, Violation
from policies.wording import named, setting


def check(table: Resource, stack: Stack, config: Config) -> Iterator[Violation]:
    """Check the view type of a table's stream."""
    if table.props.flag("streamEnabled") is not True:
        raise NotApplicable(f"{table.name} has no stream")
    view_type = table.props.text("streamViewType")
    if view_type in config["allowed"]:
        return
    if view_type in STREAM_VIEW_TYPES and view_suffices(stack, table, view_type):
        raise NotApplicable(f"the filters of the readers of {table.name} say that {view_type} suffices")
    shown = view_type if view_type in STREAM_VIEW_TYPES else "not one that DynamoDB has"
    yield Violation(
        what=f"the stream's view type is {shown}",
        lost="from the first record on, a consumer cannot tell which attributes a write changed: it repeats effects "
        "for writes that changed something else, or misses the change; AWS cannot edit the type of a live stream",
        fix=f"set {named('streamViewType')} to {' or '.join(config['allowed'])}. On a table that is live this replaces "
        "the stream: it gets a new ARN and no history, so let the readers finish the old one first",
    )


RULE = StackRule(
    id="stream-view-type",
    level="mandatory",
    severity="high",
    title="A table's stream must carry the images that its consumers need",
    why="With one image, or none, a consumer cannot compare before and after, so it cannot tell a change of the "
    "attribute it cares about from any other write. The view type of a stream cannot be edited: a later change means "
    "a new stream with a new ARN and no history. Where the filters of every reader say that one image suffices, the "
    "rule does not apply (docs/aws-semantics.md §1.3).",
    remediation=f"Set {setting('streamViewType', 'NEW_AND_OLD_IMAGES')}.",
    limits="Readers of other programs are not seen.",
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
