"""Simulation of a stream's reader: drives `local.engine.streams` through virtual time."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from graphlib import TopologicalSorter
from typing import Protocol

from local.engine.actions import GiveUp, Invoke, Lose
from local.engine.clock import VirtualClock
from local.engine.event_counts import Recorder
from local.engine.outcomes import Outcome
from local.engine.streams.batches import StreamBatches
from local.engine.streams.records import StreamRecord
from local.engine.streams.settings import MappingSettings

#: Records of a shard that are added at a time, as GetRecords returns them.
_PAGE = 1000

#: Answers for the function: the outcome of an invocation at a time, and the seconds it takes.
Handler = Callable[[Invoke, float], tuple[Outcome, float]]


class Sink(Protocol):
    """Receiver of everything that happens, in order; times are seconds since 1970."""

    def invoked(self, invoke: Invoke, outcome: Outcome, now: float) -> None:
        """Take an invocation, throttled ones included."""
        ...

    def gave_up(self, given_up: GiveUp, delivered: bool | None, now: float) -> None:
        """Take records that were given up; `delivered` is `None` without a destination."""
        ...

    def lost(self, lose: Lose, now: float) -> None:
        """Take records that the stream has forgotten."""
        ...

    def filtered_out(self, records: Sequence[StreamRecord]) -> None:
        """Take records that no filter matched."""
        ...


class Feed:
    """Records of one shard, in stream order and in the order they become visible.

    Args:
        shard_id: The shard.
        records: Its records, read one by one when they are needed.
        parents: The shards that are drained before this one is read.
        ends: Whether the shard ends with the last record, as a parent does; else it stays open.
    """

    def __init__(
        self, shard_id: str, records: Iterable[StreamRecord], *, parents: Sequence[str] = (), ends: bool = False
    ) -> None:
        self.shard_id = shard_id
        self.parents = tuple(parents)
        self.ends = ends
        self._records = iter(records)
        self.head: StreamRecord | None = next(self._records, None)

    def take(self, now: float, limit: int) -> list[StreamRecord]:
        """Take the next records that are visible by now, at most `limit`."""
        taken: list[StreamRecord] = []
        head = self.head
        while head is not None and head.visible <= now and len(taken) < limit:
            taken.append(head)
            head = self.head = next(self._records, None)
        return taken

    def rest(self) -> Iterator[StreamRecord]:
        """Yield the records that were not taken."""
        while self.head is not None:
            yield self.head
            self.head = next(self._records, None)


class Simulation:
    """Mapping or pipe that reads a stream.

    The events of one instant have this order: records become visible, invocations end, the mapping acts.

    Args:
        settings: How the stream is read.
        feeds: The stream's shards.
        handler: Answers for the function or the pipe.
        sink: Receives everything that happens.
        clock: The time at which reading begins; the simulation moves it.
        until: When to stop at the latest, in seconds since 1970.
        destination_fails: Whether deliveries to the on-failure destination fail.
        record: Receives every metric that CloudWatch would have.
        new_request_id: Makes the request id of a new batch.
    """

    def __init__(
        self,
        settings: MappingSettings,
        feeds: Iterable[Feed],
        handler: Handler,
        *,
        sink: Sink,
        clock: VirtualClock,
        until: float,
        destination_fails: bool = False,
        new_request_id: Callable[[], str],
        record: Recorder | None = None,
    ) -> None:
        self.mapping = StreamBatches(
            settings,
            new_request_id=new_request_id,
            record=record,
            filtered_out=lambda _, records: sink.filtered_out(records),
        )
        self.feeds = list(feeds)
        self._tumbling = bool(settings.tumbling_window)
        self._has_destination = settings.destination is not None
        self._destination_fails = destination_fails
        self._handler = handler
        self._sink = sink
        self._clock = clock
        self._until = until
        #: Feeds by the time their next record is visible, and those that may not be read further for now.
        self._visible: list[tuple[float, int, Feed]] = []
        self._held: list[Feed] = []
        self._running: list[tuple[float, int, Invoke, Outcome]] = []
        self._order = 0

    def run(self) -> None:
        """Run until nothing is left to do, or `until`."""
        for feed in _parents_first(self.feeds):
            self.mapping.open(feed.shard_id, feed.parents, self._clock())
        for feed in self.feeds:
            self._schedule(feed)
        while True:
            now = self._clock()
            self._read(now)
            while self._running and self._running[0][0] <= now:
                _, _, invoke, outcome = heapq.heappop(self._running)
                self.mapping.finished(invoke, outcome, now)
            self._release()
            if self._tumbling:
                self._tell_unseen(now)
            for action in self.mapping.next(now):
                self._do(action, now)
            self._release()
            following = self._next_event()
            if following is None or following > self._until:
                return
            self._clock.advance_to(max(now, following))

    def _schedule(self, feed: Feed) -> None:
        now = self._clock()
        if feed.head is not None:
            self._order += 1
            heapq.heappush(self._visible, (feed.head.visible, self._order, feed))
        elif feed.ends:
            self.mapping.end(feed.shard_id, now)

    def _read(self, now: float) -> None:
        while self._visible and self._visible[0][0] <= now:
            feed = heapq.heappop(self._visible)[2]
            if not self.mapping.wants(feed.shard_id):
                self._held.append(feed)
                continue
            self.mapping.add(feed.shard_id, feed.take(now, _PAGE), now)
            self._schedule(feed)

    def _release(self) -> None:
        """Read on where there is room again."""
        if self._held:
            held, self._held = self._held, []
            for feed in held:
                if self.mapping.wants(feed.shard_id):
                    self._schedule(feed)
                else:
                    self._held.append(feed)

    def _tell_unseen(self, now: float) -> None:
        for feed in self.feeds:
            head = feed.head
            self.mapping.unseen(feed.shard_id, head.arrived if head and head.arrived <= now else None, now)

    def _do(self, action: Invoke | GiveUp | Lose, now: float) -> None:
        match action:
            case Invoke():
                outcome, takes = self._handler(action, now)
                self._sink.invoked(action, outcome, now)
                self._order += 1
                heapq.heappush(self._running, (round(now + takes, 6), self._order, action, outcome))
            case GiveUp():
                delivered = not self._destination_fails if self._has_destination else None
                self._sink.gave_up(action, delivered, now)
                self.mapping.sent(action, delivered=delivered, now=now)
            case Lose():
                if action.records:
                    self._sink.lost(action, now)

    def _next_event(self) -> float | None:
        times = [queue[0][0] for queue in (self._visible, self._running) if queue]
        if (wake_at := self.mapping.wake_at) is not None:
            times.append(wake_at)
        return min(times, default=None)


def _parents_first(feeds: Sequence[Feed]) -> Iterator[Feed]:
    """Yield all feeds, each after its parents': a parent that is opened later would be taken for one that is gone."""
    of = {feed.shard_id: feed for feed in feeds}
    parents = {feed.shard_id: [parent for parent in feed.parents if parent in of] for feed in feeds}
    return (of[shard_id] for shard_id in TopologicalSorter(parents).static_order())
