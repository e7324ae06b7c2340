"""`QueuePoller`: receives a queue's messages and delivers the batches of the state machine in real time.

The queue is ministack's, reached through SQS's API. Messages that failed stay in flight, so that they come back when
their visibility timeout is over.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from local.endpoint.delivery.polling_thread import PollingThread
from local.engine.actions import Invoke
from local.engine.clock import Clock
from local.engine.outcomes import Outcome, Throttled
from local.engine.queues.batches import Message, QueueBatches

logger = logging.getLogger(__name__)

#: Maximum of messages in one ReceiveMessage or DeleteMessageBatch.
MESSAGES_PER_CALL = 10

#: Seconds between two looks at a queue with messages that are delayed or in flight: at first, and after looks in vain.
LOOK_AGAIN_SECONDS, LATER_SECONDS = 0.1, 0.4
#: Seconds before a queue that could not be asked is asked again.
ASK_AGAIN_SECONDS = 1.0

_COUNTS = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)


class QueueRunner(Protocol):
    """The side of an event source mapping, or of a pipe, that a queue is delivered to."""

    def may(self, operation: str) -> bool:
        """Return whether an operation on the queue is allowed, such as `ReceiveMessage`."""
        ...

    def deliver(self, call: Invoke, end: Callable[[Outcome], None]) -> None:
        """Deliver a batch, in a thread of its own, and call `end` with the outcome: it deletes finished messages."""
        ...

    def skip(self, messages: Sequence[Message]) -> None:
        """Note messages that no filter matches, before they are deleted."""
        ...


class QueuePoller(PollingThread):
    """Delivers the messages of one queue until it is stopped.

    One thread receives; every batch is delivered in a thread of its own.

    Args:
        machine: The state machine that decides.
        runner: The mapping or pipe that the messages are delivered to.
        queues: A boto3 client of SQS.
        queue_url: The queue's URL.
        queue_arn: The queue's ARN.
        name: Name of its threads.
        clock: The machine's clock.
        counted: Whether polls are counted.
    """

    def __init__(
        self,
        machine: QueueBatches,
        runner: QueueRunner,
        *,
        queues: Any,
        queue_url: str,
        queue_arn: str,
        name: str,
        clock: Clock,
        counted: bool,
    ) -> None:
        super().__init__(name, clock, counted=counted)
        self._machine = machine
        self._runner = runner
        self._queues = queues
        self._queue_url = queue_url
        self._queue_arn = queue_arn
        self._running: set[threading.Thread] = set()
        self._look_again = LOOK_AGAIN_SECONDS
        #: Guards the machine and the set of running deliveries.
        self._lock = threading.Lock()

    def join(self) -> None:
        """Wait until the thread and its deliveries have ended."""
        super().join()
        for thread in list(self._running):
            thread.join()

    @property
    def unfinished(self) -> int:
        """Number of messages that were received and are not finished."""
        with self._lock:
            return len(self._machine.unfinished)

    def _run(self) -> None:
        while not self._stopping:
            self._wake.clear()
            self._idle = False
            received = self._receive()
            with self._lock:
                calls = [*self._machine.next(self._clock.now())]
                wants, wake_at = self._machine.wants, self._machine.wake_at
            for call in calls:
                self._start(call)
            if received:
                self._look_again = LOOK_AGAIN_SECONDS
            if not wants:
                self._wake.wait()
            elif not received:
                self._wait_for_messages(wake_at)

    def _receive(self) -> int:
        """Receive messages, at most as many as the machine wants, and delete those that no filter matches."""
        with self._lock:
            most = min(self._machine.wants, MESSAGES_PER_CALL)
        if not most or not self._runner.may("ReceiveMessage"):
            return 0
        try:
            answer = self._queues.receive_message(
                QueueUrl=self._queue_url,
                MaxNumberOfMessages=most,
                MessageSystemAttributeNames=["All"],
                MessageAttributeNames=["All"],
                WaitTimeSeconds=0,
            )
        except (ClientError, BotoCoreError):
            # The queue may be gone; its reader stays, as on AWS.
            return 0
        now = self._clock.now()
        messages = [
            Message(each, queue_arn=self._queue_arn, now=now, windowed=self._machine.windowed)
            for each in answer.get("Messages", [])
        ]
        with self._lock:
            others = self._machine.add(messages, now)
        if others:
            self._runner.skip(others)
        self._delete(others)
        return len(messages)

    def _wait_for_messages(self, wake_at: float | None) -> None:
        try:
            held = self._queues.get_queue_attributes(QueueUrl=self._queue_url, AttributeNames=["All"])["Attributes"]
        except (ClientError, BotoCoreError):
            self._idle = not self._running
            self._sleep(ASK_AGAIN_SECONDS)
            return
        counts = [int(held.get(name, 0)) for name in _COUNTS]
        with self._lock:
            self._idle = not any(counts) and not self._running
        if wake_at is not None:
            self._sleep(max(0.0, min(wake_at - self._clock.now(), LOOK_AGAIN_SECONDS)))
        elif self._sleep(self._look_again if any(counts) else None):
            self._look_again = LOOK_AGAIN_SECONDS
        else:
            self._look_again = min(2 * self._look_again, LATER_SECONDS)

    def _start(self, call: Invoke) -> None:
        thread = threading.Thread(target=self._call, args=(call,), name=self.name, daemon=True)
        with self._lock:
            self._running.add(thread)
        thread.start()

    def _call(self, call: Invoke) -> None:
        ended = False

        def end(outcome: Outcome) -> None:
            nonlocal ended
            ended = True
            with self._lock:
                done = self._machine.finished(call, outcome, self._clock.now())
            self._delete(done)

        try:
            self._runner.deliver(call, end)
        except Exception:
            logger.exception("%s", self.name)
        finally:
            if not ended:
                # Its outcome is unknown, so its messages come back.
                end(Throttled())
            with self._lock:
                self._running.discard(threading.current_thread())
            self._wake.set()

    def _delete(self, messages: Sequence[Message]) -> None:
        if not messages or not self._runner.may("DeleteMessage"):
            return  # they come back
        for start in range(0, len(messages), MESSAGES_PER_CALL):
            entries = [
                {"Id": str(index), "ReceiptHandle": message.receipt_handle}
                for index, message in enumerate(messages[start : start + MESSAGES_PER_CALL])
            ]
            try:
                self._queues.delete_message_batch(QueueUrl=self._queue_url, Entries=entries)
            except (ClientError, BotoCoreError):
                return  # they come back, as when AWS could not delete them
