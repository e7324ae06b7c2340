"""`StreamBatches`: the batches of a whole stream, its shards, their lanes, filters and metrics, without I/O."""

from __future__ import annotations

import heapq
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from zlib import crc32

from local.engine.actions import GiveUp, Invoke, Lose, Wait
from local.engine.event_counts import PolledEvents, Recorder, count_invocation
from local.engine.outcomes import Outcome
from local.engine.streams.filtering import select
from local.engine.streams.lane import Lane
from local.engine.streams.progress import Progress
from local.engine.streams.records import StreamRecord
from local.engine.streams.settings import MappingSettings
from local.engine.streams.tumbling_lane import TumblingLane

#: Records of a shard that are read ahead of what is being processed: enough for the largest batch.
READ_AHEAD = 10_000


class ShardState:
    """One shard of the stream and what was read of it.

    Attributes:
        parents: Shards that must be drained before this one is read.
        ended: Whether everything it will ever hold was added.
        lanes: One for each batch that may be processed at a time; none before its parents are drained.
        progress: The finished part of it.
    """

    def __init__(self, shard_id: str, parents: Sequence[str]) -> None:
        self.shard_id = shard_id
        self.parents = tuple(parents)
        self.ended = False
        self.progress = Progress()
        self.lanes: list[Lane] = []
        #: Records that were added while a parent was not drained.
        self.unread: list[StreamRecord] = []

    @property
    def is_read(self) -> bool:
        """Whether its records are being read: its parents are drained."""
        return bool(self.lanes)

    @property
    def drained(self) -> bool:
        """Whether nothing of it is left to do, now and forever."""
        return (
            self.ended
            and self.is_read
            and self.progress.drained
            and not any(lane.running or (isinstance(lane, TumblingLane) and lane.window_is_open) for lane in self.lanes)
        )


