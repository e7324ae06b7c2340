"""FIFO topics of SNS: publication, delivery to queues, dead letters of subscriptions, archive and replay.

ministack keeps topics and subscriptions and serves standard topics. Its FIFO topics know neither groups of their own,
message sizes, archives nor subscriptions' dead-letter queues (docs/aws-semantics.md §10.1), so all that follows a
publication happens here.
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple
from xml.sax.saxutils import escape

from local.endpoint.api.aws_call import AwsCall
from local.endpoint.api.errors import AwsError, NotSimulated
from local.endpoint.api.http_messages import Reply
from local.endpoint.api.operations import numbered
from local.endpoint.routes import PassOn, Routes
from local.engine.alarms.metrics import Metrics
from local.engine.clock import Clock
from local.engine.topics.fifo_topic import (
    FifoTopic,
    TopicMessage,
    archive_seconds,
    attribute_problems,
    message_problem,
    message_size,
)

_MOST_ENTRIES = 10

#: https://docs.aws.amazon.com/sns/latest/api/API_Publish.html: fewer than 100 characters of ASCII without line breaks
#: or control characters, the first a letter, digit or punctuation mark.
_SUBJECT = re.compile(r"[!-~][ -~]{0,98}")


class Topic(NamedTuple):
    """A topic as it is kept.

    Attributes:
        arn: Its ARN.
        attributes: Its attributes.
        subscriptions: The attributes of each of its subscriptions.
    """

    arn: str
    attributes: Mapping[str, str]
    subscriptions: list[Mapping[str, str]]

    @property
    def is_fifo(self) -> bool:
        """Whether it keeps the order of groups."""
        return self.attributes.get("FifoTopic") == "true"


#: Puts a message into a queue, by its ARN, on behalf of a topic; returns the client error that SNS gets, if any.
SendToQueue = Callable[[str, str, TopicMessage], str | None]


class FifoTopics:
    """The operations on FIFO topics.

    Args:
        find: Finds a topic by its ARN.
        send: Puts a message into a queue.
        metrics: Where deliveries are counted.
        clock: The endpoint's clock.
    """

    def __init__(
        self, find: Callable[[str], Topic | None], send: SendToQueue, *, metrics: Metrics, clock: Clock
    ) -> None:
        self._find = find
        self._send = send
        self._metrics = metrics
        self._clock = clock
        self._memories: dict[str, FifoTopic] = {}
        #: The replay policy of each subscription that has one; ministack forgets it.
        self._replays: dict[str, str] = {}

    @property
    def routes(self) -> Routes:
        """The tables of SNS."""
        return Routes(
            checked={
                "sns:CreateTopic": [_check_topic],
                "sns:SetTopicAttributes": [_check_topic],
                "sns:Subscribe": [self._check_subscription],
                "sns:DeleteTopic": [self._check_deletion],
                "sns:Publish": [self._check_message],
                "sns:PublishBatch": [self._check_message],
            },
            amended={
                "sns:Publish": self._publish,
                "sns:PublishBatch": self._publish_batch,
                "sns:Subscribe": self._subscribe,
                "sns:GetSubscriptionAttributes": self._describe_subscription,
            },
        )

    async def _publish(self, call: AwsCall, pass_on: PassOn) -> Reply:
        topic = self._fifo(call)
        if topic is None:
            return await pass_on(call)
        return _answer("Publish", self._take(topic, _message(topic, call.parameters)))

    async def _publish_batch(self, call: AwsCall, pass_on: PassOn) -> Reply:
        topic = self._fifo(call)
        entries = _entries(call.parameters.get("PublishBatchRequestEntries", {}))
        limit = message_size({} if topic is None else topic.attributes)
        if sum(len(entry.get("Message", "").encode()) for entry in entries) > limit:
            raise AwsError(
                "BatchRequestTooLong", f"The length of all the batch messages put together is more than {limit} bytes."
            )
        if topic is None:
            return await pass_on(call)
        if len(entries) > _MOST_ENTRIES:
            raise AwsError("TooManyEntriesInBatchRequest", "The batch request contains more entries than permissible.")
        if len({entry["Id"] for entry in entries}) < len(entries):
            raise AwsError("BatchEntryIdsNotDistinct", "Two or more batch entries in the request have the same Id.")
        successful, failed = "", ""
        for entry in entries:
            try:
                taken = self._take(topic, _message(topic, entry))
            except AwsError as refused:
                failed += _member(Id=entry["Id"], Code=refused.code, Message=str(refused), SenderFault="true")
            else:
                successful += f"<member><Id>{escape(entry['Id'])}</Id>{taken}</member>"
        return _answer("PublishBatch", f"<Successful>{successful}</Successful><Failed>{failed}</Failed>")

    async def _subscribe(self, call: AwsCall, pass_on: PassOn) -> Reply:
        """Subscribe, and replay what the archive holds from the time that is asked for."""
        reply = await pass_on(call)
        replay = _attributes(call).get("ReplayPolicy")
        topic = self._fifo(call)
        if reply.status == 200 and replay and topic is not None:
            since = _time(json.loads(replay)["StartingPoint"])
            endpoint = call.parameters["Endpoint"]
            subscription = next(each for each in topic.subscriptions if each["Endpoint"] == endpoint)
            self._replays[subscription["SubscriptionArn"]] = replay
            for message in list(self._memory(topic).replayed(since)):
                self._deliver(topic, subscription, message)
        return reply

    async def _describe_subscription(self, call: AwsCall, pass_on: PassOn) -> Reply:
        """Describe a subscription; a replay is over when Subscribe has answered."""
        reply = await pass_on(call)
        policy = self._replays.get(call.parameters["SubscriptionArn"])
        if reply.status != 200 or policy is None:
            return reply
        added = "".join(
            f"<entry><key>{name}</key><value>{escape(value)}</value></entry>"
            for name, value in (("ReplayPolicy", policy), ("ReplayStatus", "Completed"))
        )
        return reply.with_body(reply.body.replace(b"</Attributes>", f"{added}</Attributes>".encode()))

    def _take(self, topic: Topic, message: TopicMessage) -> str:
        """Take a message, deliver it if it is new, and write the members of the answer.

        Raises:
            AwsError: The topic refuses the message.
        """
        problem = message_problem(message, topic.attributes)
        if problem is not None:
            raise AwsError("InvalidParameter", f"Invalid parameter: {problem}")
        now = self._clock.now()
        published = self._memory(topic).publish(message, str(uuid.uuid4()), topic.attributes, now=now)
        self._count("NumberOfMessagesPublished", topic)
        if published.is_new:
            for subscription in topic.subscriptions:
                self._deliver(topic, subscription, message)
        return (
            f"<MessageId>{published.message_id}</MessageId><SequenceNumber>{published.sequence_number}</SequenceNumber>"
        )

    def _deliver(self, topic: Topic, subscription: Mapping[str, str], message: TopicMessage) -> None:
        """Put a message into the subscribed queue, else into the subscription's dead-letter queue, else lose it."""
        if self._send(subscription["Endpoint"], topic.arn, message) is None:
            self._count("NumberOfNotificationsDelivered", topic)
            return
        # The queue is gone or denies the topic: a client error, which SNS does not retry.
        self._count("NumberOfNotificationsFailed", topic)
        redrive = subscription.get("RedrivePolicy")
        if redrive:
            refused = self._send(json.loads(redrive)["deadLetterTargetArn"], topic.arn, message)
            moved = "NumberOfNotificationsRedrivenToDlq"
            self._count(moved if refused is None else "NumberOfNotificationsFailedToRedriveToDlq", topic)

    def _count(self, metric: str, topic: Topic) -> None:
        name = topic.arn.rpartition(":")[2]
        self._metrics.record(metric, 1, at=self._clock.now(), namespace="AWS/SNS", TopicName=name)

    def _memory(self, topic: Topic) -> FifoTopic:
        return self._memories.setdefault(topic.arn, FifoTopic())

    def _fifo(self, call: AwsCall) -> Topic | None:
        topic = self._find(call.parameters.get("TopicArn", ""))
        return topic if topic is not None and topic.is_fifo else None

    def _check_message(self, call: AwsCall) -> None:
        given = call.parameters.get("PublishBatchRequestEntries")
        fifo = self._fifo(call) is not None
        for message in [call.parameters] if given is None else _entries(given):
            members = {name.split(".")[0] for name in message}
            if fifo and (unknown := sorted(members & {"Subject", "MessageAttributes"})):
                raise NotSimulated(
                    f"the local endpoint takes no {' and no '.join(unknown)} for a FIFO topic: put it into the "
                    "Message, or run this against an AWS account"
                )
            if any(name.endswith("BinaryValue") for name in (*message, *message.get("MessageAttributes", ()))):
                raise NotSimulated(
                    "the local endpoint takes message attributes of a topic as text only: use StringValue, or run this "
                    "against an AWS account"
                )
            if not _SUBJECT.fullmatch(message.get("Subject", "-")):
                raise AwsError("InvalidParameter", "Invalid parameter: Subject")

    def _check_subscription(self, call: AwsCall) -> None:
        attributes, topic = _attributes(call), self._fifo(call)
        if topic is None:
            if unknown := sorted(attributes.keys() - {"RawMessageDelivery"}):
                raise NotSimulated(
                    f"the local endpoint honours {', '.join(unknown)} of subscriptions to FIFO topics only: leave it "
                    "out, or run this against an AWS account"
                )
            return
        if call.parameters["Protocol"] != "sqs":
            raise AwsError("InvalidParameter", "Invalid parameter: Endpoint: FIFO topics deliver to SQS queues only")
        if attributes.get("RawMessageDelivery") != "true":
            raise NotSimulated(
                "the local endpoint delivers messages of FIFO topics raw only: subscribe with RawMessageDelivery=true, "
                "or run this against an AWS account"
            )
        redrive = attributes.get("RedrivePolicy")
        if redrive:
            dead = json.loads(redrive)["deadLetterTargetArn"]
            if dead.endswith(".fifo") != call.parameters["Endpoint"].endswith(".fifo"):
                raise AwsError(
                    "InvalidParameter",
                    "Invalid parameter: RedrivePolicy: the dead-letter queue must be of the same type as the queue",
                )
        replay = attributes.get("ReplayPolicy")
        if replay:
            _check_replay(json.loads(replay), topic)

    def _check_deletion(self, call: AwsCall) -> None:
        topic = self._fifo(call)
        if topic is not None and archive_seconds(topic.attributes):
            raise AwsError(
                "InvalidState",
                "Invalid state: a topic with an active ArchivePolicy cannot be deleted. End the archive first, which "
                "forgets what it holds: set ArchivePolicy to {}, or archive_days of a FanOut to 0 and run `pulumi up`",
            )
        self._memories.pop(call.parameters["TopicArn"], None)


