"""The lane: records of one shard on their way to a function, as a state machine without I/O.

It is given records, the time and what invocations came to, and says what to do next. The rules are those of
docs/aws-semantics.md §2.3 and §2.5; what AWS does not document is fixed by docs/decisions/0015-the-lane.md.
"""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from aws_semantics.limits import BACK_OFF_CAP_SECONDS, BACK_OFF_FIRST_SECONDS, INVOCATION_PAYLOAD_BYTES
from local.engine.streams.outcomes import Failed, Outcome, Partial, Rejected, Succeeded, Throttled
from local.engine.streams.progress import Progress
from local.engine.streams.records import StreamRecord
from local.engine.streams.settings import MappingSettings

Records = tuple[StreamRecord, ...]
Condition = Literal["RetryAttemptsExhausted", "RecordAgeExceeded"]

#: What the event adds to its records: `{"Records":[` and `]}`.
_WRAPPER_BYTES = 14


@dataclass(frozen=True, slots=True)
class Window:
    """What a tumbling window adds to an invocation (docs/aws-semantics.md §2.9).

    Attributes:
        start: Seconds since 1970, a multiple of the window's length.
        end: Of the window, `start` plus its length.
        state: What the function returned last, `{}` at first.
        final: Whether this is the window's last invocation; it carries no records.
        early: Whether the window ends before its time, because the state grew too large.
    """

    start: int
    end: int
    state: Mapping[str, Any]
    final: bool = False
    early: bool = False


@dataclass(slots=True)
class OpenWindow:
    """The tumbling window that a lane is in, by its `start`."""

    start: int
    length: int
    state: Mapping[str, Any]
    state_too_large: bool = False
    #: Whether the function has run with records of it.
    begun: bool = False

    @property
    def end(self) -> int:
        """Seconds since 1970."""
        return self.start + self.length

    def holds(self, record: StreamRecord) -> bool:
        """Whether a record arrived in it."""
        return self.start <= record.arrived < self.end

    def seen_by(self, records: Records) -> Window:
        """The window as an invocation with these records sees it; the one without any is its last."""
        final = not records
        return Window(self.start, self.end, self.state, final, final and self.state_too_large)


@dataclass(frozen=True, slots=True)
class Invoke:
    """Call the function with these records, then tell by `finished` how that ended.

    Attributes:
        request_id: The same for every attempt at a batch, another for every batch.
        attempt: Counts from 1 for each batch, throttled attempts included.
        window: Where the mapping has a tumbling window.
        shard_id: Whose records they are.
        lane: Which of the shard's lanes calls.
    """

    records: Records
    request_id: str
    attempt: int
    window: Window | None = None
    shard_id: str = ""
    lane: int = 0


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Send these records to the on-failure destination; the lane has left them behind.

    Attributes:
        condition: Why, in AWS's word.
        request_id: Of the last invocation with these records.
        invoke_count: Invocations of this batch, those that Lambda refused included; 1 even when there was none.
        response: The last invocation's outcome, or `None` when the destination is told of none.
        window: Where the mapping has a tumbling window. There are no records when its final invocation was given up.
        shard_id: Whose records they are.
    """

    records: Records
    condition: Condition
    request_id: str
    invoke_count: int
    response: Failed | None
    window: Window | None = None
    shard_id: str = ""


@dataclass(frozen=True, slots=True)
class Lose:
    """The stream has forgotten these records: nobody is told."""

    records: Records
    shard_id: str = ""


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do before `until` (seconds since 1970), or before a record comes when that is `None`."""

    until: float | None


class Batch:
    """Records that are delivered together, with their own request id and retry budget."""

    __slots__ = ("attempts", "exhausted", "failures", "not_before", "records", "request_id", "response", "throttles")

    def __init__(self, records: Records, request_id: str) -> None:
        self.records = records
        self.request_id = request_id
        self.not_before = 0.0
        self.attempts = 0
        self.failures = 0
        self.throttles = 0
        self.exhausted = False
        #: How the last invocation failed; `None` while the function was not run.
        self.response: Failed | None = None


