"""`mapping-bounded-retries`: a bad record is given up while the stream still has it."""

from __future__ import annotations

from collections.abc import Iterator

from policies.aws_types import MAPPING
from policies.graph import Stack
from policies.resources import Resource
from policies.retries import check_retries
from policies.rule import Config, StackRule, Violation


def check(mapping: Resource, stack: Stack, _: Config) -> Iterator[Violation]:
    """Retries and record age of a stream mapping."""
    return check_retries(mapping, stack)


RULE = StackRule(
    id="mapping-bounded-retries",
    level="mandatory",
    severity="critical",
    title="A stream mapping gives a bad record up before the stream forgets it",
    why="By default a stream mapping retries until the record expires. One record that can never succeed then stops "
    "its shard for a day, and goes without a word: what expires is not sent to the failure destination. A number of "
    "retries or a record age below the stream's retention ends it in time (docs/aws-semantics.md §2.5).",
    remediation="Set maximum_retry_attempts (0 to 10,000), or maximum_record_age_in_seconds (60 to less than the "
    "stream's retention, 86,400 for DynamoDB).",
    resources=(MAPPING,),
    check=check,
    limits="A Kinesis stream of another program may be kept for longer than 24 h: the rule then says nothing about an "
    "age of 24 h or more.",
    good=(
        """
        orders:
          type: aws:lambda:EventSourceMapping
          properties:
            functionName: orders
            eventSourceArn: arn:aws:dynamodb:us-east-1:111122223333:table/users/stream/2026-01-01T00:00:00.000
            startingPosition: TRIM_HORIZON
            maximumRetryAttempts: 12
            maximumRecordAgeInSeconds: 64800
        """,
        """
        changes:
          type: aws:kinesis:Stream
          properties: {shardCount: 1, retentionPeriod: 168}
        orders:
          type: aws:lambda:EventSourceMapping
          properties:
            functionName: orders
            eventSourceArn: ${changes.arn}
            startingPosition: TRIM_HORIZON
            maximumRecordAgeInSeconds: 259200
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
            destinationConfig: {onFailure: {destinationArn: "arn:aws:s3:::failures"}}
        """,
        """
        orders:
          type: aws:lambda:EventSourceMapping
          properties:
            functionName: orders
            eventSourceArn: arn:aws:dynamodb:us-east-1:111122223333:table/users/stream/2026-01-01T00:00:00.000
            startingPosition: TRIM_HORIZON
            maximumRetryAttempts: 12
            maximumRecordAgeInSeconds: 86400
        """,
    ),
)
