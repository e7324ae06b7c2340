"""Simulation of a queue's reader: drives `local.engine.queues` through virtual time."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from local.engine.actions import Invoke
from local.engine.clock import VirtualClock
from local.engine.event_counts import Recorder
from local.engine.outcomes import Outcome
from local.engine.queues.batches import Message, QueueBatches, QueueSettings
from local.simulation.report import Report
from local.simulation.stream_run import Handler
from local.simulation.virtual_queue import Kept, VirtualQueue

#: Messages that one ReceiveMessage returns at most.
_MESSAGES_PER_CALL = 10


class QueueSimulation:
    """Mapping or pipe that reads a queue.

    The events of one instant have this order: messages become visible or too old, invocations end, messages are
    received, batches are sent.

    Args:
        settings: How the queue is read.
        queue: The queue.
        queue_arn: The queue's ARN.
        handler: Answers for the function or the pipe.
        report: Receives everything that happens.
        clock: The time at which reading begins; the simulation moves it.
        until: When to stop at the latest, in seconds since 1970.
        new_request_id: Makes the request id of a batch.
        record: Receives every metric that CloudWatch would have.
    """

    def __init__(
        self,
        settings: QueueSettings,
        queue: VirtualQueue,
        handler: Handler,
        *,
        queue_arn: str,
        report: Report,
        clock: VirtualClock,
        until: float,
        new_request_id: Callable[[], str],
        record: Recorder,
    ) -> None:
        self._machine = QueueBatches(settings, new_request_id=new_request_id, record=record)
        self._queue = queue
        self._queue_arn = queue_arn
        self._name = queue_arn.rpartition(":")[2]
        self._handler = handler
        self._report = report
        self._clock = clock
        self._until = until
        self._running: list[tuple[float, int, Invoke, Outcome]] = []
        self._order = 0

    def run(self, *, enabled: bool) -> None:
        """Run until nothing is left to do, or `until`; a reader that is not enabled receives nothing."""
        while True:
            now = self._clock()
            self._report.expired(self._name, [each.message_id for each in self._queue.expire(now)], now)
            while self._running and self._running[0][0] <= now:
                _, _, call, outcome = heapq.heappop(self._running)
                self._delete(self._machine.finished(call, outcome, now), now)
            if enabled:
                self._work(now)
            ends = [self._running[0][0]] if self._running else []
            times = [self._queue.next_change(now), self._machine.wake_at, *ends]
            following = min((at for at in times if at is not None), default=None)
            if following is None or following > self._until:
                return
            self._clock.advance_to(max(now, following))

    def _work(self, now: float) -> None:
        """Receive and send until nothing more can be done at this instant."""
        while True:
            received = self._receive(now)
            calls = [*self._machine.next(now)]
            for call in calls:
                outcome, takes = self._handler(call, now)
                sent = min(message.arrived for message in call.records)
                self._report.invoked(replace(call, shard_id=self._name), outcome, now, since=sent)
                self._order += 1
                heapq.heappush(self._running, (round(now + takes, 6), self._order, call, outcome))
            if not received and not calls:
                return

    def _receive(self, now: float) -> bool:
        most = min(self._machine.wants, _MESSAGES_PER_CALL)
        if not most:
            return False
        answers, moved = self._queue.receive(most, now)
        for message in moved:
            self._report.redriven(self._name, message.message_id, _letter(message), now)
        windowed = self._machine.windowed
        messages = [Message(each, queue_arn=self._queue_arn, now=now, windowed=windowed) for each in answers]
        others = self._machine.add(messages, now)
        self._report.filtered_out(others)
        self._delete(others, now)
        return bool(messages)

    def _delete(self, messages: tuple[Message, ...], now: float) -> None:
        for message in messages:
            self._queue.delete(message.identifier, message.receipt_handle, now)


def _letter(message: Kept) -> dict[str, Any]:
    """Return the document of a message in the dead-letter queue: the message itself."""
    return {
        "messageId": message.message_id,
        "body": message.body,
        "attributes": {
            "ApproximateReceiveCount": str(message.receives),
            **({} if message.group is None else {"MessageGroupId": message.group}),
        },
    }
