"""Opens the stores of the dead letters of a consumer or a pipe, by the ARN of each failure destination."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple, Protocol

from aws_semantics.limits import STREAM_RETENTION_SECONDS
from ops.operator.dead_letters.bucket import BucketLetters
from ops.operator.dead_letters.letters import DeadLetter, Receipt
from ops.operator.dead_letters.queue import QueueLetters
from ops.operator.kinesis_records import retention_of
from ops.operator.pipes import Reader
from ops.operator.stack import Stack
from ops.running import forwarders_of

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


class Others(NamedTuple):
    """The stack's other readers, whose dead letters may lie in the same place and go back to them alone.

    Attributes:
        names: Names of their functions, and of pipes.
        mappings: UUIDs of their event source mappings.
    """

    names: frozenset[str] = frozenset()
    mappings: frozenset[str] = frozenset()

    @classmethod
    def of(cls, stack: Stack, reader: Reader) -> Others:
        """Return the others of a reader, by the stack's outputs."""
        outputs = stack.outputs
        functions: Mapping[str, str] = outputs.get("functionNames", {})
        pipes = {name: output["pipe"] for name, output in outputs.get("pipes", {}).items()}
        consumers = {name: output["eventSourceMapping"] for name, output in outputs.get("consumers", {}).items()}

        def but_its_own(*known: Mapping[str, str]) -> frozenset[str]:
            return frozenset(value for each in known for name, value in each.items() if name != reader.name)

        return cls(but_its_own(functions, pipes), but_its_own(forwarders_of(outputs), consumers))

    def wrote(self, name: str) -> bool:
        """Return whether a document names one of them: by a function's name or ARN, or a pipe's ARN."""
        parts = name.split(":")
        if len(parts) > 1:  # arn:…:function:NAME, with a version or an alias or without, and arn:…:pipe/NAME
            name = parts[6] if len(parts) > 6 else parts[-1].rpartition("/")[2]
        return name in self.names

    def folders(self) -> tuple[str, ...]:
        """Return the folders of a bucket that are theirs."""
        return (*(f"aws/lambda/{uuid}/" for uuid in self.mappings), *(f"discarded/{name}/" for name in self.names))


def stores_of(stack: Stack, reader: Reader) -> list[Store]:
    """Open the stores of a consumer or a pipe. A topic has none: its subscribers have the documents.

    Several readers may have one place. What another one of the stack has given up is not the reader's to send back.
    """
    opened: list[Store] = []
    others = Others.of(stack, reader)
    for arn in reader.destinations:
        service, name = arn.split(":")[2], arn.rpartition(":")[2]
        if service == "s3":
            opened.append(BucketLetters(stack.client("s3"), name, foreign=others.folders()))
        elif service == "sqs":
            sqs = stack.client("sqs")
            url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
            condition = _CONDITIONS[min(reader.queues.index(arn), 1)] if arn in reader.queues else ""
            retention = stream_retention(stack, reader.source)
            opened.append(
                QueueLetters(
                    sqs,
                    url,
                    stream_retention=retention,
                    source=reader.source,
                    condition=condition,
                    is_foreign=others.wrote,
                )
            )
    return opened


def stream_retention(stack: Stack, source: str) -> int:
    """Return for how many seconds documents that point at a source's records are of use."""
    if source.split(":")[2] == "kinesis":
        return retention_of(stack.client("kinesis"), source)
    return STREAM_RETENTION_SECONDS
