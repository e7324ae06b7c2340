"""An event source mapping as a whole: its shards, their lanes, filters, order and metrics, without I/O.

It is driven like a lane: give it what the stream has shown, ask it what to do now, tell it how that ended. A mapping
that is enabled again is a new one, which is given what comes behind the checkpoints of the old one.
"""

from __future__ import annotations

import heapq
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from zlib import crc32

from local.engine.streams.filtering import select
from local.engine.streams.lane import GiveUp, Invoke, Lane, Lose, Wait
from local.engine.streams.outcomes import Failed, Outcome, Partial, Rejected, Throttled
from local.engine.streams.progress import Progress
from local.engine.streams.records import StreamRecord
from local.engine.streams.settings import MappingSettings
from local.engine.streams.tumbling_lane import TumblingLane

#: Records of a shard that are read ahead of what is being processed: enough for the largest batch.
READ_AHEAD = 10_000

#: Takes a metric's name, a value and the time: sums of events and calls, and `IteratorAge` in milliseconds.
Recorder = Callable[[str, float, float], None]


class Shard:
    """One shard of the stream and what is read of it.

    Attributes:
        parent: The shard that must be drained before this one is read, or `None`.
        ended: Whether everything it will ever hold was added.
        lanes: One for each batch that may be processed at a time.
        progress: What is done of it.
    """

    def __init__(self, shard_id: str, parent: str | None) -> None:
        self.shard_id = shard_id
        self.parent = parent
        self.ended = False
        self.progress = Progress()
        self.lanes: list[Lane] = []
        #: What was added while the parent was not drained.
        self.unread: list[StreamRecord] = []

    @property
    def is_read(self) -> bool:
        """Whether its records are being read: its parent is drained."""
        return bool(self.lanes)

    @property
    def drained(self) -> bool:
        """Whether nothing of it is left to do, now and for ever."""
        return (
            self.ended
            and self.is_read
            and self.progress.drained
            and not any(lane.running or (isinstance(lane, TumblingLane) and lane.window_is_open) for lane in self.lanes)
        )


