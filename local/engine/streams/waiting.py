"""`WaitingRecords`: the records of a lane that are in no batch yet."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from local.engine.streams.records import StreamRecord


class WaitingRecords:
    """Queue of records that knows how many bytes of a payload they fill.

    Bytes are counted as bounds, which cost nothing, until a bound is not enough to tell whether a payload is full. From
    then on they are counted exactly.
    """

    def __init__(self) -> None:
        self._records: deque[StreamRecord] = deque()
        self._sizes: deque[int] = deque()
        self._bytes = 0
        self._exact = False

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[StreamRecord]:
        return iter(self._records)

    @property
    def first(self) -> StreamRecord:
        """The oldest record."""
        return self._records[0]

    @property
    def last(self) -> StreamRecord:
        """The youngest record."""
        return self._records[-1]

    def extend(self, records: Iterable[StreamRecord]) -> None:
        """Append records, in stream order."""
        for record in records:
            size = record.payload_bytes if self._exact else record.payload_bytes_at_most
            self._records.append(record)
            self._sizes.append(size)
            self._bytes += size

    def fill(self, limit: int) -> bool:
        """Return whether they fill so many bytes."""
        if self._bytes >= limit:
            self._measure()
        return self._bytes >= limit

    def take(self, most: int, limit: int, belongs: Callable[[StreamRecord], bool] | None) -> tuple[StreamRecord, ...]:
        """Take the first records.

        Args:
            most: How many at most.
            limit: How many bytes at most; a single record may have more.
            belongs: Whether a record may be taken with those before it; `None`: each may.
        """
        if belongs is None and sum(islice(self._sizes, most)) <= limit:
            return self._pop(min(most, len(self._records)))
        if sum(islice(self._sizes, most)) > limit:
            self._measure()
        count = size = 0
        for record, bytes_of_it in zip(islice(self._records, most), self._sizes, strict=False):
            size += bytes_of_it
            if (belongs is not None and not belongs(record)) or (count and size > limit):
                break
            count += 1
        return self._pop(count)

    def take_while(self, is_gone: Callable[[StreamRecord], bool]) -> tuple[StreamRecord, ...]:
        """Take the first records as long as a condition holds."""
        count = 0
        for record in self._records:
            if not is_gone(record):
                break
            count += 1
        return self._pop(count)

    def _pop(self, count: int) -> tuple[StreamRecord, ...]:
        self._bytes -= sum(self._sizes.popleft() for _ in range(count))
        return tuple(self._records.popleft() for _ in range(count))

    def _measure(self) -> None:
        """Count in exact bytes from now on."""
        if not self._exact:
            self._exact = True
            self._sizes = deque(record.payload_bytes for record in self._records)
            self._bytes = sum(self._sizes)
