"""Wake-ups: event source mappings and pipes look at their source when a call may have changed it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Protocol

from local.endpoint.api.aws_call import AwsCall
from local.endpoint.api.writes import CHANGING_TABLES, PUTTING_RECORDS, changed_tables, written_stream
from local.endpoint.routes import Routes


class Reading(Protocol):
    """An event source mapping or a pipe."""

    @property
    def source_arn(self) -> str:
        """ARN of the stream or queue that it reads."""
        ...

    def wake(self) -> None:
        """Look at the source again."""
        ...


class ReadingService(Protocol):
    """A service whose resources read streams and queues."""

    def all(self) -> Iterable[Reading]:
        """Return every one that exists."""
        ...


class Readers:
    """Every event source mapping and pipe.

    Args:
        services: The services that have them.
    """

    def __init__(self, services: Sequence[ReadingService]) -> None:
        self._services = services

    @property
    def routes(self) -> Routes:
        """The writes after which readers wake up."""
        return Routes(
            tells={
                **{operation: [lambda call: self.tables(changed_tables(call))] for operation in CHANGING_TABLES},
                **{operation: [self._put_records] for operation in PUTTING_RECORDS},
            }
        )

    def tables(self, names: Collection[str]) -> None:
        """Wake the readers of tables' streams."""
        for reading, resource in self._of("dynamodb"):
            if resource.removeprefix("table/").partition("/")[0] in names:
                reading.wake()

    def kinesis(self, stream: str) -> None:
        """Wake the readers of a Kinesis stream."""
        for reading, resource in self._of("kinesis"):
            if resource.removeprefix("stream/") == stream:
                reading.wake()

    def queues(self) -> None:
        """Wake the readers of queues."""
        for reading, _ in self._of("sqs"):
            reading.wake()

    def all(self) -> None:
        """Wake every reader: time has passed, or roles have changed."""
        for service in self._services:
            for reading in service.all():
                reading.wake()

    def _put_records(self, call: AwsCall) -> None:
        self.kinesis(written_stream(call))

    def _of(self, name: str) -> Iterator[tuple[Reading, str]]:
        """Return the readers of one service's sources, each with the resource part of its source's ARN."""
        for service in self._services:
            for reading in service.all():
                parts = reading.source_arn.split(":", 5)
                if parts[2] == name:
                    yield reading, parts[5]