class EventSourceMapping:
    """What Lambda's poller does for one mapping (docs/aws-semantics.md §2.3 to §2.10).

    Args:
        settings: The mapping's.
        new_request_id: Makes the request id of a new batch.
        record: Is told every metric that CloudWatch would have.
        filtered_out: Is told the shard and its records that no filter matched.

    Attributes:
        enabled: Whether it reads and makes invocations.
    """

    def __init__(
        self,
        settings: MappingSettings,
        *,
        new_request_id: Callable[[], str] = lambda: str(uuid.uuid4()),
        record: Recorder | None = None,
        filtered_out: Callable[[str, Sequence[StreamRecord]], None] | None = None,
    ) -> None:
        self.enabled = True
        self._settings = settings
        self._new_request_id = new_request_id
        self._record = record or _ignore
        self._filtered_out = filtered_out or _ignore
        self._shards: dict[str, Shard] = {}
        #: When to look at which lane next; an entry that is not its lane's latest one is stale.
        self._agenda: list[tuple[float, int, Lane]] = []
        self._next_look: dict[Lane, tuple[float, int]] = {}
        self._looks = 0

    # What the stream shows.

    def open(self, shard_id: str, parent: str | None, now: float) -> None:
        """A shard exists. It is read once its parent is drained; a parent that was never opened is gone."""
        self._shards[shard_id] = Shard(shard_id, parent)
        self._read_what_is_due(now)

    def add(self, shard_id: str, records: Sequence[StreamRecord], now: float) -> None:
        """A shard's next records, in stream order."""
        shard = self._shards[shard_id]
        if shard.is_read:
            self._read(shard, records, now)
        else:
            shard.unread.extend(records)

    def end(self, shard_id: str, now: float) -> None:
        """A shard has no more records than were added: it was split, or its stream was disabled."""
        shard = self._shards[shard_id]
        shard.ended = True
        for lane in shard.lanes:
            if isinstance(lane, TumblingLane):
                lane.ended = True
            self._look(lane, now)
        self._read_what_is_due(now)

    def unseen(self, shard_id: str, since: float | None, now: float) -> None:
        """When the oldest record was written that the stream holds and the reader has not seen, or `None`."""
        for lane in self._shards[shard_id].lanes:
            if isinstance(lane, TumblingLane) and lane.unseen_since != since:
                lane.unseen_since = since
                self._look(lane, now)

    def wants(self, shard_id: str) -> bool:
        """Whether more of the shard should be read; nothing is while the mapping is not enabled."""
        shard = self._shards[shard_id]
        return (
            self.enabled and shard.is_read and sum(lane.waiting for lane in shard.lanes) < READ_AHEAD * len(shard.lanes)
        )

    # What to do.

    @property
    def wake_at(self) -> float | None:
        """When to ask again, unless something happens before; `None` when only a happening can make a difference."""
        while self._agenda and self._next_look.get(self._agenda[0][2]) != self._agenda[0][:2]:
            heapq.heappop(self._agenda)
        return self._agenda[0][0] if self._agenda and self.enabled else None

    def next(self, now: float) -> Iterator[Invoke | GiveUp | Lose]:
        """What to do now, in order."""
        while (at := self.wake_at) is not None and at <= now:
            lane = heapq.heappop(self._agenda)[2]
            del self._next_look[lane]
            yield from self._advance(lane, now)

    def finished(self, invoke: Invoke, outcome: Outcome, now: float) -> None:
        """How an invocation ended that `next` asked for."""
        shard = self._shards[invoke.shard_id]
        lane = shard.lanes[invoke.lane]
        count = len(invoke.records)
        # An attempt that was throttled is among the events that were tried to invoke with (ESM-METRIC-5).
        self._record("InvokedEventCount", count, now)
        match outcome:
            case Throttled():
                self._record("Throttles", 1, now)
                self._record("FailedInvokeEventCount", count, now)
            case Failed(function_error):
                self._record("FailedInvokeEventCount", count, now)
                if function_error is not None:
                    self._record("Errors", 1, now)
            case Partial(accepted):
                self._record("FailedInvokeEventCount", count - accepted, now)
            case Rejected(positions):
                self._record("FailedInvokeEventCount", len(positions), now)
            case _:
                pass
        lane.finished(outcome, now)
        self._look(lane, now)
        self._read_children(shard, now)

    def sent(self, given_up: GiveUp, *, delivered: bool | None, now: float) -> None:
        """What became of a batch that was given up: delivered, not delivered, or `None` without a destination."""
        count = len(given_up.records)
        if delivered:
            self._record("OnFailureDestinationDeliveredEventCount", count, now)
            return
        self._record("DroppedEventCount", count, now)
        if delivered is not None:
            self._record("DestinationDeliveryFailures", 1, now)

    # Where it stands.

    @property
    def checkpoints(self) -> dict[str, str | None]:
        """Sequence number of the last record of each shard's finished prefix."""
        return {shard_id: shard.progress.checkpoint for shard_id, shard in self._shards.items()}

    def unfinished(self, shard_id: str) -> list[StreamRecord]:
        """Records that were added and are not done with, in stream order."""
        shard = self._shards[shard_id]
        records = [record for lane in shard.lanes for record in lane.unfinished] + shard.unread
        return sorted(records, key=lambda record: record.sequence_number)

    def _read_what_is_due(self, now: float) -> None:
        for shard in self._shards.values():
            parent = None if shard.parent is None else self._shards.get(shard.parent)
            if not shard.is_read and (parent is None or parent.drained):
                self._start(shard, now)

    def _read_children(self, parent: Shard, now: float) -> None:
        if parent.ended and parent.drained:
            self._read_what_is_due(now)

    def _start(self, shard: Shard, now: float) -> None:
        kind = TumblingLane if self._settings.tumbling_window else Lane
        shard.lanes = [
            kind(
                self._settings,
                new_request_id=self._new_request_id,
                progress=shard.progress,
                shard_id=shard.shard_id,
                index=index,
                opened=now,
            )
            for index in range(self._settings.parallelization_factor)
        ]
        for lane in shard.lanes:
            if isinstance(lane, TumblingLane):
                lane.ended = shard.ended
        unread, shard.unread = shard.unread, []
        self._read(shard, unread, now)

    def _read(self, shard: Shard, records: Sequence[StreamRecord], now: float) -> None:
        if records:
            self._record("PolledEventCount", len(records), now)
            shard.progress.seen(records)
            kept = self._filter(shard, records, now) if self._settings.filters else records
            if len(shard.lanes) == 1:
                self._give(shard.lanes[0], kept, now)
            else:
                for record in kept:
                    lane = shard.lanes[crc32(record.item_key.encode()) % len(shard.lanes)]
                    self._give(lane, (record,), now)
        self._read_children(shard, now)

    def _filter(self, shard: Shard, records: Sequence[StreamRecord], now: float) -> list[StreamRecord]:
        kept, skipped = select(records, self._settings.filters)
        if skipped:
            self._record("FilteredOutEventCount", len(skipped), now)
            shard.progress.done(skipped)
            self._filtered_out(shard.shard_id, skipped)
        return kept

    def _give(self, lane: Lane, records: Iterable[StreamRecord], now: float) -> None:
        lane.take(records)
        self._look(lane, now)

    def _look(self, lane: Lane, at: float) -> None:
        if lane.running:
            return
        known = self._next_look.get(lane)
        if known is None or at < known[0]:
            self._looks += 1
            self._next_look[lane] = (at, self._looks)
            heapq.heappush(self._agenda, (at, self._looks, lane))

    def _advance(self, lane: Lane, now: float) -> Iterator[Invoke | GiveUp | Lose]:
        while True:
            action = lane.next(now)
            match action:
                case Wait(until):
                    if until is not None:
                        self._look(lane, until)
                    self._read_children(self._shards[lane.shard_id], now)
                    return
                case Invoke(records):
                    age = max(0.0, now - records[-1].arrived) * 1000 if records else 0.0
                    self._record("IteratorAge", age, now)
                    yield action
                    return
                case GiveUp() | Lose():
                    yield action


def _ignore(*_: object) -> None:
    """Nobody wants to know."""
