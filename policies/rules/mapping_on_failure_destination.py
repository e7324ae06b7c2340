"""`mapping-on-failure-destination`: records that are given up go somewhere."""

from __future__ import annotations

from collections.abc import Iterator

from policies.aws_types import MAPPING
from policies.resources import Resource
from policies.rule import Config, Rule, Violation
from policies.stream_readers import failure_path, require_stream
from policies.wording import setting


def check(mapping: Resource, _: Config) -> Iterator[Violation]:
    """Check that a stream mapping has an on-failure destination."""
    require_stream(mapping)
    block, key = mapping.props.at(failure_path(mapping))
    if block.text(key) is None:
        yield Violation(
            what="the stream mapping has no on-failure destination",
            lost="a record that is given up, when its retries are spent or its age is reached, vanishes without a "
            "trace (the function's dead_letter_config is for asynchronous invocations and never receives it)",
        )


RULE = Rule(
    id="mapping-on-failure-destination",
    level="mandatory",
    severity="critical",
    title="A stream mapping must have an on-failure destination",
    why="A stream mapping that gives up a record goes on with the next one. Only an on-failure destination keeps what "
    "was given up: a bucket keeps the records themselves, a queue or a topic their position in the stream. The "
    "function's dead letter queue serves asynchronous invocations only. Queues, Kafka and MQ have other ways, so the "
    "rule does not apply to them (docs/aws-semantics.md §2.7).",
    remediation=f"Set {setting('destinationConfig', {'onFailure': {'destinationArn': '…'}})} to a bucket, a standard "
    "queue or a standard topic.",
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
            destinationConfig: {onFailure: {destinationArn: "arn:aws:s3:::failures"}}
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
        """
        orders:
          type: aws:lambda:EventSourceMapping
          properties:
            functionName: orders
            eventSourceArn: arn:aws:dynamodb:us-east-1:111122223333:table/users/stream/2026-01-01T00:00:00.000
            startingPosition: TRIM_HORIZON
            destinationConfig: {onFailure: {destinationArn: ""}}
        """,
    ),
)
