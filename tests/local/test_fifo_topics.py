"""FIFO topics: groups, repeats, sizes, undeliverable messages, archive and replay (docs/aws-semantics.md §10.1)."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from botocore.exceptions import ClientError

honours = pytest.mark.honours
FIFO = {"FifoTopic": "true", "FifoThroughputScope": "MessageGroup"}


class Topic:
    """A FIFO topic of one test, and queues that are subscribed to it."""

    def __init__(self, world, **attributes):
        self.world = world
        self.sns, self.sqs = world.client("sns"), world.client("sqs")
        made = self.sns.create_topic(Name=f"{world.name}.fifo", Attributes={**FIFO, **attributes})
        self.arn = made["TopicArn"]

    def queue(self, name: str, *, allowed: bool = True, **attributes: str) -> str:
        """Make a FIFO queue that the topic may send to; its URL."""
        made = self.sqs.create_queue(
            QueueName=f"{self.world.name}-{name}.fifo",
            Attributes={"FifoQueue": "true", "DeduplicationScope": "messageGroup", **attributes},
        )["QueueUrl"]
        if allowed:
            statement = {
                "Effect": "Allow",
                "Action": "sqs:SendMessage",
                "Resource": self.queue_arn(made),
                "Principal": {"Service": "sns.amazonaws.com"},
                "Condition": {"ArnEquals": {"aws:SourceArn": self.arn}},
            }
            policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
            self.sqs.set_queue_attributes(QueueUrl=made, Attributes={"Policy": policy})
        return made

    def queue_arn(self, url: str) -> str:
        return self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]

    def subscribe(self, url: str, **attributes: str) -> str:
        return self.sns.subscribe(
            TopicArn=self.arn,
            Protocol="sqs",
            Endpoint=self.queue_arn(url),
            Attributes={"RawMessageDelivery": "true", **attributes},
            ReturnSubscriptionArn=True,
        )["SubscriptionArn"]

    def publish(self, body: str, group: str = "g", once: str | None = None):
        return self.sns.publish(
            TopicArn=self.arn, Message=body, MessageGroupId=group, MessageDeduplicationId=once or body
        )

    def received(self, url: str) -> list[tuple[str, str]]:
        """Take every message of a queue that is visible; group and body."""
        found: list[tuple[str, str]] = []
        while True:
            messages = self.sqs.receive_message(
                QueueUrl=url, MaxNumberOfMessages=10, AttributeNames=["MessageGroupId"]
            ).get("Messages", [])
            if not messages:
                return found
            for message in messages:
                found.append((message["Attributes"]["MessageGroupId"], message["Body"]))
                self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])


@pytest.fixture
def topic(world) -> Topic:
    return Topic(world)


def entry(number: int, body: str, group: str = "g") -> dict[str, str]:
    return {"Id": str(number), "Message": body, "MessageGroupId": group, "MessageDeduplicationId": f"once-{number}"}


def refused(call, *arguments, **named) -> str:
    with pytest.raises(ClientError) as raised:
        call(*arguments, **named)
    error = raised.value.response["Error"]
    return f"{error['Code']}: {error['Message']}"


@honours("sns:CreateTopic", "Name Attributes")
@honours("sns:Subscribe", "TopicArn Protocol Endpoint ReturnSubscriptionArn Attributes")
@honours("sns:Publish", "TopicArn Message MessageGroupId MessageDeduplicationId")
@honours("sns:PublishBatch", "TopicArn PublishBatchRequestEntries")
def test_every_subscribed_queue_gets_each_message_raw_in_the_order_of_its_group(topic: Topic) -> None:
    first, second = topic.queue("a"), topic.queue("b")
    topic.subscribe(first)
    topic.subscribe(second)
    one = topic.publish("one")
    answer = topic.sns.publish_batch(
        TopicArn=topic.arn, PublishBatchRequestEntries=[entry(0, "two"), entry(1, "three & <four>", "h")]
    )
    numbers = [int(each["SequenceNumber"]) for each in (one, *answer["Successful"])]
    assert numbers == sorted(set(numbers))
    assert [each["Id"] for each in answer["Successful"]] == ["0", "1"]
    assert topic.received(first) == topic.received(second) == [("g", "one"), ("g", "two"), ("h", "three & <four>")]


def test_a_repeat_in_the_same_group_is_answered_alike_and_delivered_to_nobody_for_five_minutes(topic: Topic) -> None:
    url = topic.queue("a")
    topic.subscribe(url)
    first, repeat = topic.publish("one", once="1"), topic.publish("again", once="1")
    assert (first["MessageId"], first["SequenceNumber"]) == (repeat["MessageId"], repeat["SequenceNumber"])
    topic.publish("elsewhere", "h", once="1")
    assert topic.received(url) == [("g", "one"), ("h", "elsewhere")]
    topic.world.control.advance_clock(301)
    topic.publish("later", once="1")
    assert topic.received(url) == [("g", "later")]


def test_a_topic_without_the_scope_of_groups_takes_an_id_once(world) -> None:
    topic = Topic(world, FifoThroughputScope="Topic")
    url = topic.queue("a")
    topic.subscribe(url)
    topic.publish("one", "g", once="1")
    topic.publish("two", "h", once="1")
    assert topic.received(url) == [("g", "one")]


def test_a_message_has_the_topic_s_size_and_so_has_the_sum_of_a_batch(world) -> None:
    topic = Topic(world, MaximumMessageSize="1048576")
    url = topic.queue("a")
    topic.subscribe(url)
    topic.publish("x" * 1_048_576, once="1")
    assert [len(body) for _, body in topic.received(url)] == [1_048_576]
    assert "Message too long. Maximum size is 1048576 bytes." in refused(topic.publish, "x" * 1_048_577, once="2")
    halves = [entry(0, "x" * 524_288), entry(1, "x" * 524_289)]
    assert "BatchRequestTooLong" in refused(
        topic.sns.publish_batch, TopicArn=topic.arn, PublishBatchRequestEntries=halves
    )
    assert topic.received(url) == []


@honours("sns:SetTopicAttributes", "TopicArn AttributeName AttributeValue")
def test_a_topic_takes_256_kib_unless_told_otherwise(topic: Topic) -> None:
    assert "Maximum size is 262144 bytes." in refused(topic.publish, "x" * 262_145, once="1")
    topic.sns.set_topic_attributes(TopicArn=topic.arn, AttributeName="MaximumMessageSize", AttributeValue="300000")
    topic.publish("x" * 262_145, once="1")


def test_a_batch_answers_which_entries_failed(topic: Topic) -> None:
    url = topic.queue("a")
    topic.subscribe(url)
    without_group = {"Id": "1", "Message": "two", "MessageDeduplicationId": "2"}
    answer = topic.sns.publish_batch(TopicArn=topic.arn, PublishBatchRequestEntries=[entry(0, "one"), without_group])
    assert [each["Id"] for each in answer["Successful"]] == ["0"]
    assert [(each["Id"], each["Code"], each["SenderFault"]) for each in answer["Failed"]] == [
        ("1", "InvalidParameter", True)
    ]
    assert topic.received(url) == [("g", "one")]


def test_a_batch_of_eleven_is_refused(topic: Topic) -> None:
    eleven = [entry(number, "x") for number in range(11)]
    assert "TooManyEntriesInBatchRequest" in refused(
        topic.sns.publish_batch, TopicArn=topic.arn, PublishBatchRequestEntries=eleven
    )


@pytest.mark.parametrize("gone", [True, False], ids=["a queue that is gone", "a queue that denies the topic"])
def test_what_cannot_be_delivered_goes_to_the_subscription_s_dead_letter_queue(topic: Topic, gone: bool) -> None:
    url, dead, other = topic.queue("a", allowed=False), topic.queue("dead"), topic.queue("other")
    topic.subscribe(url, RedrivePolicy=json.dumps({"deadLetterTargetArn": topic.queue_arn(dead)}))
    topic.subscribe(other)
    if gone:
        topic.sqs.delete_queue(QueueUrl=url)
    topic.publish("one")
    assert topic.received(dead) == topic.received(other) == [("g", "one")]
    name = f"{topic.world.name}.fifo"
    counted = {
        each["name"]: each["sum"] for each in topic.world.control.metrics() if each["dimensions"] == {"TopicName": name}
    }
    assert counted == {
        "NumberOfMessagesPublished": 1,
        "NumberOfNotificationsDelivered": 1,
        "NumberOfNotificationsFailed": 1,
        "NumberOfNotificationsRedrivenToDlq": 1,
    }


def test_without_a_dead_letter_queue_what_cannot_be_delivered_is_lost(topic: Topic) -> None:
    url = topic.queue("a", allowed=False)
    topic.subscribe(url)
    topic.publish("one")
    assert topic.received(url) == []


def test_a_new_subscription_replays_the_archive_from_a_time_and_goes_on_live(world) -> None:
    topic = Topic(world, ArchivePolicy='{"MessageRetentionPeriod":"2"}')
    topic.publish("before")
    since = datetime.fromtimestamp(world.control.advance_clock(60), UTC).isoformat()
    topic.publish("after")
    url = topic.queue("a")
    topic.subscribe(url, ReplayPolicy=json.dumps({"PointType": "Timestamp", "StartingPoint": since}))
    topic.publish("live")
    assert topic.received(url) == [("g", "after"), ("g", "live")]


@honours("sns:GetSubscriptionAttributes", "SubscriptionArn")
@honours("sns:ListSubscriptionsByTopic", "TopicArn")
def test_a_subscription_with_a_replay_policy_says_how_far_the_replay_is(world) -> None:
    topic = Topic(world, ArchivePolicy='{"MessageRetentionPeriod":"2"}')
    since = datetime.fromtimestamp(world.control.advance_clock(0), UTC).isoformat()
    topic.publish("one")
    url = topic.queue("a")
    replays = topic.subscribe(url, ReplayPolicy=json.dumps({"PointType": "Timestamp", "StartingPoint": since}))
    without = topic.subscribe(topic.queue("b"))

    def status(subscription: str) -> str | None:
        described = topic.sns.get_subscription_attributes(SubscriptionArn=subscription)["Attributes"]
        assert described["SubscriptionArn"] == subscription
        return described.get("ReplayStatus")

    assert (status(replays), status(without)) == ("Completed", None)
    assert topic.received(url) == [("g", "one")]
    listed = topic.sns.list_subscriptions_by_topic(TopicArn=topic.arn)["Subscriptions"]
    assert [each["SubscriptionArn"] for each in listed] == [replays, without]


def test_a_topic_with_an_archive_is_deleted_in_two_steps(world) -> None:
    topic = Topic(world, ArchivePolicy='{"MessageRetentionPeriod":"1"}')
    message = refused(topic.sns.delete_topic, TopicArn=topic.arn)
    assert "a topic with an active ArchivePolicy cannot be deleted. End the archive first" in message
    assert "set ArchivePolicy to {}, or archive_days of a FanOut to 0 and run `pulumi up`" in message
    topic.sns.set_topic_attributes(TopicArn=topic.arn, AttributeName="ArchivePolicy", AttributeValue="{}")
    topic.sns.delete_topic(TopicArn=topic.arn)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"MaximumMessageSize": "1048577"}, "MaximumMessageSize must be 1024 to 1048576"),
        ({"FifoThroughputScope": "Group"}, "FifoThroughputScope must be Topic or MessageGroup"),
        ({"ArchivePolicy": '{"MessageRetentionPeriod":"366"}'}, "ArchivePolicy must be"),
        ({"KmsMasterKeyId": "key"}, "NotSimulated"),
        ({"FifoTopic": "false"}, "NotSimulated"),
    ],
)
def test_a_topic_that_aws_would_refuse_or_that_is_not_simulated_is_refused(world, attributes, message) -> None:
    assert message in refused(Topic, world, **attributes)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"RawMessageDelivery": "false"}, "delivers messages of FIFO topics raw only"),
        ({"FilterPolicy": "{}"}, "NotSimulated"),
        (
            {"RedrivePolicy": '{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:111122223333:standard"}'},
            "the dead-letter queue must be of the same type as the queue",
        ),
        (
            {"ReplayPolicy": '{"PointType":"Timestamp","StartingPoint":"2026-01-31T08:30:00Z"}'},
            "the topic has no active ArchivePolicy",
        ),
        (
            {"ReplayPolicy": '{"PointType":"Timestamp","StartingPoint":"x","EndingPoint":"y"}'},
            "replays from a Timestamp up to now",
        ),
    ],
)
def test_a_subscription_that_aws_would_refuse_or_that_is_not_simulated_is_refused(topic, attributes, message) -> None:
    assert message in refused(topic.subscribe, topic.queue("a"), **attributes)


def test_a_fifo_topic_delivers_to_queues_only(topic: Topic) -> None:
    assert "FIFO topics deliver to SQS queues only" in refused(
        topic.sns.subscribe, TopicArn=topic.arn, Protocol="email", Endpoint="ada@example.com"
    )
