"""The lane: one shard's records on their way to a function, as a state machine without I/O.

It is given records, the time and what invocations came to, and says what to do next. The rules are those of
docs/aws-semantics.md §2.3 and §2.5; where AWS documents nothing, the back-off is 0.25 s doubling to 60 s.
"""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from aws_limits import BACK_OFF_CAP_SECONDS, BACK_OFF_FIRST_SECONDS, INVOCATION_PAYLOAD_BYTES
from local.delivery.outcomes import Failed, Outcome, Partial, Succeeded, Throttled
from local.delivery.records import StreamRecord
from local.delivery.settings import MappingSettings

Records = tuple[StreamRecord, ...]


@dataclass(frozen=True)
class Invoke:
    """Call the function with these records, then tell the lane by `finished`.

    Attributes:
        request_id: The same for every attempt at a batch, another for every batch.
        attempt: Counts from 1 for each batch; throttled attempts do not count.
    """

    records: Records
    request_id: str
    attempt: int


@dataclass(frozen=True)
class GiveUp:
    """Send these records to the on-failure destination; the lane has left them behind.

    Attributes:
        condition: Why, in AWS's word.
        request_id: Of the last invocation with these records.
        invoke_count: Invocations of this batch; 1 even when there was none.
        response: The last invocation's outcome, or `None` when the destination is told of none.
    """

    records: Records
    condition: Literal["RetryAttemptsExhausted", "RecordAgeExceeded"]
    request_id: str
    invoke_count: int
    response: Failed | None


@dataclass(frozen=True)
class Wait:
    """Nothing to do before `until` (seconds since 1970), or before a record comes when that is `None`."""

    until: float | None


@dataclass
class _Batch:
    records: Records
    request_id: str
    not_before: float = 0.0
    invocations: int = 0
    retries: int = 0
    throttles: int = 0
    exhausted: Failed | None = None


