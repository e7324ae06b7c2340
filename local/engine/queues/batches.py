"""`QueueBatches`: the batches of a queue, for event source mappings and for pipes, without I/O.

SQS itself keeps the order and the attempts: visibility timeouts, receive counts, message groups, the redrive to a
dead-letter queue. So a reader only gathers batches and decides which messages are done with.

https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html
"""

from __future__ import annotations

import json
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aws_semantics.event_patterns import matches
from aws_semantics.limits import INVOCATION_PAYLOAD_BYTES
from local.engine.actions import Invoke
from local.engine.event_counts import PolledEvents, Recorder, count_invocation
from local.engine.outcomes import Outcome, Rejected, Succeeded
from local.engine.queues.attributes import as_record_attributes
from local.engine.records import Record

#: Batches that run at once when no maximum is set: AWS begins with as many and scales up, which is not simulated.
CONCURRENCY = 5

#: Bytes that the event adds to its messages: `{"Records":[` and `]}`.
_WRAPPER_BYTES = 14


@dataclass(frozen=True)
class QueueSettings:
    """Settings of a queue's reader; defaults are AWS's.

    Attributes:
        batch_size: Messages of one invocation at most.
        batching_window: Seconds to wait for them, from the first one on.
        concurrency: Invocations that run at once.
        filters: Patterns, as JSON text; a message that none matches is deleted.
        report_batch_item_failures: Whether the function's answer names the failed messages.
        event_count: Whether the EventCount metrics are recorded.
    """

    batch_size: int = 10
    batching_window: int = 0
    concurrency: int = CONCURRENCY
    filters: tuple[str, ...] = ()
    report_batch_item_failures: bool = False
    event_count: bool = False


class Message(Record):
    """Message that was received, named by its message id.

    Args:
        received: The message as ReceiveMessage answers it, with all attributes.
        queue_arn: The queue's ARN.
        now: When it was received, in seconds since 1970.
        windowed: Whether its batch has a batching window.

    Attributes:
        receipt_handle: The handle that deletes it.
        receives: How often it was received.
        group: Its message group; `None` in a standard queue.
    """

    __slots__ = ("group", "receipt_handle", "receives")

    def __init__(self, received: Mapping[str, Any], *, queue_arn: str, now: float, windowed: bool = False) -> None:
        attributes = received["Attributes"]
        super().__init__(
            as_record(received, queue_arn=queue_arn, windowed=windowed),
            arrived=int(attributes["SentTimestamp"]) / 1000,
            visible=now,
            identifier=received["MessageId"],
        )
        self.receipt_handle: str = received["ReceiptHandle"]
        self.receives = int(attributes["ApproximateReceiveCount"])
        self.group: str | None = attributes.get("MessageGroupId")


Messages = tuple[Message, ...]


