"""A queue in virtual time, with the state of each message that SQS keeps and a poller cannot see."""

from __future__ import annotations

import hashlib
import heapq
import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from local.engine.queues.attributes import md5_of


@dataclass(slots=True)
class Kept:
    """Message in a queue.

    Attributes:
        message_id: Its id.
        body: Its text.
        attributes: Its message attributes, as ReceiveMessage answers them.
        group: Its message group; `None` in a standard queue.
        deduplication_id: Its deduplication id; `None` in a standard queue.
        sent_at: When it was sent, in seconds since 1970.
        visible_at: When it can be received, again or for the first time, in seconds since 1970.
        receives: How often it was received.
        first_received_at: When it was received first, in seconds since 1970; 0 before.
    """

    message_id: str
    body: str
    attributes: dict[str, Any]
    group: str | None
    deduplication_id: str | None
    sent_at: float
    visible_at: float
    receives: int = 0
    first_received_at: float = 0.0

    @property
    def receipt_handle(self) -> str:
        """The receipt handle of the last receive."""
        return f"{self.message_id}#{self.receives}"


class VirtualQueue:
    """Queue, standard or FIFO.

    Args:
        messages: All messages that are ever sent to it.
        fifo: Whether a message waits for those of its group before it.
        visibility_timeout: Seconds for which a received message is hidden.
        max_receive_count: Receives after which a message is moved to the dead-letter queue; `None`: never.
        retention: Seconds after which a message is deleted.
    """

    def __init__(
        self,
        messages: Iterable[Kept],
        *,
        fifo: bool,
        visibility_timeout: int,
        max_receive_count: int | None,
        retention: int,
    ) -> None:
        self._messages = {each.message_id: each for each in sorted(messages, key=lambda message: message.sent_at)}
        self._fifo = fifo
        self._visibility_timeout = visibility_timeout
        self._max_receive_count = math.inf if max_receive_count is None else max_receive_count
        self._retention = retention
        #: Times at which a message may become visible or too old; some mean nothing any more.
        self._changes = [at for each in self._messages.values() for at in (each.visible_at, each.sent_at + retention)]
        heapq.heapify(self._changes)

    @property
    def left(self) -> list[Kept]:
        """Messages that are in it, and those still to be sent."""
        return list(self._messages.values())

    def expire(self, now: float) -> list[Kept]:
        """Delete messages older than the retention, and return them."""
        old = list(itertools.takewhile(lambda each: now - each.sent_at >= self._retention, self._messages.values()))
        return self._take(old)

    def receive(self, most: int, now: float) -> tuple[list[dict[str, Any]], list[Kept]]:
        """Receive messages, at most `most`, which hides them.

        Returns:
            The messages as ReceiveMessage answers them, with all attributes; and those that were received too often
            and are in the dead-letter queue instead.
        """
        received: list[dict[str, Any]] = []
        moved: list[Kept] = []
        for message in self._receivable(now):
            if len(received) == most:
                break
            if message.receives >= self._max_receive_count:
                moved.append(message)
                continue
            message.receives += 1
            message.first_received_at = message.first_received_at or now
            message.visible_at = round(now + self._visibility_timeout, 6)
            heapq.heappush(self._changes, message.visible_at)
            received.append(_answer(message))
        return received, self._take(moved)

    def delete(self, message_id: str, receipt_handle: str, now: float) -> None:
        """Delete a message, unless it was received again, or is one of a FIFO queue that became visible again."""
        message = self._messages.get(message_id)
        if message is None or message.receipt_handle != receipt_handle or (self._fifo and message.visible_at < now):
            return
        self._take([message])

    def next_change(self, now: float) -> float | None:
        """Return when a message may become visible or too old after now; `None`: never."""
        while self._changes and self._changes[0] <= now:
            heapq.heappop(self._changes)
        return self._changes[0] if self._messages and self._changes else None

    def _receivable(self, now: float) -> Iterator[Kept]:
        blocked: set[str | None] = set()
        for message in self._messages.values():
            if message.sent_at > now:
                return
            if message.group in blocked:
                continue
            if message.visible_at <= now:
                yield message
            elif self._fifo:
                blocked.add(message.group)

    def _take(self, messages: list[Kept]) -> list[Kept]:
        for message in messages:
            del self._messages[message.message_id]
        return messages


def _answer(message: Kept) -> dict[str, Any]:
    attributes = {
        "ApproximateReceiveCount": str(message.receives),
        "SentTimestamp": str(_milliseconds(message.sent_at)),
        "SenderId": "AIDAEXAMPLE",
        "ApproximateFirstReceiveTimestamp": str(_milliseconds(message.first_received_at)),
    }
    if message.group is not None:
        attributes |= {"MessageGroupId": message.group, "MessageDeduplicationId": message.deduplication_id or ""}
    return {
        "MessageId": message.message_id,
        "ReceiptHandle": message.receipt_handle,
        "Body": message.body,
        "MD5OfBody": hashlib.md5(message.body.encode(), usedforsecurity=False).hexdigest(),
        "Attributes": attributes,
        "MessageAttributes": message.attributes,
        **({"MD5OfMessageAttributes": md5_of(message.attributes)} if message.attributes else {}),
    }


def _milliseconds(seconds: float) -> int:
    return math.floor(seconds * 1000 + 0.5)
