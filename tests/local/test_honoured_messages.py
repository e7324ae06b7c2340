"""Queues, topics and event buses: what each member of their operations does."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError

honours = pytest.mark.honours


@honours("sqs:CreateQueue", "QueueName")
@honours("sqs:SetQueueAttributes", "QueueUrl Attributes")
@honours("sqs:GetQueueUrl", "QueueName QueueOwnerAWSAccountId")
@honours("sqs:SendMessage", "QueueUrl MessageBody DelaySeconds")
@honours("sqs:SendMessageBatch", "QueueUrl Entries")
@honours("sqs:ReceiveMessage", "QueueUrl MaxNumberOfMessages VisibilityTimeout MessageSystemAttributeNames")
@honours("sqs:ChangeMessageVisibility", "QueueUrl ReceiptHandle VisibilityTimeout")
@honours("sqs:ChangeMessageVisibilityBatch", "QueueUrl Entries")
@honours("sqs:DeleteMessage", "QueueUrl ReceiptHandle")
def test_messages_are_delayed_hidden_and_limited_as_asked(world):
    sqs = world.client("sqs")
    url = sqs.create_queue(QueueName=world.name)["QueueUrl"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "100"})
    assert sqs.get_queue_url(QueueName=world.name)["QueueUrl"] == url
    assert sqs.get_queue_url(QueueName=world.name, QueueOwnerAWSAccountId="111122223333")["QueueUrl"] == url
    with pytest.raises(sqs.exceptions.QueueDoesNotExist):
        sqs.get_queue_url(QueueName=world.name, QueueOwnerAWSAccountId="999988887777")

    def receive(**arguments):
        return sqs.receive_message(QueueUrl=url, **arguments).get("Messages", [])

    sqs.send_message(QueueUrl=url, MessageBody="late", DelaySeconds=60)
    assert receive() == []
    world.control.advance_clock(60)
    (late,) = receive(MessageSystemAttributeNames=["ApproximateReceiveCount"])
    assert late["Attributes"] == {"ApproximateReceiveCount": "1"}
    assert receive() == []
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=late["ReceiptHandle"], VisibilityTimeout=0)
    (late,) = receive(VisibilityTimeout=10)
    entry = {"Id": "0", "ReceiptHandle": late["ReceiptHandle"], "VisibilityTimeout": 0}
    sqs.change_message_visibility_batch(QueueUrl=url, Entries=[entry])
    (late,) = receive(VisibilityTimeout=10)
    world.control.advance_clock(11)
    (late,) = receive()
    sqs.delete_message(QueueUrl=url, ReceiptHandle=late["ReceiptHandle"])
    sqs.send_message_batch(QueueUrl=url, Entries=[{"Id": each, "MessageBody": each} for each in "abc"])
    assert [len(receive(MaxNumberOfMessages=2)) for _ in range(3)] == [2, 1, 0]


@honours("sqs:SendMessage", "MessageAttributes MessageGroupId MessageDeduplicationId")
@honours("sqs:ReceiveMessage", "AttributeNames MessageAttributeNames")
@honours("sqs:DeleteMessageBatch", "QueueUrl Entries")
def test_a_fifo_queue_keeps_the_order_of_a_group_and_takes_a_message_once(world):
    sqs = world.client("sqs")
    url = sqs.create_queue(QueueName=f"{world.name}.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
    colour = {"colour": {"DataType": "String", "StringValue": "red"}}
    for body, once in (("one", "1"), ("two", "2"), ("two again", "2")):
        sqs.send_message(
            QueueUrl=url,
            MessageBody=body,
            MessageGroupId="group",
            MessageDeduplicationId=once,
            MessageAttributes=colour,
        )
    received = sqs.receive_message(
        QueueUrl=url,
        MaxNumberOfMessages=10,
        AttributeNames=["MessageGroupId", "MessageDeduplicationId"],
        MessageAttributeNames=["colour"],
    )["Messages"]
    assert [each["Body"] for each in received] == ["one", "two"]
    assert [each["Attributes"] for each in received] == [
        {"MessageGroupId": "group", "MessageDeduplicationId": once} for once in "12"
    ]
    assert all(each["MessageAttributes"] == colour for each in received)
    entries = [{"Id": each["Body"], "ReceiptHandle": each["ReceiptHandle"]} for each in received]
    assert len(sqs.delete_message_batch(QueueUrl=url, Entries=entries)["Successful"]) == 2
    world.control.advance_clock(60)
    assert "Messages" not in sqs.receive_message(QueueUrl=url)


@honours("sqs:ReceiveMessage", "WaitTimeSeconds")
def test_a_receive_waits_for_a_message(world):
    sqs = world.client("sqs")
    url = sqs.create_queue(QueueName=world.name)["QueueUrl"]
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(sqs.receive_message, QueueUrl=url, WaitTimeSeconds=20)
        world.wait_until(lambda: waiting.running())
        sqs.send_message(QueueUrl=url, MessageBody="late")
        assert [each["Body"] for each in waiting.result(timeout=15)["Messages"]] == ["late"]


def dead_letters(world):
    """A queue for the dead letters of another; its URL and ARN."""
    url = world.client("sqs").create_queue(QueueName=f"{world.name}-dead")["QueueUrl"]
    return url, f"arn:aws:sqs:us-east-1:111122223333:{world.name}-dead"


@honours("sqs:CreateQueue", "Attributes")
@honours("sqs:GetQueueAttributes", "QueueUrl AttributeNames")
def test_the_attributes_of_a_queue_do_what_they_say(world):
    sqs = world.client("sqs")
    dead, dead_arn = dead_letters(world)
    given = {
        "DelaySeconds": "5",
        "MaximumMessageSize": "1024",
        "MessageRetentionPeriod": "60",
        "ReceiveMessageWaitTimeSeconds": "0",
        "RedrivePolicy": json.dumps({"deadLetterTargetArn": dead_arn, "maxReceiveCount": 1}),
        "SqsManagedSseEnabled": "true",
        "VisibilityTimeout": "10",
    }
    url = sqs.create_queue(QueueName=world.name, Attributes=given)["QueueUrl"]
    assert sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(given))["Attributes"] == given

    def receive(queue=url):
        return [each["Body"] for each in sqs.receive_message(QueueUrl=queue).get("Messages", [])]

    with pytest.raises(ClientError, match="must be shorter than 1024 bytes"):
        sqs.send_message(QueueUrl=url, MessageBody="x" * 1025)
    sqs.send_message(QueueUrl=url, MessageBody="a")
    assert receive() == []  # delayed
    world.control.advance_clock(5)
    assert receive() == ["a"]
    assert receive() == []  # hidden
    world.control.advance_clock(10)
    assert receive() == []  # it was received once, which is all it may be
    assert receive(dead) == ["a"]
    sqs.send_message(QueueUrl=url, MessageBody="old")
    world.control.advance_clock(61)
    assert receive() == []  # its retention is over


def subscribed_queue(world, topic):
    url = world.client("sqs").create_queue(QueueName=world.name)["QueueUrl"]
    arn = f"arn:aws:sqs:us-east-1:111122223333:{world.name}"
    made = world.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, ReturnSubscriptionArn=True)
    assert made["SubscriptionArn"].startswith(f"{topic}:")
    world.let_in(url, "sns", topic)
    return url


@honours("sns:CreateTopic", "Name")
@honours("sns:Subscribe", "TopicArn Protocol Endpoint ReturnSubscriptionArn")
@honours("sns:Publish", "TopicArn Message")
@honours("sns:PublishBatch", "TopicArn PublishBatchRequestEntries")
def test_what_is_published_reaches_the_queue_that_subscribed(world):
    sns = world.client("sns")
    topic = sns.create_topic(Name=world.name)["TopicArn"]
    assert topic == f"arn:aws:sns:us-east-1:111122223333:{world.name}"
    queue = subscribed_queue(world, topic)
    sns.publish(TopicArn=topic, Message="one")
    entries = [{"Id": each, "Message": each} for each in ("two", "three")]
    assert len(sns.publish_batch(TopicArn=topic, PublishBatchRequestEntries=entries)["Successful"]) == 2
    received = world.client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]
    notifications = [json.loads(each["Body"]) for each in received]
    assert [(each["TopicArn"], each["Message"]) for each in notifications] == [
        (topic, message) for message in ("one", "two", "three")
    ]


@honours("sns:Publish", "TopicArn Message Subject MessageAttributes")
@honours("sns:PublishBatch", "TopicArn PublishBatchRequestEntries")
def test_a_notification_carries_subject_and_attributes_and_a_raw_message_the_attributes_alone(world):
    sns, sqs = world.client("sns"), world.client("sqs")
    topic = sns.create_topic(Name=world.name)["TopicArn"]
    wrapped = subscribed_queue(world, topic)
    raw = sqs.create_queue(QueueName=f"{world.name}-raw")["QueueUrl"]
    sns.subscribe(
        TopicArn=topic,
        Protocol="sqs",
        Endpoint=f"arn:aws:sqs:us-east-1:111122223333:{world.name}-raw",
        Attributes={"RawMessageDelivery": "true"},
    )
    world.let_in(raw, "sns", topic)
    message = {
        "Message": "one",
        "Subject": "Plans",
        "MessageAttributes": {"plan": {"DataType": "String", "StringValue": "pro"}},
    }
    sns.publish(TopicArn=topic, **message)
    sns.publish_batch(TopicArn=topic, PublishBatchRequestEntries=[{"Id": "1", **message}])
    for each in sqs.receive_message(QueueUrl=wrapped, MaxNumberOfMessages=10)["Messages"]:
        notification = json.loads(each["Body"])
        assert (notification["Message"], notification["Subject"]) == ("one", "Plans")
        assert notification["MessageAttributes"] == {"plan": {"Type": "String", "Value": "pro"}}
    for each in sqs.receive_message(QueueUrl=raw, MaxNumberOfMessages=10, MessageAttributeNames=["All"])["Messages"]:
        assert each["Body"] == "one"
        assert each["MessageAttributes"] == {"plan": {"StringValue": "pro", "DataType": "String"}}


@pytest.mark.parametrize("subject", ["", " plans", "pl\nans", "pläne", "x" * 100])
def test_a_subject_that_sns_would_not_take_is_refused(world, subject):
    sns = world.client("sns")
    topic = sns.create_topic(Name=world.name)["TopicArn"]
    with pytest.raises(ClientError, match="Invalid parameter: Subject"):
        sns.publish(TopicArn=topic, Message="one", Subject=subject)


def test_what_is_not_simulated_of_a_message_is_refused_by_name(world):
    sns = world.client("sns")
    topic = sns.create_topic(Name=world.name)["TopicArn"]
    attribute = {"plan": {"DataType": "Binary", "BinaryValue": b"pro"}}
    with pytest.raises(ClientError, match="attributes of a topic as text only"):
        sns.publish(TopicArn=topic, Message="one", MessageAttributes=attribute)
    fifo = sns.create_topic(Name=f"{world.name}.fifo", Attributes={"FifoTopic": "true"})["TopicArn"]
    for member in ({"Subject": "Plans"}, {"MessageAttributes": {"a": {"DataType": "String", "StringValue": "b"}}}):
        with pytest.raises(ClientError, match=f"no {next(iter(member))} for a FIFO topic"):
            sns.publish(TopicArn=fifo, Message="one", MessageGroupId="g", MessageDeduplicationId="1", **member)


@honours("events:CreateEventBus", "Name")
@honours("events:PutRule", "Name EventBusName EventPattern State Description")
@honours("events:DescribeRule", "Name EventBusName")
@honours("events:PutTargets", "Rule EventBusName Targets")
@honours("events:PutEvents", "Entries")
def test_a_rule_that_is_enabled_sends_what_its_pattern_matches_on(world):
    events, sqs = world.client("events"), world.client("sqs")
    url = sqs.create_queue(QueueName=world.name)["QueueUrl"]
    events.create_event_bus(Name=world.name)
    rule = {
        "Name": world.name,
        "EventBusName": world.name,
        "EventPattern": '{"source": ["mine"]}',
        "State": "ENABLED",
        "Description": "mine",
    }
    events.put_rule(**rule)
    described = events.describe_rule(Name=world.name, EventBusName=world.name)
    assert {member: described[member] for member in rule} == rule
    target = {"Id": "queue", "Arn": f"arn:aws:sqs:us-east-1:111122223333:{world.name}"}
    events.put_targets(Rule=world.name, EventBusName=world.name, Targets=[target])
    world.let_in(url, "events", f"arn:aws:events:us-east-1:111122223333:rule/{world.name}/{world.name}")

    def send(source):
        entry = {"Source": source, "DetailType": "t", "Detail": "{}", "Resources": ["r"], "EventBusName": world.name}
        assert events.put_events(Entries=[entry])["FailedEntryCount"] == 0
        received = sqs.receive_message(QueueUrl=url).get("Messages", [])
        return [json.loads(each["Body"])["source"] for each in received]

    assert send("another's") == []
    assert send("mine") == ["mine"]
    events.put_rule(**{**rule, "State": "DISABLED"})
    assert send("mine") == []


@honours("sns:CreateTopic", "Attributes")
def test_a_topic_with_the_key_of_sns_passes_messages_on_and_one_with_another_key_is_refused(world):
    sns, sqs = world.client("sns"), world.client("sqs")
    topic = sns.create_topic(Name=world.name, Attributes={"KmsMasterKeyId": "alias/aws/sns"})["TopicArn"]
    assert sns.get_topic_attributes(TopicArn=topic)["Attributes"]["KmsMasterKeyId"] == "alias/aws/sns"
    url, arn = dead_letters(world)
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})
    world.let_in(url, "sns", topic)
    sns.publish(TopicArn=topic, Message="a")
    assert [each["Body"] for each in sqs.receive_message(QueueUrl=url)["Messages"]] == ["a"]
    with pytest.raises(ClientError, match="AWS's own key as KmsMasterKeyId"):
        sns.create_topic(Name=f"{world.name}-2", Attributes={"KmsMasterKeyId": "alias/own"})


def test_a_message_of_a_topic_and_of_a_rule_is_new_whatever_the_endpoints_clock_says(world):
    world.control.advance_clock(5 * 24 * 3600)  # longer than a queue keeps a message
    sqs, sns, events = world.client("sqs"), world.client("sns"), world.client("events")
    url = sqs.create_queue(QueueName=world.name)["QueueUrl"]
    arn = f"arn:aws:sqs:us-east-1:111122223333:{world.name}"
    topic = sns.create_topic(Name=world.name)["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    rule = events.put_rule(Name=world.name, EventPattern=json.dumps({"source": [world.name]}))["RuleArn"]
    events.put_targets(Rule=world.name, Targets=[{"Id": "queue", "Arn": arn}])
    world.let_in(arn, "sns", topic)
    sns.publish(TopicArn=topic, Message="of a topic")
    world.let_in(arn, "events", rule)
    events.put_events(Entries=[{"Source": world.name, "DetailType": "t", "Detail": "{}"}])
    found = []
    world.wait_until(lambda: found.extend(sqs.receive_message(QueueUrl=url).get("Messages", [])) or len(found) == 2)
