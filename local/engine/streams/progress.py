"""`Progress`: the finished prefix of a shard."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from local.engine.streams.records import StreamRecord


class Progress:
    """Finished prefix of a shard, in whatever order its records finish.

    Attributes:
        checkpoint: Sequence number of the prefix's last record, or `None`. A reader that starts behind it misses
            nothing.
    """

    __slots__ = ("_done", "_open", "checkpoint")

    def __init__(self) -> None:
        self.checkpoint: str | None = None
        self._open: deque[StreamRecord] = deque()
        self._done: set[str] = set()

    @property
    def drained(self) -> bool:
        """Whether every record seen is done with."""
        return not self._open

    def seen(self, records: Iterable[StreamRecord]) -> None:
        """Note records that were read, in stream order."""
        self._open.extend(records)

    def done(self, records: Iterable[StreamRecord]) -> None:
        """Note records that are done with: delivered, given up, lost or filtered out."""
        for record in records:
            # Mostly they finish in their order.
            if self._open and self._open[0] is record:
                self.checkpoint = self._open.popleft().sequence
            else:
                self._done.add(record.sequence)
        while self._done and self._open and self._open[0].sequence in self._done:
            self.checkpoint = self._open.popleft().sequence
            self._done.discard(self.checkpoint)