class QueueBatches:
    """Gathers batches, decides when to deliver them, and which messages are done with.

    Receive as many messages as `wants`, `add` them, deliver what `next` yields, report by `finished` how that ended.

    Args:
        settings: How the queue is read.
        new_request_id: Makes the request id of a batch.
        record: Receives every metric that CloudWatch would have.
    """

    def __init__(
        self,
        settings: QueueSettings,
        *,
        new_request_id: Callable[[], str] = lambda: str(uuid.uuid4()),
        record: Recorder | None = None,
    ) -> None:
        self._settings = settings
        self._new_request_id = new_request_id
        self._record = record or _ignore
        self._polled = PolledEvents(self._record)
        self._gathered: list[Message] = []
        #: End of the batching window of the gathered messages.
        self._window_ends = 0.0
        self._formed: deque[Messages] = deque()
        self._running: dict[int, Messages] = {}

    @property
    def windowed(self) -> bool:
        """Whether batches have a window, which shows in their records."""
        return self._settings.batching_window > 0

    @property
    def wants(self) -> int:
        """Number of messages to receive now: none while all invocations that may run do, or a batch waits."""
        if self._formed or len(self._running) >= self._settings.concurrency or self._is_full:
            return 0
        return self._settings.batch_size - len(self._gathered)

    @property
    def wake_at(self) -> float | None:
        """When to call `next` again, in seconds since 1970; `None`: when a message or an outcome has arrived."""
        return self._window_ends if self._gathered else None

    @property
    def unfinished(self) -> Messages:
        """Messages that were received and are not done with."""
        taken = [*self._running.values(), *self._formed, self._gathered]
        return tuple(message for messages in taken for message in messages)

    def add(self, messages: Sequence[Message], now: float) -> Messages:
        """Take messages that were received, and return those to delete because no filter matches them."""
        wanted: list[Message] = []
        others: list[Message] = []
        for message in messages:
            (wanted if selected(message.event, self._settings.filters) else others).append(message)
        self._polled.count(len(messages), now)
        if others:
            self._record("FilteredOutEventCount", len(others), now)
            self._record("DeletedEventCount", len(others), now)
        fresh = [message for message in wanted if not self._replaced(message)]
        if fresh and not self._gathered:
            self._window_ends = now + self._settings.batching_window
        self._gathered += fresh
        return tuple(others)

    def _replaced(self, message: Message) -> bool:
        """Replace the copy of a message that waits to be delivered, if there is one (ESM-SQS-4).

        A batching window that is longer than the visibility timeout lets SQS return the message again. Only the newer
        receipt handle deletes it.
        """
        for place, waiting in enumerate(self._gathered):
            if waiting.identifier == message.identifier:
                self._gathered[place] = message
                return True
        for place, batch in enumerate(self._formed):
            if any(waiting.identifier == message.identifier for waiting in batch):
                self._formed[place] = tuple(
                    message if waiting.identifier == message.identifier else waiting for waiting in batch
                )
                return True
        return False

    def next(self, now: float) -> Iterator[Invoke]:
        """Yield the batches to deliver now."""
        if self._gathered and (self._is_full or now >= self._window_ends):
            batch, self._gathered = _cut(self._gathered, self._settings.batch_size)
            self._window_ends = now + self._settings.batching_window
            self._formed.extend(by_group(batch))
        while self._formed and len(self._running) < self._settings.concurrency:
            messages = self._formed.popleft()
            lane = next(lane for lane in range(self._settings.concurrency) if lane not in self._running)
            self._running[lane] = messages
            attempt = max(message.receives for message in messages)
            yield Invoke(messages, self._new_request_id(), attempt, shard_id=messages[0].group or "", lane=lane)

    def finished(self, invoke: Invoke, outcome: Outcome, now: float) -> Messages:
        """Take the outcome of a batch that `next` yielded, and return the messages to delete.

        The others come back by themselves, once their visibility timeout is over.
        """
        messages = self._running.pop(invoke.lane)
        match outcome:
            case Succeeded():
                done = messages
            case Rejected(positions):
                done = tuple(message for place, message in enumerate(messages) if place not in positions)
            case _:
                done = ()
        count_invocation(self._record, outcome, sent=len(messages), now=now)
        self._record("DeletedEventCount", len(done), now)
        return done

    @property
    def _is_full(self) -> bool:
        size = sum(message.payload_bytes for message in self._gathered) + _WRAPPER_BYTES
        return len(self._gathered) >= self._settings.batch_size or size >= INVOCATION_PAYLOAD_BYTES


def as_record(message: Mapping[str, Any], *, queue_arn: str, windowed: bool) -> dict[str, Any]:
    """Make the record that a function receives from a message that ReceiveMessage answered (ESM-SQS-3)."""
    digest = message.get("MD5OfMessageAttributes")
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": dict(message.get("Attributes", {})),
        "messageAttributes": as_record_attributes(message.get("MessageAttributes", {})),
        **({"md5OfMessageAttributes": digest} if digest is not None or windowed else {}),
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": queue_arn,
        "awsRegion": queue_arn.split(":")[3],
    }


def selected(record: Mapping[str, Any], filters: Sequence[str]) -> bool:
    """Return whether a filter matches a record; a body that is a JSON object or array is filtered by its content.

    >>> selected({"body": '{"kind": "order"}'}, ['{"body": {"kind": ["order"]}}'])
    True
    >>> selected({"body": "order"}, ['{"body": {"kind": ["order"]}}'])
    False
    """
    if not filters:
        return True
    seen = {**record, "body": content_of(record["body"])}
    return any(matches(pattern, seen) for pattern in filters)


def content_of(body: str) -> Any:
    """Return the JSON object or array that a message's body is, or the text."""
    try:
        content = json.loads(body)
    except ValueError:
        return body
    return content if isinstance(content, (dict, list)) else body


def by_group(messages: Iterable[Message]) -> list[Messages]:
    """Divide the messages of a FIFO queue by their group, in order; those of a standard queue stay together."""
    groups: dict[str | None, list[Message]] = {}
    for message in messages:
        groups.setdefault(message.group, []).append(message)
    return [tuple(of_group) for of_group in groups.values()]


def _cut(messages: list[Message], most: int) -> tuple[list[Message], list[Message]]:
    """Return a batch within the size and the payload of one invocation, and the messages that are left."""
    size = _WRAPPER_BYTES
    for index, message in enumerate(messages):
        size += message.payload_bytes
        if index == most or (index and size > INVOCATION_PAYLOAD_BYTES):
            return messages[:index], messages[index:]
    return messages, []


def _ignore(*_: object) -> None:
    """Ignore what a listener would receive."""
