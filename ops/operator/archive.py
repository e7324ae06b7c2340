"""Reads the archive of a fan-out's topic: a temporary subscription replays it into a temporary queue."""

from __future__ import annotations

import contextlib
import json
import math
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from ops.operator.stack import NoStack

if TYPE_CHECKING:
    from ops.operator.consumers import Archive
    from ops.operator.stack import Stack

#: Begins the name of a temporary queue; the second of its making follows.
PREFIX = "weir-reread-"
#: After this long a temporary queue is what a killed run has left behind.
LEFT_SECONDS = 24 * 60 * 60
#: Seconds that a receive waits for a message, and that lie between two looks at how far the replay is.
_WAIT_SECONDS = 5
_MARGIN_SECONDS = 60
_DAY_SECONDS = 24 * 60 * 60


class ArchiveReplay:
    """A replay of a topic's archive, whose queue and subscription exist within the `with` block.

    The consumer's own subscription stays as it is: a replay there would deliver everything to the live queue.

    Args:
        stack: The stack.
        archive: The archive.
        since: Time from which it is replayed, in seconds since 1970.
    """

    def __init__(self, stack: Stack, archive: Archive, since: float) -> None:
        self._sns, self._sqs, self._s3 = (stack.client(name) for name in ("sns", "sqs", "s3"))
        self._topic = archive.topic
        now = time.time()
        attributes = self._sns.get_topic_attributes(TopicArn=self._topic)["Attributes"]
        #: The time since when the archive has what was published.
        self.beginning = beginning_of(attributes, now)
        #: Second that the replay begins with: later than the archive, whose beginning goes on meanwhile.
        self._since = max(math.floor(since), math.ceil(self.beginning) + _MARGIN_SECONDS)
        self._queue = f"{PREFIX}{int(now)}-{uuid.uuid4().hex[:8]}.fifo"
        self._subscription: str | None = None

    def __enter__(self) -> Self:
        self._remove_leftovers()
        _, partition, _, region, account = self._topic.split(":")[:5]
        arn = f"arn:{partition}:sqs:{region}:{account}:{self._queue}"
        self._url = self._sqs.create_queue(QueueName=self._queue, Attributes=queue_attributes(arn, self._topic))[
            "QueueUrl"
        ]
        try:
            # A queue can be used a second after it was made, and SNS does not retry what a queue denies.
            self._sqs.receive_message(QueueUrl=self._url, WaitTimeSeconds=1)
            self._subscription = self._sns.subscribe(
                TopicArn=self._topic,
                Protocol="sqs",
                Endpoint=arn,
                Attributes={"RawMessageDelivery": "true", "ReplayPolicy": replay_policy(self._since)},
                ReturnSubscriptionArn=True,
            )["SubscriptionArn"]
        except BaseException:
            self._sqs.delete_queue(QueueUrl=self._url)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            self._unsubscribe()
        finally:
            self._sqs.delete_queue(QueueUrl=self._url)

    def records(self) -> Iterator[Mapping[str, Any]]:
        """Yield the changes as the stream had them, those of one item in the order of the replay.

        Raises:
            NoStack: SNS could not complete the replay.
        """
        looked = -math.inf
        while True:
            messages = self._receive()
            yield from map(self._record, messages)
            if not messages or time.monotonic() - looked >= _WAIT_SECONDS:
                looked = time.monotonic()
                if self._is_complete():
                    break
        # What is published from now on is none of this run's business, and might never end.
        self._unsubscribe()
        while messages := self._receive():
            yield from map(self._record, messages)

    def _is_complete(self) -> bool:
        attributes = self._sns.get_subscription_attributes(SubscriptionArn=self._subscription)["Attributes"]
        status = attributes.get("ReplayStatus")
        if status == "Failed":
            raise NoStack(f"SNS could not complete the replay of {self._topic}: run the command again")
        return status == "Completed"

    def _receive(self) -> Sequence[Mapping[str, Any]]:
        """Take the next messages out of the queue. They need not come again: another run replays them."""
        messages = self._sqs.receive_message(
            QueueUrl=self._url, MaxNumberOfMessages=10, WaitTimeSeconds=_WAIT_SECONDS
        ).get("Messages", [])
        if messages:
            entries = [{"Id": str(at), "ReceiptHandle": each["ReceiptHandle"]} for at, each in enumerate(messages)]
            self._sqs.delete_message_batch(QueueUrl=self._url, Entries=entries)
        return messages

    def _record(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        body = json.loads(message["Body"])
        if "claimCheck" not in body:
            return body
        bucket, _, key = body["claimCheck"].removeprefix("s3://").partition("/")
        return json.loads(self._s3.get_object(Bucket=bucket, Key=key)["Body"].read())

    def _unsubscribe(self) -> None:
        if self._subscription is not None:
            self._sns.unsubscribe(SubscriptionArn=self._subscription)
            self._subscription = None

    def _remove_leftovers(self) -> None:
        """Remove what runs have left behind that were killed."""
        now = time.time()
        for page in self._sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=self._topic):
            for each in page["Subscriptions"]:
                queue = each["Endpoint"].rpartition(":")[2]
                if is_left(queue, now):
                    self._sns.unsubscribe(SubscriptionArn=each["SubscriptionArn"])
                    with contextlib.suppress(self._sqs.exceptions.QueueDoesNotExist):
                        url = self._sqs.get_queue_url(QueueName=queue)["QueueUrl"]
                        self._sqs.delete_queue(QueueUrl=url)


def beginning_of(attributes: Mapping[str, str], now: float) -> float:
    """Return the time from which a topic's archive can be replayed, by the topic's attributes."""
    began = attributes.get("BeginningArchiveTime")
    if began:
        return datetime.fromisoformat(began).timestamp()
    days = int(json.loads(attributes.get("ArchivePolicy") or "{}").get("MessageRetentionPeriod", 0))
    return now - days * _DAY_SECONDS


def replay_policy(since: int) -> str:
    """Write the policy of a replay from a time on. With an `EndingPoint` it would pause the subscription."""
    at = datetime.fromtimestamp(since, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return json.dumps({"PointType": "Timestamp", "StartingPoint": at})


def queue_attributes(queue: str, topic: str) -> dict[str, str]:
    """Return the attributes of a temporary queue that its topic may send to."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
    }
    return {
        "FifoQueue": "true",
        "DeduplicationScope": "messageGroup",
        "FifoThroughputLimit": "perMessageGroupId",
        "SqsManagedSseEnabled": "true",
        "Policy": json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
    }


def is_left(queue: str, now: float) -> bool:
    """Return whether a queue, by its name, is one that a killed run has left behind."""
    made = queue.removeprefix(PREFIX).partition("-")[0] if queue.startswith(PREFIX) else ""
    return made.isdecimal() and now - int(made) > LEFT_SECONDS