class StreamBatches:
    """Reads a stream as Lambda's poller does for one mapping, or EventBridge's for one pipe.

    It is driven like a lane: add the records that the stream has shown, do what `next` returns, report by `finished`
    how an invocation ended. A mapping that is enabled again is a new object, which receives the records behind the
    checkpoints of the old one. The rules are those of docs/aws-semantics.md §2.3 to §2.10.

    Args:
        settings: How the stream is read.
        new_request_id: Makes the request id of a new batch.
        record: Receives every metric that CloudWatch would have.
        filtered_out: Called with a shard and its records that no filter matched.

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
        self._polled = PolledEvents(self._record)
        self._filtered_out = filtered_out or _ignore
        self._shards: dict[str, ShardState] = {}
        #: When to look at which lane next; an entry that is not its lane's latest one is stale.
        self._agenda: list[tuple[float, int, Lane]] = []
        self._next_look: dict[Lane, tuple[float, int]] = {}
        self._looks = 0

    # Events of the stream.

    def open(self, shard_id: str, parents: Sequence[str], now: float) -> None:
        """Add a shard. It is read once its parents are drained; a parent that was never opened is gone."""
        self._shards[shard_id] = ShardState(shard_id, parents)
        self._read_what_is_due(now)

    def add(self, shard_id: str, records: Sequence[StreamRecord], now: float) -> None:
        """Add a shard's next records, in stream order; none if a poll found none."""
        shard = self._shards[shard_id]
        if shard.is_read:
            self._polled.count(len(records), now)
            self._read(shard, records, now)
        else:
            shard.unread.extend(records)

    def end(self, shard_id: str, now: float) -> None:
        """Note that a shard has no more records than were added: it was split, or its stream was disabled."""
        shard = self._shards[shard_id]
        shard.ended = True
        for lane in shard.lanes:
            if isinstance(lane, TumblingLane):
                lane.ended = True
            self._look(lane, now)
        self._read_what_is_due(now)

    def unseen(self, shard_id: str, since: float | None, now: float) -> None:
        """Note when the oldest record was written that the reader has not seen, in seconds since 1970."""
        for lane in self._shards[shard_id].lanes:
            if isinstance(lane, TumblingLane) and lane.unseen_since != since:
                lane.unseen_since = since
                self._look(lane, now)

    def wants(self, shard_id: str) -> bool:
        """Return whether more of the shard should be read; nothing is while the mapping is disabled."""
        shard = self._shards[shard_id]
        return (
            self.enabled and shard.is_read and sum(lane.waiting for lane in shard.lanes) < READ_AHEAD * len(shard.lanes)
        )

    # Actions and their ends.

    @property
    def wake_at(self) -> float | None:
        """When to call `next` again; `None` if nothing changes until records or an outcome arrive."""
        while self._agenda and self._next_look.get(self._agenda[0][2]) != self._agenda[0][:2]:
            heapq.heappop(self._agenda)
        return self._agenda[0][0] if self._agenda and self.enabled else None

    def next(self, now: float) -> Iterator[Invoke | GiveUp | Lose]:
        """Yield the actions that are due now, in order."""
        while (at := self.wake_at) is not None and at <= now:
            lane = heapq.heappop(self._agenda)[2]
            del self._next_look[lane]
            yield from self._advance(lane, now)

    def finished(self, invoke: Invoke, outcome: Outcome, now: float) -> None:
        """Take the outcome of an invocation that `next` asked for."""
        shard = self._shards[invoke.shard_id]
        lane = shard.lanes[invoke.lane]
        count_invocation(self._record, outcome, sent=len(invoke.records), now=now)
        lane.finished(outcome, now)
        self._look(lane, now)
        self._read_children(shard, now)

    def sent(self, given_up: GiveUp, *, delivered: bool | None, now: float) -> None:
        """Record whether a batch that was given up was delivered; `None` without a destination."""
        count = len(given_up.records)
        if delivered:
            self._record("OnFailureDestinationDeliveredEventCount", count, now)
            return
        self._record("DroppedEventCount", count, now)
        if delivered is not None:
            self._record("DestinationDeliveryFailures", 1, now)

    # Progress.

    @property
    def checkpoints(self) -> dict[str, str | None]:
        """Sequence number of the last record of each shard's finished prefix."""
        return {shard_id: shard.progress.checkpoint for shard_id, shard in self._shards.items()}

    def unfinished(self, shard_id: str) -> list[StreamRecord]:
        """Return the records that were added and are not done with, in stream order."""
        shard = self._shards[shard_id]
        records = [record for lane in shard.lanes for record in lane.unfinished] + shard.unread
        return sorted(records, key=lambda record: record.sequence_number)

    def _read_what_is_due(self, now: float) -> None:
        for shard in self._shards.values():
            if not shard.is_read and all(self._is_drained(parent) for parent in shard.parents):
                self._start(shard, now)

    def _is_drained(self, shard_id: str) -> bool:
        shard = self._shards.get(shard_id)
        return shard is None or shard.drained

    def _read_children(self, parent: ShardState, now: float) -> None:
        if parent.ended and parent.drained:
            self._read_what_is_due(now)

    def _start(self, shard: ShardState, now: float) -> None:
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
        if unread:
            self._polled.count(len(unread), now)
        self._read(shard, unread, now)

    def _read(self, shard: ShardState, records: Sequence[StreamRecord], now: float) -> None:
        if records:
            shard.progress.seen(records)
            kept = self._filter(shard, records, now) if self._settings.filters else records
            if len(shard.lanes) == 1:
                self._give(shard.lanes[0], kept, now)
            else:
                for record in kept:
                    lane = shard.lanes[crc32(record.item_key.encode()) % len(shard.lanes)]
                    self._give(lane, (record,), now)
        self._read_children(shard, now)

    def _filter(self, shard: ShardState, records: Sequence[StreamRecord], now: float) -> list[StreamRecord]:
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
    """Ignore what a listener would receive."""
