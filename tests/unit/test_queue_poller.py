"""A queue's poller against a queue that does not always answer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from botocore.exceptions import ConnectionClosedError

from local.endpoint.delivery.queue_poller import QueuePoller
from local.engine.actions import Invoke
from local.engine.clock import Clock
from local.engine.outcomes import Outcome, Succeeded
from local.engine.queues.batches import Message, QueueBatches, QueueSettings

MESSAGE = {
    "MessageId": "m",
    "ReceiptHandle": "r",
    "Body": "{}",
    "MD5OfBody": "99914b932bd37a50b983c5e7c90ae93b",
    "Attributes": {"SentTimestamp": "0", "ApproximateReceiveCount": "1"},
}


class Queue:
    """A queue that breaks every connection until it is asked a third time, and has one message then."""

    def __init__(self) -> None:
        self.asked = 0

    def receive_message(self, **_: Any) -> dict[str, Any]:
        self.asked += 1
        if self.asked < 3:
            raise ConnectionClosedError(endpoint_url="http://127.0.0.1")
        return {"Messages": [MESSAGE]} if self.asked == 3 else {}

    def get_queue_attributes(self, **_: Any) -> dict[str, Any]:
        if self.asked < 3:
            raise ConnectionClosedError(endpoint_url="http://127.0.0.1")
        return {"Attributes": {}}

    def delete_message_batch(self, **_: Any) -> None:
        pass


class Runner:
    def __init__(self) -> None:
        self.delivered = threading.Event()

    def may(self, operation: str) -> bool:
        return True

    def deliver(self, call: Invoke, end: Callable[[Outcome], None]) -> None:
        end(Succeeded())
        self.delivered.set()

    def skip(self, messages: Sequence[Message]) -> None:
        pass


def test_a_queue_that_breaks_connections_is_asked_again_although_nobody_sends_it_another_message() -> None:
    runner, clock = Runner(), Clock()
    poller = QueuePoller(
        QueueBatches(QueueSettings(batch_size=1)),
        runner,
        queues=Queue(),
        queue_url="http://127.0.0.1/q",
        queue_arn="arn:aws:sqs:us-east-1:111122223333:q",
        name="mapping",
        clock=clock,
        counted=False,
    )
    poller.start()
    assert runner.delivered.wait(20)
    poller.stop()
    poller.join()
