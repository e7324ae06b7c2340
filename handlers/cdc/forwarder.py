"""The forwarder of a fan-out: publishes every change of a stream to a FIFO topic, in the order of its item.

A DynamoDB stream serves two readers. The forwarder is one of them, and each subscriber of the topic gets every
change through a queue of its own (components/fan_out.py).

Order per item rests on four things (docs/aws-semantics.md §10.1):

- The message group is a hash of the item's key, and a group is delivered in the order of publication.
- A call to PublishBatch holds one message of a group at most: the calls of a group follow one another.
- When an entry fails, nothing later of its item is published in this invocation. Other items go on.
- The failure response names the lowest record that was not published, so that Lambda delivers it again, with
  everything behind it. The topic drops what it has seen within five minutes, by the event's id; what it has
  forgotten comes a second time. So consumers get the first delivery of each change in order, and repeats.
"""

from __future__ import annotations

import heapq
import logging
import os
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from handlers.cdc import claim_check
from handlers.cdc.change import Change
from handlers.cdc.clients import client
from handlers.cdc.consumer import Consumer
from handlers.cdc.invocation import Running
from handlers.cdc.message_groups import MESSAGE_BYTES, compact_json, group_of
from handlers.cdc.metrics import count
from handlers.cdc.sources import Batch, batch_of
from handlers.cdc.time_budget import TimeBudget

logger = logging.getLogger("handlers.cdc")

#: ARN of the topic.
TOPIC_VARIABLE: Final = "FAN_OUT_TOPIC"
#: Entries of one PublishBatch.
MESSAGES_PER_CALL: Final = 10
#: More than the message of a claim check takes: a bucket's name, an event's id and what is around them.
_CLAIM_CHECK_BYTES: Final = 1_024

sns = client("sns")


class Message(NamedTuple):
    """One change, ready to be published.

    Attributes:
        position: Its place in the batch.
        group: The message group: its item.
        event_id: The deduplication id.
        record: The record as JSON in ASCII, whatever its size.
    """

    position: int
    group: str
    event_id: str
    record: str

    @property
    def too_large(self) -> bool:
        """Is true if only its claim check fits into a message."""
        return len(self.record) > MESSAGE_BYTES

    @property
    def size(self) -> int:
        """Bytes that it takes of a call."""
        return _CLAIM_CHECK_BYTES if self.too_large else len(self.record)


#: Publishes the messages of one call and returns the positions of those that failed; raises when the call failed.
Publish = Callable[[Sequence[Message]], set[int]]


class Forwarder(Consumer):
    """A Lambda handler that publishes each record of a stream to a topic, and reports the first unpublished one.

    `FanOut` subscribes it (docs/guides/fan-out.md).
    """

    @property
    def module(self) -> str:  # noqa: D102 - see `Consumer`
        return __name__

    def _answer(self, event: Any, invocation: Running) -> dict[str, Any]:  # noqa: ARG002 - it counts records itself
        batch = batch_of(event)
        messages = [_message(batch, index) for index in range(len(batch.records))]
        first = forward(messages, _publish)
        count("Records", len(messages) if first is None else first)
        return {"batchItemFailures": [] if first is None else [{"itemIdentifier": batch.identifiers[first]}]}


def forward(messages: Sequence[Message], publish: Publish) -> int | None:
    """Publish messages, those of one group in their order.

    A call that fails as a whole ends the attempt: throttling and outages pass, and Lambda waits longer each time.

    Args:
        messages: The messages of a batch, in its order.
        publish: Publishes up to ten messages.

    Returns:
        The lowest position that was not published; `None` when all were.

    Raises:
        OutOfTime: Too little time was left before the first call.
    """
    if not messages:
        return None
    time_budget = TimeBudget()
    waiting: dict[str, deque[Message]] = {}
    for message in messages:
        waiting.setdefault(message.group, deque()).append(message)
    heads = [queue[0].position for queue in waiting.values()]  # of the groups that may go on; in order, so it is a heap
    unpublished = {message.position for message in messages}
    while heads:
        call = _next_call(heads, messages)
        try:
            failed = publish(call)
        except Exception:
            count("Failures")
            logger.exception("%d changes could not be published", len(call))
            break
        for message in call:
            if message.position in failed:
                continue  # nothing later of its group goes out before it
            unpublished.remove(message.position)
            queue = waiting[message.group]
            queue.popleft()
            if queue:
                heapq.heappush(heads, queue[0].position)
        if heads and not time_budget.allows_another():
            count("TimeBudgetHits")
            break
    return min(unpublished, default=None)


def _next_call(heads: list[int], messages: Sequence[Message]) -> list[Message]:
    """Take the messages of the next call from the heads of their groups: the oldest that fit."""
    call: list[Message] = []
    room = MESSAGE_BYTES
    while heads and len(call) < MESSAGES_PER_CALL:
        message = messages[heads[0]]
        if call and message.size > room:
            break
        call.append(message)
        room -= message.size
        heapq.heappop(heads)
    return call


def _message(batch: Batch, index: int) -> Message:
    change: Change[Any] = batch.change(index)
    record = batch.records[index]
    return Message(index, group_of(record["dynamodb"]["Keys"]), change.event_id, compact_json(record))


def _publish(messages: Sequence[Message]) -> set[int]:
    """Publish the messages of one call; the large ones as claim checks."""
    failed: set[int] = set()
    bodies: dict[int, str] = {}
    for message in messages:
        try:
            bodies[message.position] = _body(message)
        except Exception:
            count("Failures")
            logger.exception("the change %s could not be put into S3", message.event_id)
            failed.add(message.position)
    if not bodies:
        return failed
    answer = sns.publish_batch(
        TopicArn=os.environ[TOPIC_VARIABLE],
        PublishBatchRequestEntries=[
            {
                "Id": str(message.position),
                "Message": bodies[message.position],
                "MessageGroupId": message.group,
                "MessageDeduplicationId": message.event_id,
            }
            for message in messages
            if message.position in bodies
        ],
    )
    for refused in answer.get("Failed", ()):
        count("Failures")
        event_id = next(message.event_id for message in messages if message.position == int(refused["Id"]))
        logger.error("the change %s was not published: %s", event_id, refused["Code"])
        failed.add(int(refused["Id"]))
    return failed


def _body(message: Message) -> str:
    if not message.too_large:
        return message.record
    return compact_json({"claimCheck": claim_check.put(message.event_id, message.record)})


#: The entry point. Every change is forwarded: conditions are the consumers'.
handler = Forwarder(name="forwarder")
