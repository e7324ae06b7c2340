"""Kinesis Data Streams for DynamoDB, as their clients see it, and what is refused of Kinesis."""

from __future__ import annotations

import base64
import json
import re
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError

conforms = pytest.mark.conformance
honours = pytest.mark.honours

NOT_VALID = "Table is not in a valid state to enable Kinesis Streaming Destination: "


class Destination:
    """A table with a stream of its own, and a Kinesis stream for its changes, both named after the test."""

    def __init__(self, world: Any) -> None:
        self.world = world
        self.tables = world.client("dynamodb")
        self.kinesis = world.client("kinesis")
        self.table_stream = world.table()
        self.arn = self.stream(world.name)

    def stream(self, name: str) -> str:
        """Make a Kinesis stream; its ARN."""
        self.kinesis.create_stream(StreamName=name, ShardCount=1)
        return f"arn:aws:kinesis:us-east-1:111122223333:stream/{name}"

    def named(self, arn: str | None = None) -> dict[str, str]:
        """Table and stream as calls name them."""
        return {"TableName": self.world.name, "StreamArn": arn or self.arn}

    def enable(self, arn: str | None = None, precision: str | None = None) -> Any:
        """Let the stream get the table's changes."""
        asked = {} if precision is None else {"ApproximateCreationDateTimePrecision": precision}
        return self.tables.enable_kinesis_streaming_destination(
            **self.named(arn), EnableKinesisStreamingConfiguration=asked
        )

    def update(self, precision: str) -> Any:
        """Set the precision of times."""
        asked = {"ApproximateCreationDateTimePrecision": precision}
        return self.tables.update_kinesis_streaming_destination(
            **self.named(), UpdateKinesisStreamingConfiguration=asked
        )

    def described(self) -> list[tuple[str, str]]:
        """Status and precision of the table's destinations."""
        found = self.tables.describe_kinesis_streaming_destination(TableName=self.world.name)
        return [
            (each["DestinationStatus"], each["ApproximateCreationDateTimePrecision"])
            for each in found["KinesisDataStreamDestinations"]
        ]

    def changes(self) -> list[Any]:
        """The changes in the stream."""
        return [json.loads(each["Data"]) for each in self.records()]

    def records(self) -> list[Any]:
        """The records of the stream."""
        iterator = self.kinesis.get_shard_iterator(
            StreamARN=self.arn, ShardId="shardId-000000000000", ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        return self.kinesis.get_records(ShardIterator=iterator)["Records"]


@pytest.fixture
def destination(world):
    return Destination(world)


def values(value: str) -> dict[str, Any]:
    """The value of an update expression's `:x`."""
    return {"ExpressionAttributeValues": {":x": {"S": value}}}


def refused(call, *arguments, **named) -> tuple[str, str]:
    """Code and message of an error."""
    with pytest.raises(ClientError) as error:
        call(*arguments, **named)
    return error.value.response["Error"]["Code"], error.value.response["Error"]["Message"]


@conforms("KDS-1", "recorded")
def test_kds_1_a_table_has_one_destination_at_a_time(destination):
    destination.enable()
    other = destination.stream(f"{destination.world.name}-other")
    taken = "EnableKinesisStreamingDestination must be DISABLED or ENABLE_FAILED to perform ENABLE operation."
    for arn in (destination.arn, other):
        assert refused(destination.enable, arn) == ("ValidationException", NOT_VALID + taken)
    destination.tables.disable_kinesis_streaming_destination(**destination.named())
    destination.enable(other)


@conforms("KDS-1", "documented")
def test_kds_1_a_stream_of_another_region_or_account_is_none_for_a_table(destination):
    for region, account in (("eu-west-1", "111122223333"), ("us-east-1", "444455556666")):
        arn = f"arn:aws:kinesis:{region}:{account}:stream/{destination.world.name}"
        assert refused(destination.enable, arn)[0] == "ResourceNotFoundException"


@conforms("KDS-1", "documented")
def test_kds_1_a_table_streams_to_kinesis_and_has_a_stream_of_its_own(destination):
    destination.enable()
    mapping = destination.world.mapping(destination.table_stream, destination.world.function())
    destination.world.put("a")
    destination.world.settle(mapping)
    assert destination.world.invocations(mapping) == [(["a"], "success")]
    assert [each["dynamodb"]["Keys"] for each in destination.changes()] == [{"id": {"S": "a"}}]


@honours("dynamodb:UpdateKinesisStreamingDestination", "TableName StreamArn UpdateKinesisStreamingConfiguration")
@conforms("KDS-4", "documented")
def test_kds_4_times_are_in_milliseconds_or_in_microseconds(destination):
    now = destination.world.control.advance_clock(0)
    assert destination.enable(precision="MICROSECOND")["DestinationStatus"] == "ENABLING"
    assert destination.described() == [("ACTIVE", "MICROSECOND")]
    destination.world.put("a")
    assert destination.update("MILLISECOND")["DestinationStatus"] == "UPDATING"
    assert destination.described() == [("ACTIVE", "MILLISECOND")]
    destination.world.put("b")
    fine, coarse = [each["dynamodb"]["ApproximateCreationDateTime"] for each in destination.changes()]
    assert now <= fine / 1_000_000 <= destination.world.control.advance_clock(0)
    assert int(now * 1000) <= coarse <= destination.world.control.advance_clock(0) * 1000
    disabled = destination.tables.disable_kinesis_streaming_destination(**destination.named())
    assert (disabled["DestinationStatus"], destination.described()[0][0]) == ("DISABLING", "DISABLED")


@conforms("KDS-4", "recorded")
def test_kds_4_a_precision_that_is_set_already_or_of_no_destination_is_refused(destination):
    table_id = destination.tables.describe_table(TableName=destination.world.name)["Table"]["TableId"]
    not_active = "Kinesis streaming is not in ACTIVE state. Updates are only allowed in ACTIVE state. TableName: "
    assert refused(destination.update, "MICROSECOND") == (
        "ValidationException",
        f"{NOT_VALID}{not_active}{destination.world.name}",
    )
    never = refused(destination.tables.disable_kinesis_streaming_destination, **destination.named())
    assert never == (
        "ValidationException",
        f"{NOT_VALID}KinesisStreamingDestination must be ACTIVE to perform DISABLE operation.",
    )
    destination.enable()
    already = "Invalid Request: Precision is already set to the desired value of MILLISECOND for tableId: "
    assert refused(destination.update, "MILLISECOND") == (
        "ValidationException",
        f"{already}{table_id}, kdsArn: {destination.arn}",
    )
    assert refused(destination.update, "NANOSECOND")[0] == "ValidationException"


@conforms("KDS-6", "documented")
def test_kds_6_a_binary_is_encoded_twice(destination):
    destination.enable()
    destination.tables.put_item(
        TableName=destination.world.name, Item={"id": {"S": "a"}, "photo": {"B": b"\xff\x00"}, "all": {"BS": [b"b"]}}
    )
    (change,) = destination.changes()
    image = change["dynamodb"]["NewImage"]
    assert base64.b64decode(base64.b64decode(image["photo"]["B"])) == b"\xff\x00"
    assert [base64.b64decode(base64.b64decode(each)) for each in image["all"]["BS"]] == [b"b"]


@conforms("KDS-8", "recorded")
def test_kds_8_partition_keys_are_upper_case_hex_and_event_ids_have_dashes(destination):
    destination.enable()
    destination.world.put("a", "b")
    keys = [each["PartitionKey"] for each in destination.records()]
    assert all(re.fullmatch(r"[0-9A-F]{32}", each) for each in keys)
    assert keys[0] != keys[1]
    assert all(str(uuid.UUID(each["eventID"])) == each["eventID"] for each in destination.changes())


@conforms("KDS-8", "recorded")
def test_kds_8_a_record_in_microseconds_says_so_in_its_last_member_and_another_does_not(destination):
    destination.enable(precision="MICROSECOND")
    destination.world.put("a")
    destination.update("MILLISECOND")
    destination.world.put("b")
    fine, coarse = [each["dynamodb"] for each in destination.changes()]
    assert list(fine)[-1] == "ApproximateCreationDateTimePrecision"
    assert fine["ApproximateCreationDateTimePrecision"] == "MICROSECOND"
    assert "ApproximateCreationDateTimePrecision" not in coarse


@conforms("KDS-10", "recorded")
def test_kds_10_the_first_change_after_enabling_again_comes_twice_under_different_event_ids(destination):
    destination.enable()
    destination.world.put("a")
    destination.tables.disable_kinesis_streaming_destination(**destination.named())
    destination.world.put("b")
    destination.enable()
    destination.world.put("c", "d")
    changes = destination.changes()
    assert [each["dynamodb"]["Keys"]["id"]["S"] for each in changes] == ["a", "c", "c", "d"]
    assert len({each["eventID"] for each in changes}) == 4
    first, again = ({**each, "eventID": ""} for each in changes[1:3])
    assert first == again


@conforms("KDS-9", "recorded")
def test_kds_9_writes_that_change_nothing_send_nothing(destination):
    item, named = {"id": {"S": "a"}, "tags": {"SS": ["x", "y"]}}, {"TableName": destination.world.name}
    destination.enable()
    destination.tables.put_item(Item=item, **named)
    destination.tables.put_item(Item=item, **named)
    destination.tables.put_item(Item={**item, "tags": {"SS": ["y", "x"]}}, **named)
    destination.tables.update_item(Key={"id": {"S": "a"}}, UpdateExpression="SET id2 = :x", **values("b"), **named)
    destination.tables.update_item(Key={"id": {"S": "a"}}, UpdateExpression="SET id2 = :x", **values("b"), **named)
    again = {**item, "id2": {"S": "b"}}
    destination.tables.batch_write_item(RequestItems={destination.world.name: [{"PutRequest": {"Item": again}}]})
    destination.tables.delete_item(Key={"id": {"S": "nobody"}}, **named)
    assert [each["eventName"] for each in destination.changes()] == ["INSERT", "MODIFY"]


@conforms("KDS-9", "recorded")
def test_kds_9_a_transaction_that_changes_nothing_sends_equal_images(destination):
    item, named = {"id": {"S": "a"}, "n": {"S": "b"}}, {"TableName": destination.world.name}
    update = {"Key": {"id": {"S": "a"}}, "UpdateExpression": "SET n = :x", **values("b"), **named}
    destination.enable()
    destination.tables.put_item(Item=item, **named)
    destination.tables.transact_write_items(TransactItems=[{"Put": {"Item": item, **named}}])
    destination.tables.transact_write_items(TransactItems=[{"Update": update}])
    destination.tables.put_item(Item=item, **named)
    first, *others = destination.changes()
    assert [each["eventName"] for each in (first, *others)] == ["INSERT", "MODIFY", "MODIFY"]
    assert all(each["dynamodb"]["OldImage"] == each["dynamodb"]["NewImage"] == item for each in others)


@pytest.mark.parametrize(
    ("operation", "arguments", "named"),
    [
        (
            "register_stream_consumer",
            {"StreamARN": "arn:aws:kinesis:::s", "ConsumerName": "c"},
            "RegisterStreamConsumer",
        ),
        ("subscribe_to_shard", {"ConsumerARN": "arn:aws:kinesis:::s"}, "SubscribeToShard"),
    ],
)
@conforms("KDS-3", "documented", refused=True)
def test_kds_3_enhanced_fan_out_is_refused_by_name(world, operation, arguments, named):
    more = {"ShardId": "shardId-000000000000", "StartingPosition": {"Type": "LATEST"}}
    asked = arguments | (more if operation == "subscribe_to_shard" else {})
    code, message = refused(getattr(world.client("kinesis"), operation), **asked)
    assert (code, f"kinesis:{named}" in message) == ("NotSimulated", True)


@conforms("KDS-7", "documented", refused=True)
def test_kds_7_a_service_linked_role_is_refused_by_name(world):
    service = "kinesisreplication.dynamodb.amazonaws.com"
    code, message = refused(world.client("iam").create_service_linked_role, AWSServiceName=service)
    assert (code, "iam:CreateServiceLinkedRole" in message) == ("NotSimulated", True)


@pytest.mark.parametrize(
    ("operation", "arguments"),
    [
        ("SplitShard", {"ShardToSplit": "shardId-000000000000", "NewStartingHashKey": "1"}),
        ("MergeShards", {"ShardToMerge": "shardId-000000000000", "AdjacentShardToMerge": "shardId-000000000001"}),
        ("UpdateShardCount", {"TargetShardCount": 2, "ScalingType": "UNIFORM_SCALING"}),
        ("UpdateStreamMode", {"StreamModeDetails": {"StreamMode": "ON_DEMAND"}}),
    ],
)
def test_what_would_change_the_shards_of_a_kinesis_stream_is_refused_by_name(destination, operation, arguments):
    client = destination.kinesis
    method = {name: method for method, name in client.meta.method_to_api_mapping.items()}[operation]
    stream = {"StreamARN" if operation == "UpdateStreamMode" else "StreamName": destination.arn}
    if "StreamName" in stream:
        stream["StreamName"] = destination.world.name
    code, message = refused(getattr(client, method), **stream, **arguments)
    assert (code, f"kinesis:{operation}" in message) == ("NotSimulated", True)
    assert len(client.list_shards(StreamARN=destination.arn)["Shards"]) == 1
