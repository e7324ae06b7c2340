"""The lane: records of one shard on their way to a function, as a state machine without I/O.

Theory of operation
-------------------

A lane delivers the records of one shard, or of one parallel slice of it, in order, with one invocation at a time.
Records that were read *wait*. Once the batch size or the payload is reached, or the batching window is over, the
first of them are *formed* into a batch with a request id and a retry budget of its own. Formed batches are a stack:
the top one is delivered until it is done with, and a split puts both halves there, the older one on top. Nothing new
is formed before the stack is empty, so that no record overtakes an older one.

The driver reports events by three methods: `take` (records were read), `next` (do what is due now; it returns an
action) and `finished` (the invocation has ended). After `Invoke` only `finished` may follow; after any other action
the driver calls `next` again, at once or at the time that `Wait` names. *It* is the batch on top of the stack.

| state | event | next state | action, effect |
|---|---|---|---|
| empty: nothing waits, no batch | `take` | filling | |
| | `next` | empty | `Wait(None)` |
| filling: records wait, no batch | `take` | filling | |
| | `next`, the oldest has outlived the retention | filling, empty | `Lose` those that have |
| | `next`, batch not full, in its window | filling | `Wait` for the window's end |
| | `next`, batch full or window over | due | form a batch and go on as due |
| due: it is sent | `next`, its first records have reached the age | due, or done | `GiveUp` them; the rest stays |
| | `next`, the stream has forgotten its first records | due, or done | `Lose` them; the rest stays |
| | `next`, one record above the payload limit | as of `Failed` | |
| | `next`, else | running | `Invoke` |
| running: the function is called | `Succeeded` | done | checkpoint |
| | `Partial(n)` | due, with a new batch | checkpoint of the first n, the others are the new batch |
| | `Rejected(positions)` | due, with a new batch | all others are done, these are the new batch |
| | `Failed`, bisect and two records or more | due, with two new batches | no retry is spent |
| | `Failed`, retries left | backing off | a retry is spent |
| | `Failed`, no retries left | exhausted | |
| | `Throttled` | backing off | no retry is spent, the records grow older |
| backing off: it waits | `next`, too early | backing off | `Wait` for the end |
| | `next`, at its end | due | go on as due |
| exhausted: it is given up | `next` | done | `GiveUp` all of it |

*Done* stands for what the top batch leaves behind: due if another batch is below it, else filling or empty.

The rules are those of docs/aws-semantics.md §2.3 and §2.5; docs/decisions/0015-the-lane.md fixes what AWS does not
document. `TumblingLane` adds windows.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aws_semantics.limits import INVOCATION_PAYLOAD_BYTES
from aws_semantics.retries import back_off
from local.engine.actions import Condition, GiveUp, Invoke, Lose, Wait, Window
from local.engine.outcomes import Failed, Outcome, Partial, Rejected, Succeeded, Throttled
from local.engine.streams.progress import Progress
from local.engine.streams.records import StreamRecord
from local.engine.streams.settings import MappingSettings
from local.engine.streams.waiting import WaitingRecords

Records = tuple[StreamRecord, ...]

#: Bytes of the records in a payload at most: the event adds `{"Records":[` and `]}`.
RECORDS_BYTES = INVOCATION_PAYLOAD_BYTES - 14


@dataclass(slots=True)
class OpenWindow:
    """Tumbling window that a lane is in.

    Attributes:
        start: Seconds since 1970, a multiple of `length`.
        length: Seconds.
        state: The state that the function returned last.
        state_too_large: Whether that state ends the window early.
        begun: Whether the function has run with records of it.
    """

    start: int
    length: int
    state: Mapping[str, Any]
    state_too_large: bool = False
    begun: bool = False

    @property
    def end(self) -> int:
        """The end of the window, in seconds since 1970."""
        return self.start + self.length

    def holds(self, record: StreamRecord) -> bool:
        """Return whether a record arrived in the window."""
        return self.start <= record.arrived < self.end

    def seen_by(self, records: Records) -> Window:
        """Return the window as an invocation with these records sees it; the one without any is its last."""
        final = not records
        return Window(self.start, self.end, self.state, final, final and self.state_too_large)


class PendingBatch:
    """Batch that was formed and is not done with.

    Attributes:
        records: Its records, in order.
        request_id: The request id of all its attempts.
        not_before: End of its back-off, in seconds since 1970.
        attempts: Attempts so far, throttled ones included.
        failures: Attempts that spent a retry.
        throttles: Attempts in a row that were throttled.
        exhausted: Whether its retries are spent.
        response: The failure of the last attempt; `None` while the function was not run.
    """

    __slots__ = ("attempts", "exhausted", "failures", "not_before", "records", "request_id", "response", "throttles")

    def __init__(self, records: Records, request_id: str) -> None:
        self.records = records
        self.request_id = request_id
        self.not_before = 0.0
        self.attempts = 0
        self.failures = 0
        self.throttles = 0
        self.exhausted = False
        self.response: Failed | None = None


class Lane:
    """Delivers records of one shard in order, one invocation at a time.

    Args:
        settings: The mapping's settings.
        new_request_id: Makes the request id of a new batch.
        progress: The finished part of the shard, shared by its lanes.
        shard_id: The shard.
        index: The place of this lane among the shard's lanes.
        opened: When the shard began to be read, in seconds since 1970: no batching window starts before.
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
        self._waiting = WaitingRecords()
        #: The stack of formed batches; the last one is on top.
        self._batches: list[PendingBatch] = []
        self._running = False
        self._opened = opened
        #: When the last batch was done with, which starts a batching window.
        self._idle_since: float | None = None
        self._window: OpenWindow | None = None

    @property
    def checkpoint(self) -> str | None:
        """Sequence number of the last record of the shard's finished prefix, or `None`."""
        return self._progress.checkpoint

    @property
    def running(self) -> bool:
        """Whether an invocation was asked for that has not finished."""
        return self._running

    @property
    def waiting(self) -> int:
        """Number of records that are in no batch yet."""
        return len(self._waiting)

    @property
    def unfinished(self) -> Records:
        """Records that are not done with, in order."""
        formed = [record for batch in reversed(self._batches) for record in batch.records]
        return (*formed, *self._waiting)

    def add(self, records: Iterable[StreamRecord]) -> None:
        """Take records that the stream has shown, in stream order, and note them in the shard's progress."""
        records = tuple(records)
        self._progress.seen(records)
        self.take(records)

    def take(self, records: Iterable[StreamRecord]) -> None:
        """Take records for this lane that the shard's progress knows already."""
        self._waiting.extend(records)

    def next(self, now: float) -> Invoke | GiveUp | Lose | Wait:
        """Return the action that is due now.

        Raises:
            RuntimeError: An invocation is running.
        """
        if self._running:
            raise RuntimeError("one invocation at a time: report how the last one ended before asking again")
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
        """Take the outcome of the invocation that `next` asked for.

        Raises:
            RuntimeError: No invocation is running.
        """
        if not self._running:
            raise RuntimeError("no invocation is running")
        self._running = False
        batch = self._batches[-1]
        if isinstance(outcome, Throttled):
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

    # Overridden by `TumblingLane`.

    def _ready_at(self) -> float | None:
        """Return when the next batch may be formed; `None` while no record waits."""
        if not self._waiting:
            return None
        first = self._waiting.first.visible
        if len(self._waiting) >= self._settings.batch_size or self._waiting.fill(RECORDS_BYTES):
            return first
        window = self._settings.batching_window
        # A window starts when the previous invocation ends; a record that comes after it starts another.
        if self._idle_since is not None and first < self._idle_since + window:
            return self._idle_since + window
        return max(first, self._opened) + window

    def _form(self) -> PendingBatch:
        """Form a batch of the first waiting records."""
        belongs = None if self._window is None else self._window.holds
        return self._new_batch(self._waiting.take(self._settings.batch_size, RECORDS_BYTES, belongs))

    def _cut(self, batch: PendingBatch, now: float) -> GiveUp | Lose | None:
        """Cut the records off a batch that have become too old."""
        count = _leading(batch.records, now, self._settings.maximum_record_age)
        if count:
            return self._give_up(batch, batch.records[:count], "RecordAgeExceeded", now)
        count = _leading(batch.records, now, self._settings.retention)
        if count:
            lost = batch.records[:count]
            self._cut_off(batch, lost, now)
            return Lose(lost, self.shard_id)
        return None

    def _leave(self, batch: PendingBatch, done: int, now: float) -> None:
        """Move past the first `done` records of the batch; the rest becomes a new one with a fresh budget."""
        self._progress.done(batch.records[:done])
        self._batches.pop()
        if done < len(batch.records):
            self._batches.append(self._new_batch(batch.records[done:]))
        elif not self._batches:
            self._idle_since = now

    # The same in every lane.

    def _leave_all_but(self, batch: PendingBatch, positions: Sequence[int]) -> None:
        """Move past all records of the batch but these, which become a new one."""
        kept = set(positions)
        self._progress.done(record for index, record in enumerate(batch.records) if index not in kept)
        self._batches[-1] = self._new_batch(tuple(batch.records[index] for index in positions))

    def _trim(self, now: float) -> Lose | None:
        """Move past waiting records that the stream has forgotten."""
        retention = self._settings.retention
        if retention is None or self._batches or not self._waiting or now - self._waiting.first.arrived < retention:
            return None
        lost = self._waiting.take_while(lambda record: now - record.arrived >= retention)
        self._progress.done(lost)
        return Lose(lost, self.shard_id)

    def _seen_by(self, records: Records) -> Window | None:
        return None if self._window is None else self._window.seen_by(records)

    def _new_batch(self, records: Records) -> PendingBatch:
        return PendingBatch(records, self._new_request_id())

    def _whole_failure(self, batch: PendingBatch, response: Failed | None, now: float) -> None:
        """Split the batch, back off, or mark it exhausted."""
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

    def _give_up(self, batch: PendingBatch, records: Records, condition: Condition, now: float) -> GiveUp:
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

    def _cut_off(self, batch: PendingBatch, records: Records, now: float) -> None:
        """Move past the batch's first records; younger ones go on as the same batch, with the attempts it has had."""
        if len(records) == len(batch.records):
            self._leave(batch, len(records), now)
        else:
            batch.records = batch.records[len(records) :]
            self._progress.done(records)


def _leading(records: Sequence[StreamRecord], now: float, age: int | None) -> int:
    """Count the first records that have reached an age."""
    count = 0
    if age is not None and age != -1:
        while count < len(records) and now - records[count].arrived >= age:
            count += 1
    return count


def _too_large(records: Records) -> bool:
    if len(records) != 1:
        return False
    return records[0].payload_bytes_at_most > RECORDS_BYTES and records[0].payload_bytes > RECORDS_BYTES