class Lane:
    """Delivers records of one shard in order, one invocation at a time.

    Args:
        settings: The mapping's.
        new_request_id: Makes the request id of a new batch.
        progress: What is done of the shard; shared by its lanes.
        shard_id: Which shard.
        index: Which of the shard's lanes.
        opened: When the shard began to be read, in seconds since 1970: no batch window starts before.
    """

    def __init__(
        self,
        settings: MappingSettings,
        *,
        new_request_id: Callable[[], str] = lambda: str(uuid.uuid4()),
        progress: Progress | None = None,
        shard_id: str = "",
        index: int = 0,
        opened: float = 0.0,
    ) -> None:
        self.shard_id = shard_id
        self.index = index
        self._settings = settings
        self._new_request_id = new_request_id
        self._progress = Progress() if progress is None else progress
        self._waiting: deque[StreamRecord] = deque()
        #: Bytes of what waits: exact once a bound was not enough to tell whether a payload is full.
        self._waiting_bytes = 0
        self._exact_bytes = False
        #: Batches that were formed, the next one last: a split puts both halves here.
        self._batches: list[Batch] = []
        self._running = False
        #: No batch window starts before this.
        self._opened = opened
        #: When the last batch was done with, which starts a batch window.
        self._idle_since: float | None = None
        self._window: OpenWindow | None = None

    @property
    def checkpoint(self) -> str | None:
        """Sequence number of the last record before which all of the shard's are done, or `None`."""
        return self._progress.checkpoint

    @property
    def running(self) -> bool:
        """Whether an invocation was asked for that has not finished."""
        return self._running

    @property
    def waiting(self) -> int:
        """Records that are in no batch yet."""
        return len(self._waiting)

    @property
    def unfinished(self) -> Records:
        """Records that are not done with, in order."""
        formed = [record for batch in reversed(self._batches) for record in batch.records]
        return (*formed, *self._waiting)

    def add(self, records: Iterable[StreamRecord]) -> None:
        """Records that the stream has shown, in stream order."""
        records = tuple(records)
        self._progress.seen(records)
        self.take(records)

    def take(self, records: Iterable[StreamRecord]) -> None:
        """Records of the shard that are for this lane, already known to the shard's progress."""
        for record in records:
            self._waiting.append(record)
            self._waiting_bytes += self._bytes(record)

    def next(self, now: float) -> Invoke | GiveUp | Lose | Wait:
        """What to do now.

        Raises:
            RuntimeError: An invocation is running.
        """
        if self._running:
            raise RuntimeError("one invocation at a time: tell the lane how the last one ended before asking again")
        lost = self._trim(now)
        if lost is not None:
            return lost
        if not self._batches:
            ready_at = self._ready_at()
            if ready_at is None or ready_at > now:
                return Wait(ready_at)
            self._batches.append(self._form())
        batch = self._batches[-1]
        if batch.exhausted:
            return self._give_up(batch, batch.records, "RetryAttemptsExhausted", now)
        if batch.not_before > now:
            return Wait(batch.not_before)
        cut = self._cut(batch, now)
        if cut is not None:
            return cut
        if _too_large(batch.records):
            # Lambda refuses the call, and the mapping takes that for a failure of the batch (§2.3).
            self._whole_failure(batch, None, now)
            return self.next(now)
        self._running = True
        batch.attempts += 1
        return Invoke(
            batch.records, batch.request_id, batch.attempts, self._seen_by(batch.records), self.shard_id, self.index
        )

    def finished(self, outcome: Outcome, now: float) -> None:
        """How the invocation ended that `next` asked for.

        Raises:
            RuntimeError: No invocation is running.
        """
        if not self._running:
            raise RuntimeError("no invocation is running")
        self._running = False
        batch = self._batches[-1]
        if isinstance(outcome, Throttled):
            # Not the function's failure: the retry budget is untouched while the records grow older.
            batch.throttles += 1
            batch.not_before = now + back_off(batch.throttles)
            return
        batch.throttles = 0
        match outcome:
            case Succeeded():
                self._leave(batch, len(batch.records), now)
            case Partial(accepted):
                self._leave(batch, accepted, now)
            case Rejected(positions):
                self._leave_all_but(batch, positions)
            case Failed():
                self._whole_failure(batch, outcome, now)

    # What a tumbling window does differently.

    def _ready_at(self) -> float | None:
        """When the next batch may be formed; `None` while there is no record."""
        if not self._waiting:
            return None
        first = self._waiting[0].visible
        if len(self._waiting) >= self._settings.batch_size or self._payload_is_full():
            return first
        window = self._settings.batching_window
        # A window starts when the previous invocation ends; a record that comes after it starts another.
        if self._idle_since is not None and first < self._idle_since + window:
            return self._idle_since + window
        return max(first, self._opened) + window

    def _form(self) -> Batch:
        records: list[StreamRecord] = []
        size = _WRAPPER_BYTES
        while self._waiting and len(records) < self._settings.batch_size:
            record = self._waiting[0]
            if self._window is not None and not self._window.holds(record):
                break
            size += self._bytes(record)
            if records and size > INVOCATION_PAYLOAD_BYTES:
                if self._exact_bytes:
                    break
                self._measure()
                size = _WRAPPER_BYTES + record.payload_bytes + sum(formed.payload_bytes for formed in records)
                if size > INVOCATION_PAYLOAD_BYTES:
                    break
            self._waiting_bytes -= self._bytes(record)
            records.append(self._waiting.popleft())
        return self._new_batch(tuple(records))

    def _cut(self, batch: Batch, now: float) -> GiveUp | Lose | None:
        """Cut off what has become too old of a batch."""
        count = _leading(batch.records, now, self._settings.maximum_record_age)
        if count:
            return self._give_up(batch, batch.records[:count], "RecordAgeExceeded", now)
        count = _leading(batch.records, now, self._settings.retention)
        if count:
            lost = batch.records[:count]
            self._cut_off(batch, lost, now)
            return Lose(lost, self.shard_id)
        return None

    def _leave(self, batch: Batch, done: int, now: float) -> None:
        """Move past the first `done` records of the batch; the rest becomes a new one with a fresh budget."""
        self._progress.done(batch.records[:done])
        self._batches.pop()
        if done < len(batch.records):
            self._batches.append(self._new_batch(batch.records[done:]))
        elif not self._batches:
            self._idle_since = now

    # What every lane does.

    def _leave_all_but(self, batch: Batch, positions: Sequence[int]) -> None:
        """Move past what was accepted of the batch, wherever it stands; the rest becomes a new one."""
        kept = set(positions)
        self._progress.done(record for index, record in enumerate(batch.records) if index not in kept)
        self._batches[-1] = self._new_batch(tuple(batch.records[index] for index in positions))

    def _trim(self, now: float) -> Lose | None:
        """Leave behind what the stream has forgotten before it was read."""
        retention = self._settings.retention
        if retention is None or self._batches or not self._waiting or now - self._waiting[0].arrived < retention:
            return None
        lost: list[StreamRecord] = []
        while self._waiting and now - self._waiting[0].arrived >= retention:
            record = self._waiting.popleft()
            self._waiting_bytes -= self._bytes(record)
            lost.append(record)
        self._progress.done(lost)
        return Lose(tuple(lost), self.shard_id)

    def _seen_by(self, records: Records) -> Window | None:
        return None if self._window is None else self._window.seen_by(records)

    def _bytes(self, record: StreamRecord) -> int:
        return record.payload_bytes if self._exact_bytes else record.payload_bytes_at_most

    def _payload_is_full(self) -> bool:
        if self._waiting_bytes + _WRAPPER_BYTES < INVOCATION_PAYLOAD_BYTES:
            return False
        self._measure()
        return self._waiting_bytes + _WRAPPER_BYTES >= INVOCATION_PAYLOAD_BYTES

    def _measure(self) -> None:
        """Count in exact bytes from now on: records are so large that a bound does not tell any more."""
        if not self._exact_bytes:
            self._exact_bytes = True
            self._waiting_bytes = sum(record.payload_bytes for record in self._waiting)

    def _new_batch(self, records: Records) -> Batch:
        return Batch(records, self._new_request_id())

    def _whole_failure(self, batch: Batch, response: Failed | None, now: float) -> None:
        if self._settings.bisect and len(batch.records) > 1:
            middle = len(batch.records) // 2
            self._batches[-1:] = [self._new_batch(batch.records[middle:]), self._new_batch(batch.records[:middle])]
            return
        batch.failures += 1
        batch.response = response
        limit = self._settings.maximum_retry_attempts
        if limit != -1 and batch.failures > limit:
            batch.exhausted = True
        else:
            batch.not_before = now + back_off(batch.failures)

    def _give_up(self, batch: Batch, records: Records, condition: Condition, now: float) -> GiveUp:
        action = GiveUp(
            records,
            condition,
            batch.request_id,
            max(batch.failures, 1),
            batch.response if condition == "RetryAttemptsExhausted" else None,
            self._seen_by(batch.records),
            self.shard_id,
        )
        self._cut_off(batch, records, now)
        return action

    def _cut_off(self, batch: Batch, records: Records, now: float) -> None:
        if len(records) == len(batch.records):
            self._leave(batch, len(records), now)
        else:
            # What is younger goes on as the same batch, with the attempts it has had.
            batch.records = batch.records[len(records) :]
            self._progress.done(records)


def back_off(failures: int) -> float:
    """Seconds to wait after so many failures of a batch in a row (docs/aws-semantics.md §2.5).

    >>> [back_off(failures) for failures in (1, 2, 3, 9, 10_000)]
    [0.25, 0.5, 1.0, 60.0, 60.0]
    """
    # The exponent is bounded: a float overflows at 2**1024, and endless retries get there.
    return min(BACK_OFF_FIRST_SECONDS * 2.0 ** min(failures - 1, 32), BACK_OFF_CAP_SECONDS)


def _leading(records: Sequence[StreamRecord], now: float, age: int | None) -> int:
    """How many of the first records have reached an age."""
    count = 0
    if age is not None and age != -1:
        while count < len(records) and now - records[count].arrived >= age:
            count += 1
    return count


def _too_large(records: Records) -> bool:
    if len(records) != 1:
        return False
    limit = INVOCATION_PAYLOAD_BYTES - _WRAPPER_BYTES
    return records[0].payload_bytes_at_most > limit and records[0].payload_bytes > limit
