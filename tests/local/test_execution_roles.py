"""Event source mappings read and write with the role of their function."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

conforms = pytest.mark.conformance

READ_STREAM = ("dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator")
READ_QUEUE = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")


def allow(resource, *actions):
    return {"Effect": "Allow", "Action": list(actions), "Resource": resource}


@pytest.fixture
def queue(world):
    """A queue; its URL and ARN."""
    url = world.client("sqs").create_queue(QueueName=world.name)["QueueUrl"]
    return url, f"arn:aws:sqs:us-east-1:111122223333:{world.name}"


def refusal(world, source, **settings) -> tuple[str, str]:
    """The code and message that a mapping is refused with."""
    with pytest.raises(ClientError) as refused:
        world.client("lambda").create_event_source_mapping(FunctionName=world.name, EventSourceArn=source, **settings)
    return refused.value.response["Error"]["Code"], refused.value.response["Error"]["Message"]


def result(world, mapping) -> str:
    return world.client("lambda").get_event_source_mapping(UUID=mapping)["LastProcessingResult"]


def cannot_access(stream) -> tuple[str, str]:
    message = (
        f"Cannot access stream {stream}. Please ensure the role can perform the GetRecords, GetShardIterator, "
        "DescribeStream, and ListStreams Actions on your stream in IAM."
    )
    return "InvalidParameterValueException", message


@pytest.mark.parametrize("missing", READ_STREAM)
def test_a_mapping_is_refused_when_the_role_may_not_read_the_stream(world, missing):
    stream = world.table()
    role = world.make_role(world.name, allow(stream, *(each for each in READ_STREAM if each != missing)))
    world.function(role=role)
    assert refusal(world, stream, StartingPosition="LATEST") == cannot_access(stream)
    world.allow(world.name, allow(stream, *READ_STREAM))
    world.mapping(stream)


def test_a_mapping_is_refused_when_the_role_does_not_exist(world):
    stream = world.table()
    world.function(role="arn:aws:iam::111122223333:role/nobody")
    assert refusal(world, stream, StartingPosition="LATEST") == cannot_access(stream)


def test_a_mapping_is_refused_when_the_role_may_read_another_table(world):
    stream, other = world.table(), world.table(f"{world.name}-other")
    world.function(role=world.make_role(world.name, allow(other, *READ_STREAM)))
    assert refusal(world, stream, StartingPosition="LATEST") == cannot_access(stream)


@pytest.mark.parametrize("missing", READ_QUEUE)
def test_a_mapping_is_refused_when_the_role_may_not_read_the_queue(world, queue, missing):
    role = world.make_role(world.name, allow(queue[1], *(each for each in READ_QUEUE if each != missing)))
    world.function(role=role)
    operation = missing.partition(":")[2]
    assert refusal(world, queue[1]) == (
        "InvalidParameterValueException",
        f"The provided execution role does not have permissions to call {operation} on SQS",
    )


@conforms("ESM-STATE-4", "recorded")
def test_esm_state_4_a_role_that_loses_the_stream_leaves_the_mapping_enabled_and_nothing_is_lost(world):
    stream = world.table()
    world.function(role=world.make_role(world.name, allow(stream, *READ_STREAM)))
    mapping = world.mapping(stream)
    world.put("a")
    world.settle(mapping)
    world.allow(world.name, {**allow("*", "dynamodb:DescribeStream"), "Effect": "Deny"})
    world.put("b")
    world.wait_until(lambda: "not authorized to perform: dynamodb:DescribeStream" in result(world, mapping))
    assert result(world, mapping).startswith("PROBLEM: ")
    assert world.control.mapping(mapping).state == "Enabled"
    assert world.invocations(mapping) == [(["a"], "success")]
    world.allow(world.name, allow(stream, *READ_STREAM))
    world.settle(mapping)
    assert world.invocations(mapping) == [(["a"], "success"), (["b"], "success")]
    assert result(world, mapping) == "OK"


def test_a_role_that_loses_the_queue_leaves_its_messages_until_it_may_read_again(world, queue):
    url, arn = queue
    world.function(
        "def handler(event, context):\n    pass\n", role=world.make_role(world.name, allow(arn, *READ_QUEUE))
    )
    mapping = world.client("lambda").create_event_source_mapping(FunctionName=world.name, EventSourceArn=arn)["UUID"]
    world.adopt(mapping)
    world.settle(mapping)
    world.allow(world.name, allow(arn, "sqs:DeleteMessage"))
    world.client("sqs").send_message(QueueUrl=url, MessageBody="a")
    (message,) = world.client("sqs").receive_message(QueueUrl=url, VisibilityTimeout=0)["Messages"]
    assert message["Body"] == "a"
    assert world.control.history(mapping) == []
    world.allow(world.name, allow(arn, *READ_QUEUE))
    world.settle(mapping)
    assert [entry["outcome"] for entry in world.control.history(mapping)] == ["success"]


@conforms("ESM-DEST-8", "recorded")
@pytest.mark.parametrize("service", ["sqs", "sns", "s3"])
def test_esm_dest_8_a_document_that_the_role_may_not_send_is_dropped_and_counted(world, service, queue):
    stream = world.table()
    topic = world.client("sns").create_topic(Name=world.name)["TopicArn"]
    destination, action, allowed = {
        "sqs": (queue[1], "sqs:SendMessage", queue[1]),
        "sns": (topic, "sns:Publish", topic),
        "s3": (world.bucket(), "s3:PutObject", f"arn:aws:s3:::{world.name}/aws/lambda/*"),
    }[service]
    world.function(role=world.make_role(world.name, allow(stream, *READ_STREAM)))
    settings = {"DestinationConfig": {"OnFailure": {"Destination": destination}}, "MaximumRetryAttempts": 0}
    mapping = world.mapping(stream, BatchSize=1, **settings)
    world.put("a", do="raise")
    world.put("b")
    world.settle(mapping)
    assert world.invocations(mapping) == [(["a"], "error"), (["b"], "success")]
    assert [each["location"] for each in world.given_up(mapping)] == [None]
    assert world.control.metric_sum("DestinationDeliveryFailures", FunctionName=world.name) == 1
    assert "Messages" not in world.client("sqs").receive_message(QueueUrl=queue[0])
    if service == "s3":
        assert world.client("s3").list_objects_v2(Bucket=world.name)["KeyCount"] == 0
    world.allow(world.name, allow(stream, *READ_STREAM), allow(allowed, action))
    world.put("c", do="raise")
    world.settle(mapping)
    assert world.given_up(mapping)[1]["location"] is not None
    assert world.control.metric_sum("DestinationDeliveryFailures", FunctionName=world.name) == 1
