"""`on-failure-destination-standard`: failures go where AWS can deliver them."""

from __future__ import annotations

from collections.abc import Iterator

from policies.aws_types import MAPPING, PIPE, QUEUE, TOPIC
from policies.graph import Stack, name_of
from policies.names import Arn
from policies.resources import Resource
from policies.rule import Config, StackRule, Violation
from policies.stream_readers import failure_destination, require_stream


def check(reader: Resource, stack: Stack, _: Config) -> Iterator[Violation]:
    """Check that the failure destination of a mapping or of a stream's pipe is not FIFO."""
    if reader.type == PIPE:
        require_stream(reader)
    destination = failure_destination(stack, reader)
    if destination is not None and _is_fifo(destination):
        yield Violation(
            what="the failure destination is FIFO",
            lost="Lambda and Pipes deliver failures to standard queues and topics only: AWS refuses the reader, and "
            "until it exists nobody reads the stream, which forgets a change 24 h after it was made",
        )


def _is_fifo(destination: Resource | str) -> bool:
    if isinstance(destination, str):
        arn = Arn.parse(destination)
        return arn is not None and arn.service in ("sqs", "sns") and arn.resource.endswith(".fifo")
    if destination.type not in (QUEUE, TOPIC):
        return False
    if (name_of(destination) or "").endswith(".fifo"):
        return True
    return destination.props.flag("fifoQueue" if destination.type == QUEUE else "fifoTopic") is True


RULE = StackRule(
    id="on-failure-destination-standard",
    level="mandatory",
    severity="high",
    title="A failure destination must be a standard queue or topic",
    why="Lambda and EventBridge Pipes write what they give up to standard queues and topics only "
    "(docs/aws-semantics.md §2.1, §3.1). Dead letters need no order: each names the records it stands for.",
    remediation="Choose a standard queue or topic; mappings also take a bucket.",
    resources=(MAPPING, PIPE),
    check=check,
    good=(
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
    bad=(
        """
        failures:
          type: aws:sqs:Queue
          properties: {fifoQueue: true}
        orders:
          type: aws:lambda:EventSourceMapping
          properties:
            functionName: orders
            eventSourceArn: arn:aws:dynamodb:us-east-1:111122223333:table/users/stream/2026-01-01T00:00:00.000
            startingPosition: TRIM_HORIZON
            destinationConfig: {onFailure: {destinationArn: "${failures.arn}"}}
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
                deadLetterConfig: {arn: "arn:aws:sns:us-east-1:111122223333:failures.fifo"}
        """,
    ),
)
