"""Opens the stores of the dead letters of a consumer or a pipe, by the ARN of each failure destination."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from aws_semantics.limits import STREAM_RETENTION_SECONDS
from ops.operator.dead_letters.bucket import BucketLetters
from ops.operator.dead_letters.letters import DeadLetter, Receipt
from ops.operator.dead_letters.queue import QueueLetters
from ops.operator.kinesis_records import retention_of
from ops.operator.pipes import Reader
from ops.operator.stack import Stack

#: Why messages are in a consumer's two dead-letter queues: SQS received them too often, or the topic could not deliver.
_CONDITIONS = ("MaxReceiveCount", "Undelivered")


class Store(Protocol):
    """A place with dead letters."""

    unreadable: list[str]

    def waiting(self) -> tuple[int, float | None, float | None]:
        """Count the dead letters that wait; returns the oldest one's time and deadline where they are known."""
        ...

    def letters(self, *, settled: bool = False) -> Iterator[DeadLetter]:
        """Yield the dead letters, oldest first."""
        ...

    def settle(self, letter: DeadLetter, receipt: Receipt) -> None:
        """Store the receipt of a dead letter."""
        ...

    def close(self) -> None:
        """Give back what reading has taken from others."""
        ...


def stores_of(stack: Stack, reader: Reader) -> list[Store]:
    """Open the stores of a consumer or a pipe. A topic has none: its subscribers have the documents."""
    opened: list[Store] = []
    for arn in reader.destinations:
        service, name = arn.split(":")[2], arn.rpartition(":")[2]
        if service == "s3":
            opened.append(BucketLetters(stack.client("s3"), name))
        elif service == "sqs":
            sqs = stack.client("sqs")
            url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
            condition = _CONDITIONS[min(reader.queues.index(arn), 1)] if arn in reader.queues else ""
            retention = stream_retention(stack, reader.source)
            opened.append(QueueLetters(sqs, url, stream_retention=retention, source=reader.source, condition=condition))
    return opened


def stream_retention(stack: Stack, source: str) -> int:
    """Return for how many seconds documents that point at a source's records are of use."""
    if source.split(":")[2] == "kinesis":
        return retention_of(stack.client("kinesis"), source)
    return STREAM_RETENTION_SECONDS
