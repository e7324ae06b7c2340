"""`retries-outlast-an-outage`: a short outage gives nothing up."""

from __future__ import annotations

from collections.abc import Iterator

from policies.aws_types import MAPPING, PIPE
from policies.resources import Resource
from policies.retries import outlasts_an_outage
from policies.rule import Config, Parameter, Rule, Violation
from policies.stream_readers import require_stream
from policies.wording import named


def check(reader: Resource, config: Config) -> Iterator[Violation]:
    """Check that the retries of a stream mapping or pipe take longer than a short outage."""
    require_stream(reader)
    return outlasts_an_outage(reader, float(config["minimum_seconds"]))


RULE = Rule(
    id="retries-outlast-an-outage",
    level="advisory",
    severity="medium",
    title="The retries of a stream's reader should outlast a short outage",
    why="The waits between retries begin at a quarter of a second and double: two or three retries are spent in two "
    "seconds, five in eight. When a database, an API or the network is away for longer, every change written meanwhile "
    "is given up, although nothing is wrong with it. Throttles and denials of the function itself spend no retry "
    "(docs/aws-semantics.md §2.5).",
    remediation=f"Set {named('maximumRetryAttempts')} to 12, which takes 5 to 17 minutes, or bound the attempts by "
    f"{named('maximumRecordAgeInSeconds')} alone.",
    resources=(MAPPING, PIPE),
    parameters={
        "minimum_seconds": Parameter(
            default=60,
            schema={"type": "number", "minimum": 0, "maximum": 604800},
            description="Seconds that the retries of a record must take in all.",
        )
    },
    check=check,
    limits="A record age of 24 h or more beside few retries is taken for a decision, and left alone. The time that the "
    "function itself runs is not counted.",
    good=(
        """
        orders:
          type: aws:lambda:EventSourceMapping
          properties:
            functionName: orders
            eventSourceArn: arn:aws:dynamodb:us-east-1:111122223333:table/users/stream/2026-01-01T00:00:00.000
            startingPosition: TRIM_HORIZON
            maximumRetryAttempts: 12
        """,
        """
        orders:
          type: aws:lambda:EventSourceMapping
          properties:
            functionName: orders
            eventSourceArn: arn:aws:dynamodb:us-east-1:111122223333:table/users/stream/2026-01-01T00:00:00.000
            startingPosition: TRIM_HORIZON
            maximumRetryAttempts: -1
            maximumRecordAgeInSeconds: 3600
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
            maximumRetryAttempts: 3
        """,
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
                maximumRetryAttempts: 2
                maximumRecordAgeInSeconds: 3600
        """,
    ),
)
