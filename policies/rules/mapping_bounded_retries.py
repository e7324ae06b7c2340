"""`mapping-bounded-retries`: a bad record is given up while the stream still has it."""

from __future__ import annotations

from collections.abc import Iterator

from policies.aws_types import MAPPING
from policies.graph import Stack
from policies.resources import Resource
from policies.retries import check_retries
from policies.rule import Config, StackRule, Violation
from policies.wording import named


def check(mapping: Resource, stack: Stack, _: Config) -> Iterator[Violation]:
    """Check the retries and the record age of a stream mapping."""
    return check_retries(mapping, stack)


RULE = StackRule(
    id="mapping-bounded-retries",
    level="mandatory",
    severity="critical",
    title="A stream mapping must give a bad record up before the stream forgets it",
    why="By default a stream mapping retries until the record expires. One record that can never succeed then stops "
    "its shard for a day, and vanishes unnoticed: a record that expires is not sent to the failure destination. A "
    "record age below the stream's retention ends it in time, and so does a number of retries that is spent before: "
    "with waits of up to a minute that is about 1,440 for a day. Throttles and denials spend no retry, so only a "
    "record age bounds those (docs/aws-semantics.md §2.5).",
    remediation=f"Set {named('maximumRecordAgeInSeconds')} (60 to less than the stream's retention, 86,400 for "
    f"DynamoDB), or {named('maximumRetryAttempts')} to a number that is spent in time.",
    resources=(MAPPING,),
    check=check,
    limits="A Kinesis stream of another program may be kept for longer than 24 h: the rule then waits with an age "
    "of 24 h or more, and with retries that take that long. AWS does not document its back-off; the time that "
    "retries take is computed from the shortest waits that fit the observed ones, without the time that the "
    "function runs.",
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
            maximumRecordAgeInSeconds: 86400
        """,
        """
        orders:
          type: aws:lambda:EventSourceMapping
          properties:
            functionName: orders
            eventSourceArn: arn:aws:dynamodb:us-east-1:111122223333:table/users/stream/2026-01-01T00:00:00.000
            startingPosition: TRIM_HORIZON
            maximumRetryAttempts: 5000
        """,
    ),
)
