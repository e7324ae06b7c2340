"""`mapping-enabled`: the stream is being read."""

from __future__ import annotations

from collections.abc import Iterator

from policies.aws_types import MAPPING
from policies.resources import Resource
from policies.rule import Config, Rule, Violation
from policies.stream_readers import require_stream


def check(mapping: Resource, _: Config) -> Iterator[Violation]:
    """Whether a stream mapping is enabled."""
    require_stream(mapping)
    if mapping.props.flag("enabled") is False:
        yield Violation(
            what="the stream mapping is disabled",
            lost="it keeps its position, and the stream goes on forgetting: a change is gone 24 h after it was made "
            "(later where a Kinesis stream is kept longer), and no metric or alarm says so",
        )


RULE = Rule(
    id="mapping-enabled",
    level="advisory",
    severity="medium",
    title="A stream mapping is enabled",
    why="A disabled mapping is a pause with a deadline: the stream's retention keeps running, and while the mapping is "
    "disabled it emits no metrics, so that no alarm on the iterator age can fire (docs/aws-semantics.md §2.2).",
    remediation="Set enabled=True, or remove the mapping.",
    resources=(MAPPING,),
    check=check,
    good=(
        """
        orders:
          type: aws:lambda:EventSourceMapping
          properties:
            functionName: orders
            eventSourceArn: arn:aws:dynamodb:us-east-1:111122223333:table/users/stream/2026-01-01T00:00:00.000
            startingPosition: TRIM_HORIZON
        """,
    ),
    bad=(
        """
        orders:
          type: aws:lambda:EventSourceMapping
          properties:
            functionName: orders
            eventSourceArn: arn:aws:dynamodb:us-east-1:111122223333:table/users/stream/2026-01-01T00:00:00.000
            startingPosition: TRIM_HORIZON
            enabled: false
        """,
    ),
)