class Lane:
    """Delivers the records of one shard in order.

    Args:
        settings: The mapping's.
        new_request_id: Makes the request id of a new batch.

    Attributes:
        checkpoint: Sequence number of the last record done with, or `None`.
    """

    def __init__(
        self, settings: MappingSettings, *, new_request_id: Callable[[], str] = lambda: str(uuid.uuid4())
    ) -> None:
        self.checkpoint: str | None = None
        self._settings = settings
        self._new_request_id = new_request_id
        self._waiting: deque[StreamRecord] = deque()
        #: Batches that were formed, the next one last: a split puts both halves here.
        self._batches: list[_Batch] = []
        self._running = False
        self._idle_since = 0.0

    @property
    def unfinished(self) -> Records:
        """Records that are not done with, in order."""
        formed = [record for batch in reversed(self._batches) for record in batch.records]
        return (*formed, *self._waiting)

    def add(self, records: Iterable[StreamRecord]) -> None:
        """Records that the stream has shown, in stream order."""
        self._waiting.extend(records)

    def next(self, now: float) -> Invoke | GiveUp | Wait:
        """What to do now."""
        if self._running:
            raise RuntimeError("one invocation at a time: tell the lane how the last one ended before asking again")
        if not self._batches:
            ready_at = self._ready_at()
            if ready_at is None or ready_at > now:
                return Wait(ready_at)
            self._batches.append(self._form())
        batch = self._batches[-1]
        if batch.exhausted is not None:
            return self._give_up(batch, batch.records, "RetryAttemptsExhausted", now)
        if batch.not_before > now:
            return Wait(batch.not_before)
        expired = self._expired(batch, now)
        if expired:
            return self._give_up(batch, expired, "RecordAgeExceeded", now)
        if _too_large(batch.records):
            self._whole_failure(batch, Failed(function_error=None), now)
            return self.next(now)
        self._running = True
        return Invoke(batch.records, batch.request_id, batch.invocations + 1)

    def finished(self, outcome: Outcome, now: float) -> None:
        """How the invocation ended that `next` asked for."""
        if not self._running:
            raise RuntimeError("no invocation is running")
        self._running = False
        batch = self._batches[-1]
        if isinstance(outcome, Throttled):
            # Not the function's failure: the retry budget is untouched while the records grow older.
            batch.throttles += 1
            batch.not_before = now + _back_off(batch.throttles)
            return
        batch.throttles = 0
        batch.invocations += 1
        match outcome:
            case Succeeded():
                self._leave(batch, len(batch.records), now)
            case Partial(accepted):
                self._leave(batch, accepted, now)
            case Failed():
                self._whole_failure(batch, outcome, now)

    def _ready_at(self) -> float | None:
        """When the next batch may be formed; `None` while there is no record."""
        if not self._waiting:
            return None
        full = len(self._waiting) >= self._settings.batch_size or self._payload_is_full()
        # The window starts when the previous invocation ended, or with the first record when that came later.
        first = self._waiting[0].visible
        return first if full else max(first, self._idle_since) + self._settings.batching_window

    def _payload_is_full(self) -> bool:
        size = 0
        for record in self._waiting:
            size += record.payload_bytes
            if size >= INVOCATION_PAYLOAD_BYTES:
                return True
        return False

    def _form(self) -> _Batch:
        records: list[StreamRecord] = []
        size = 0
        while self._waiting and len(records) < self._settings.batch_size:
            size += self._waiting[0].payload_bytes
            if records and size > INVOCATION_PAYLOAD_BYTES:
                break
            records.append(self._waiting.popleft())
        return self._new_batch(tuple(records))

    def _new_batch(self, records: Records) -> _Batch:
        return _Batch(records, self._new_request_id())

    def _expired(self, batch: _Batch, now: float) -> Records:
        age = self._settings.maximum_record_age
        if age == -1:
            return ()
        count = 0
        while count < len(batch.records) and now - batch.records[count].arrived >= age:
            count += 1
        return batch.records[:count]

    def _whole_failure(self, batch: _Batch, failure: Failed, now: float) -> None:
        if self._settings.bisect and len(batch.records) > 1:
            middle = len(batch.records) // 2
            self._batches[-1:] = [self._new_batch(batch.records[middle:]), self._new_batch(batch.records[:middle])]
            return
        batch.retries += 1
        limit = self._settings.maximum_retry_attempts
        if limit != -1 and batch.retries > limit:
            batch.exhausted = failure
        else:
            batch.not_before = now + _back_off(batch.retries)

    def _give_up(
        self,
        batch: _Batch,
        records: Records,
        condition: Literal["RetryAttemptsExhausted", "RecordAgeExceeded"],
        now: float,
    ) -> GiveUp:
        ran = batch.invocations > 0
        action = GiveUp(
            records,
            condition,
            batch.request_id,
            max(batch.invocations, 1),
            batch.exhausted if condition == "RetryAttemptsExhausted" and ran else None,
        )
        if len(records) == len(batch.records):
            self._leave(batch, len(records), now)
        else:
            # What is younger goes on as the same batch, with the attempts it has had.
            batch.records = batch.records[len(records) :]
            self.checkpoint = records[-1].identifier
        return action

    def _leave(self, batch: _Batch, done: int, now: float) -> None:
        """Move past the first `done` records of the batch; the rest becomes a new one with a fresh budget."""
        self.checkpoint = batch.records[done - 1].identifier
        self._batches.pop()
        if done < len(batch.records):
            self._batches.append(self._new_batch(batch.records[done:]))
        elif not self._batches:
            self._idle_since = now


def _back_off(failures: int) -> float:
    # The exponent is bounded: a float overflows at 2**1024, and endless retries get there.
    return min(BACK_OFF_FIRST_SECONDS * 2.0 ** min(failures - 1, 32), BACK_OFF_CAP_SECONDS)


def _too_large(records: Records) -> bool:
    return len(records) == 1 and records[0].payload_bytes > INVOCATION_PAYLOAD_BYTES
