"""`mapping-event-count-metrics`: partial failures show somewhere."""

from __future__ import annotations

from collections.abc import Iterator

from policies.aws_types import MAPPING
from policies.resources import Resource
from policies.rule import Config, Rule, Violation
from policies.stream_readers import require_stream
from policies.wording import setting


def check(mapping: Resource, _: Config) -> Iterator[Violation]:
    """Check that a stream mapping records EventCount metrics."""
    require_stream(mapping)
    if "EventCount" not in mapping.props.block("metricsConfig").texts("metrics"):
        yield Violation(
            what="the mapping records no EventCount metrics",
            lost="a record that fails in a partial batch response is retried and given up without a sign: the "
            "function's Errors stays 0, and records that were dropped or sent to the destination are counted nowhere",
        )


RULE = Rule(
    id="mapping-event-count-metrics",
    level="advisory",
    severity="medium",
    title="A stream mapping must record EventCount metrics",
    why="With partial batch responses the invocation succeeds, so Errors stays 0. FailedInvokeEventCount, "
    "DroppedEventCount and OnFailureDestinationDeliveredEventCount count what happened to the records, and they are "
    "recorded only on request (docs/aws-semantics.md §2.10).",
    remediation=f"Set {setting('metricsConfig', {'metrics': ['EventCount']})}.",
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
            metricsConfig: {metrics: [EventCount]}
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
        """,
    ),
)
