"""`starting-position`: no gap while a reader is created."""

from __future__ import annotations

from collections.abc import Iterator

from policies.aws_types import MAPPING, PIPE
from policies.resources import Resource
from policies.rule import Config, Rule, Violation
from policies.stream_readers import require_stream, settings
from policies.wording import setting


def check(reader: Resource, _: Config) -> Iterator[Violation]:
    """Check that a stream mapping or pipe does not start at LATEST."""
    require_stream(reader)
    if settings(reader).text("startingPosition") == "LATEST":
        yield Violation(
            what="reading starts at LATEST",
            lost="changes written while the reader is created or replaced are never delivered; that takes minutes, at "
            "the first deployment and at each replacement",
        )


RULE = Rule(
    id="starting-position",
    level="advisory",
    severity="medium",
    title="A stream must be read from its oldest record",
    why="Polling starts some time after a mapping or pipe is created, and LATEST means from that moment on: a record "
    "written 70 s after a mapping reported Enabled was seen to be skipped (docs/aws-semantics.md §2.1). TRIM_HORIZON "
    "delivers up to 24 h again at the first deployment, which consumers that repeat safely do not notice.",
    remediation=f"Set {setting('startingPosition', 'TRIM_HORIZON')}. AWS replaces the reader, and the new one delivers "
    "up to 24 h of changes again (as much as a Kinesis stream keeps): let the consumer repeat safely first, e.g. by an "
    "effect ledger.",
    resources=(MAPPING, PIPE),
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
        """
        clicks:
          type: aws:lambda:EventSourceMapping
          properties:
            functionName: clicks
            eventSourceArn: arn:aws:kafka:us-east-1:111122223333:cluster/clicks/00000000-0000-0000-0000-000000000000-1
            topics: [clicks]
            startingPosition: LATEST
        """,
    ),
    bad=(
        """
        orders:
          type: aws:lambda:EventSourceMapping
          properties:
            functionName: orders
            eventSourceArn: arn:aws:dynamodb:us-east-1:111122223333:table/users/stream/2026-01-01T00:00:00.000
            startingPosition: LATEST
        """,
        """
        webhooks:
          type: aws:pipes:Pipe
          properties:
            roleArn: arn:aws:iam::111122223333:role/pipe
            source: arn:aws:dynamodb:us-east-1:111122223333:table/users/stream/2026-01-01T00:00:00.000
            target: arn:aws:sqs:us-east-1:111122223333:webhooks
            sourceParameters:
              dynamodbStreamParameters: {startingPosition: LATEST}
        """,
    ),
)
