"""`QueuePoller`: receives messages of a queue and does with them what the state machine says, in real time.

The queue is ministack's, reached through SQS's API. What fails is left alone here, so that it comes back when its
visibility timeout is over.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local.engine.clock import Clock
from local.engine.queues.batches import Message, QueueBatches
from local.engine.streams.lane import Invoke
from local.engine.streams.outcomes import Outcome, Throttled

logger = logging.getLogger(__name__)

#: Messages that one ReceiveMessage or DeleteMessageBatch takes.
MESSAGES_PER_CALL = 10

#: Seconds between two looks at a queue that holds messages which are delayed or in flight.
LOOK_AGAIN_SECONDS = 0.1

_COUNTS = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)


class QueuePoller:
    """Delivers the messages of one queue until it is stopped.

    One thread receives; every batch is delivered in a thread of its own.

    Args:
        machine: Says what to do.
        queues: A boto3 client of SQS.
        queue_url: Of the queue; `queue_arn` likewise.
        name: Of its threads.
        clock: What the machine goes by.
        deliver: Delivers a batch, in a thread of its own, and calls what it is given with what that came to: then the
            messages that are done with are deleted.
        may: Whether an operation on the queue is allowed, such as `ReceiveMessage`.
    """

    def __init__(
        self,
        machine: QueueBatches,
        *,
        queues: Any,
        queue_url: str,
        queue_arn: str,
        name: str,
        clock: Clock,
        deliver: Callable[[Invoke, Callable[[Outcome], None]], None],
        may: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self._machine = machine
        self._queues = queues
        self._queue_url = queue_url
        self._queue_arn = queue_arn
        self._clock = clock
        self._deliver = deliver
        self._may = may
        self._running: set[threading.Thread] = set()
        #: For the machine and for who runs.
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopping = False
        self._idle = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """There may be messages, or time has passed."""
        self._wake.set()

    def stop(self) -> None:
        """Receive no more; deliveries that run now go on to their end."""
        self._stopping = True
        self._wake.set()

    def join(self) -> None:
        """Wait until it and its deliveries have ended."""
        self._thread.join()
        for thread in list(self._running):
            thread.join()

    @property
    def idle(self) -> bool:
        """Whether the queue is empty: no message waits, is delayed or in flight."""
        return self._idle and not self._wake.is_set()

    @property
    def unfinished(self) -> int:
        """How many messages were received and are not done with."""
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
            if not wants:
                self._wake.wait()
            elif not received:
                self._wait_for_messages(wake_at)

    def _receive(self) -> int:
        """Receive messages, as many as are wanted or one call gives, and delete those that no filter matches."""
        with self._lock:
            most = min(self._machine.wants, MESSAGES_PER_CALL)
        if not most or not self._may("ReceiveMessage"):
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
            # The queue may be gone; who reads it stays, as on AWS.
            return 0
        now = self._clock.now()
        messages = [Message(each, queue_arn=self._queue_arn, now=now) for each in answer.get("Messages", [])]
        with self._lock:
            others = self._machine.add(messages, now)
        self._delete(others)
        return len(messages)

    def _wait_for_messages(self, wake_at: float | None) -> None:
        try:
            held = self._queues.get_queue_attributes(QueueUrl=self._queue_url, AttributeNames=["All"])["Attributes"]
        except (ClientError, BotoCoreError):
            self._idle = not self._running
            self._wake.wait()
            return
        counts = [int(held.get(name, 0)) for name in _COUNTS]
        with self._lock:
            self._idle = not any(counts) and not self._running
        if wake_at is not None:
            self._wake.wait(max(0.0, min(wake_at - self._clock.now(), LOOK_AGAIN_SECONDS)))
        else:
            self._wake.wait(LOOK_AGAIN_SECONDS if any(counts) else None)

    def _start(self, call: Invoke) -> None:
        thread = threading.Thread(target=self._call, args=(call,), name=self._thread.name, daemon=True)
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
            self._deliver(call, end)
        except Exception:
            logger.exception("%s", self._thread.name)
        finally:
            if not ended:
                # Nobody knows what became of it, so its messages come back.
                end(Throttled())
            with self._lock:
                self._running.discard(threading.current_thread())
            self._wake.set()

    def _delete(self, messages: Sequence[Message]) -> None:
        if not messages or not self._may("DeleteMessage"):
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