def _check_topic(call: AwsCall) -> None:
    attributes = _attributes(call)
    if call.operation == "SetTopicAttributes":
        attributes = {call.parameters["AttributeName"]: call.parameters.get("AttributeValue", "")}
    for problem in attribute_problems(attributes):
        raise AwsError("InvalidParameter", f"Invalid parameter: Attributes Reason: {problem}")


def _check_replay(policy: Mapping[str, Any], topic: Topic) -> None:
    if "EndingPoint" in policy or policy.get("PointType") != "Timestamp":
        raise NotSimulated(
            "the local endpoint replays from a Timestamp up to now, and then live: leave EndingPoint out"
        )
    if not archive_seconds(topic.attributes):
        raise AwsError("InvalidParameter", "Invalid parameter: ReplayPolicy: the topic has no active ArchivePolicy")
    try:
        _time(policy["StartingPoint"])
    except (KeyError, TypeError, ValueError):
        raise AwsError("InvalidParameter", "Invalid parameter: ReplayPolicy: StartingPoint is not a time") from None


def _time(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _message(topic: Topic, entry: Mapping[str, Any]) -> TopicMessage:
    body = entry.get("Message", "")
    given = entry.get("MessageDeduplicationId", "")
    by_content = topic.attributes.get("ContentBasedDeduplication") == "true"
    content = hashlib.sha256(body.encode()).hexdigest() if by_content else ""
    return TopicMessage(body, entry.get("MessageGroupId", ""), given or content)


def _attributes(call: AwsCall) -> dict[str, str]:
    return numbered(call.parameters.get("Attributes", {}))


def _entries(given: Mapping[str, str]) -> list[dict[str, str]]:
    """Read a list of structures, which the query protocol numbers: `member.1.Id`."""
    entries: dict[int, dict[str, str]] = {}
    for name, value in given.items():
        _, number, member = name.split(".", 2)
        entries.setdefault(int(number), {})[member] = value
    return [entries[number] for number in sorted(entries)]


def _member(**members: str) -> str:
    return "<member>" + "".join(f"<{name}>{escape(value)}</{name}>" for name, value in members.items()) + "</member>"


def _answer(operation: str, members: str) -> Reply:
    text = (
        f'<{operation}Response xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><{operation}Result>{members}'
        f"</{operation}Result><ResponseMetadata><RequestId>local</RequestId></ResponseMetadata></{operation}Response>"
    )
    return Reply.plain(200, {"content-type": "text/xml"}, text.encode())
