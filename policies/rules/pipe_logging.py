"""`pipe-logging`: a pipe says why it failed."""

from __future__ import annotations

from collections.abc import Iterator

from policies.aws_types import PIPE
from policies.resources import Resource
from policies.rule import Config, Rule, Violation
from policies.stream_readers import require_stream
from policies.wording import named, setting


def check(pipe: Resource, _: Config) -> Iterator[Violation]:
    """Check that a pipe with a stream as its source writes logs."""
    require_stream(pipe)
    if pipe.props.block("logConfiguration").text("level") in (None, "OFF"):
        yield Violation(
            what="the pipe writes no logs",
            lost="when events are given up, the dead letter says where they were but not why; by the time the cause is "
            "found the stream may have forgotten them, 24 h after they were written",
        )


RULE = Rule(
    id="pipe-logging",
    level="advisory",
    severity="medium",
    title="A pipe that reads a stream must log its failures",
    why="A pipe has no code of its own that could log. Its dead letters hold positions in the stream, not causes; the "
    "reason is in its log only, from level ERROR on (docs/aws-semantics.md §3.6).",
    remediation=f"Set {named('logConfiguration')} with {setting('level', 'ERROR')} and a destination. Leave "
    f"{named('includeExecutionDatas')} off: it writes the records, with the personal data in them, into the log.",
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
              dynamodbStreamParameters: {startingPosition: TRIM_HORIZON}
            logConfiguration:
              level: ERROR
              cloudwatchLogsLogDestination:
                logGroupArn: arn:aws:logs:us-east-1:111122223333:log-group:webhooks
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
            logConfiguration: {level: "OFF"}
        """,
    ),
)
