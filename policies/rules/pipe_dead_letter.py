"""`pipe-dead-letter`: events that a pipe gives up go somewhere."""

from __future__ import annotations

from collections.abc import Iterator

from policies.aws_types import PIPE
from policies.resources import Resource
from policies.rule import Config, Rule, Violation
from policies.stream_readers import failure_path, require_stream
from policies.wording import setting


def check(pipe: Resource, _: Config) -> Iterator[Violation]:
    """Check that a pipe with a stream as its source has a dead letter queue."""
    require_stream(pipe)
    block, key = pipe.props.at(failure_path(pipe))
    if block.text(key) is None:
        yield Violation(
            what="the pipe reads a stream and has no dead letter queue",
            lost="an event that is given up, when its retries are spent or its age is reached, vanishes without a "
            "trace, and with endless retries it blocks its shard until the stream forgets it",
        )


RULE = Rule(
    id="pipe-dead-letter",
    level="mandatory",
    severity="critical",
    title="A pipe that reads a stream must have a dead letter queue",
    why="A pipe retries what its target or enrichment refuses, then goes on. Only a dead letter config keeps the "
    "events' position in the stream, so that they can be read again before the stream forgets them "
    "(docs/aws-semantics.md §3.5).",
    remediation=f"Set {setting('deadLetterConfig', {'arn': '…'})} in the stream parameters, to a standard queue or "
    "topic.",
    resources=(PIPE,),
    check=check,
    good=(
        """
        webhooks:
          type: aws:pipes:Pipe
          properties:
            roleArn: arn:aws:iam::111122223333:role/pipe
            source: arn:aws:dynamodb:us-east-1:111122223333:table/users/stream/2026-01-01T00:00:00.000
            target: arn:aws:sqs:us-east-1:111122223333:webhooks
            sourceParameters:
              dynamodbStreamParameters:
                startingPosition: TRIM_HORIZON
                deadLetterConfig: {arn: "arn:aws:sqs:us-east-1:111122223333:failures"}
        """,
        """
        jobs:
          type: aws:pipes:Pipe
          properties:
            roleArn: arn:aws:iam::111122223333:role/pipe
            source: arn:aws:sqs:us-east-1:111122223333:jobs
            target: arn:aws:lambda:us-east-1:111122223333:function:jobs
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
