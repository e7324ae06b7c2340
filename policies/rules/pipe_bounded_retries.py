"""`pipe-bounded-retries`: a bad event is given up while the stream still has it."""

from __future__ import annotations

from collections.abc import Iterator

from policies.aws_types import PIPE
from policies.graph import Stack
from policies.resources import Resource
from policies.retries import check_retries
from policies.rule import Config, StackRule, Violation
from policies.wording import named


def check(pipe: Resource, stack: Stack, _: Config) -> Iterator[Violation]:
    """Check the retries and the record age of a pipe with a stream as its source."""
    return check_retries(pipe, stack)


RULE = StackRule(
    id="pipe-bounded-retries",
    level="mandatory",
    severity="critical",
    title="A pipe must give a bad event up before the stream forgets it",
    why="By default a pipe retries an event of a stream until it expires. One that the target always refuses then "
    "stops its shard for a day, and nothing reaches the dead letter queue in time (docs/aws-semantics.md §3.1).",
    remediation=f"Set {named('maximumRecordAgeInSeconds')} (60 to less than the stream's retention, 86,400 for "
    f"DynamoDB), or {named('maximumRetryAttempts')} to a number that is spent in time, in the stream parameters.",
    resources=(PIPE,),
    check=check,
    limits="A Kinesis stream of another program may be kept for longer than 24 h: the rule then waits with an age of "
    "24 h or more, and with retries that take that long.",
    good=(
        """
        webhooks:
          type: aws:pipes:Pipe
          properties:
            roleArn: arn:aws:iam::111122223333:role/pipe
            source: arn:aws:dynamodb:us-east-1:111122223333:table/users/stream/2026-01-01T00:00:00.000
            target: arn:aws:sqs:us-east-1:111122223333:webhooks
            sourceParameters:
              dynamodbStreamParameters: {startingPosition: TRIM_HORIZON, maximumRecordAgeInSeconds: 64800}
        """,
    ),
    bad=(
        """
        webhooks:
          type: aws:pipes:Pipe
          properties:
            roleArn: arn:aws:iam::111122223333:role/pipe
            source: arn:aws:dynamodb:us-east-1:111122223333:table/users/stream/2026-01-01T00:00:00.000
            target: arn:aws:sqs:us-east-1:111122223333:webhooks
            sourceParameters:
              dynamodbStreamParameters: {startingPosition: TRIM_HORIZON}
        """,
    ),
)
