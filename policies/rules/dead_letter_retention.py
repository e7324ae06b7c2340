"""`dead-letter-retention`: a dead letter is still there when somebody looks."""

from __future__ import annotations

from collections.abc import Iterator

from policies.aws_types import QUEUE
from policies.graph import Stack
from policies.not_applicable import NotApplicable
from policies.resources import Resource, whole
from policies.rule import Config, Parameter, StackRule, Violation
from policies.stream_readers import failure_uses

_DAY = 24 * 60 * 60
#: What SQS keeps a message for when nothing is set.
_DEFAULT_SECONDS = 4 * _DAY


def check(queue: Resource, stack: Stack, config: Config) -> Iterator[Violation]:
    """How long a failure queue keeps its messages."""
    if queue.urn not in failure_uses(stack):
        raise NotApplicable(f"{queue.name} is no failure destination of a stream's reader")
    seconds = queue.props.number("messageRetentionSeconds") or _DEFAULT_SECONDS
    days = float(config["minimum_days"])
    if seconds < days * _DAY:
        yield Violation(
            what=f"the failure queue keeps its messages {whole(seconds / _DAY)} days, less than {whole(days)}",
            lost=f"a dead letter that nobody handled is gone {whole(seconds / _DAY)} days after it was sent, and with "
            "it the only record of which changes were given up",
            fix=f"set message_retention_seconds={whole(days * _DAY)}",
        )


RULE = StackRule(
    id="dead-letter-retention",
    level="advisory",
    severity="low",
    title="A failure queue keeps its messages for two weeks",
    why="SQS keeps a message four days unless told otherwise: less than a long weekend. Fourteen days is its maximum, "
    "and it costs nothing (docs/aws-semantics.md §5).",
    remediation="Set message_retention_seconds=1209600.",
    resources=(QUEUE,),
    parameters={
        "minimum_days": Parameter(
            default=14,
            schema={"type": "number", "minimum": 1, "maximum": 14},
            description="Days that a failure queue must keep its messages.",
        )
    },
    check=check,
    good=(
        """
        failures:
          type: aws:sqs:Queue
          properties: {messageRetentionSeconds: 1209600}
        orders:
          type: aws:lambda:EventSourceMapping
          properties:
            functionName: orders
            eventSourceArn: arn:aws:dynamodb:us-east-1:111122223333:table/users/stream/2026-01-01T00:00:00.000
            startingPosition: TRIM_HORIZON
            destinationConfig: {onFailure: {destinationArn: "${failures.arn}"}}
        """,
    ),
    bad=(
        """
        failures: {type: aws:sqs:Queue}
        orders:
          type: aws:lambda:EventSourceMapping
          properties:
            functionName: orders
            eventSourceArn: arn:aws:dynamodb:us-east-1:111122223333:table/users/stream/2026-01-01T00:00:00.000
            startingPosition: TRIM_HORIZON
            destinationConfig: {onFailure: {destinationArn: "${failures.arn}"}}
        """,
    ),
)
