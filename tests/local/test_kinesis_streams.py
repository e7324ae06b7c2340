"""Kinesis streams on the endpoint: capacity mode, retention and record size."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.endpoint import Endpoint

conforms = pytest.mark.conformance
honours = pytest.mark.honours

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def aws() -> Iterator[Endpoint]:
    """An endpoint of its own: a year passes here, and other tests keep items until a time by the machine's clock."""
    with Endpoint() as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
def clients() -> dict[str, Any]:
    return {}


class Stream:
    """A stream named after the test."""

    def __init__(self, world, **settings):
        self.world, self.name = world, world.name
        self.arn = f"arn:aws:kinesis:us-east-1:111122223333:stream/{world.name}"
        self.client = world.client("kinesis")
        self.client.create_stream(StreamName=self.name, **settings)

    def summary(self):
        return self.client.describe_stream_summary(StreamName=self.name)["StreamDescriptionSummary"]

    def read(self):
        found = []
        for shard in self.client.list_shards(StreamName=self.name)["Shards"]:
            iterator = self.client.get_shard_iterator(
                StreamName=self.name, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
            )["ShardIterator"]
            found += self.client.get_records(ShardIterator=iterator)["Records"]
        return found


def refused(call, **arguments):
    with pytest.raises(ClientError) as error:
        call(**arguments)
    return error.value.response["Error"]["Code"], error.value.response["Error"]["Message"]


@conforms("KDS-14", "documented")
@honours("kinesis:CreateStream", "StreamModeDetails")
def test_kds_14_an_on_demand_stream_begins_with_four_shards(world):
    stream = Stream(world, StreamModeDetails={"StreamMode": "ON_DEMAND"})
    summary = stream.summary()
    assert (summary["StreamModeDetails"], summary["OpenShardCount"]) == ({"StreamMode": "ON_DEMAND"}, 4)
    on_demand = {"StreamName": f"{world.name}-other", "StreamModeDetails": {"StreamMode": "ON_DEMAND"}}
    code, message = refused(stream.client.create_stream, **on_demand, ShardCount=1)
    assert (code, "ShardCount" in message) == ("ValidationException", True)
    code, message = refused(stream.client.create_stream, StreamName=f"{world.name}-other")
    assert (code, "ShardCount is required" in message) == ("ValidationException", True)


@conforms("KDS-3", "documented")
@honours("kinesis:IncreaseStreamRetentionPeriod", "StreamName StreamARN RetentionPeriodHours")
@honours("kinesis:DecreaseStreamRetentionPeriod", "StreamName StreamARN RetentionPeriodHours")
def test_kds_3_a_stream_keeps_records_for_a_day_to_a_year(world):
    stream = Stream(world, ShardCount=1)
    kinesis = stream.client
    assert stream.summary()["RetentionPeriodHours"] == 24
    kinesis.increase_stream_retention_period(StreamName=stream.name, RetentionPeriodHours=8_760)
    kinesis.put_record(StreamName=stream.name, PartitionKey="k", Data=b"kept")
    world.control.advance_clock(300 * 24 * 3600)
    assert [each["Data"] for each in stream.read()] == [b"kept"]
    kinesis.decrease_stream_retention_period(StreamARN=stream.arn, RetentionPeriodHours=24)
    assert stream.read() == []
    for change, hours in (("increase", 8_761), ("decrease", 23)):
        code, message = refused(
            getattr(kinesis, f"{change}_stream_retention_period"), StreamARN=stream.arn, RetentionPeriodHours=hours
        )
        assert (code, "24 to 8760 hours" in message) == ("InvalidArgumentException", True)
    kinesis.increase_stream_retention_period(StreamARN=stream.arn, RetentionPeriodHours=25)
    kinesis.decrease_stream_retention_period(StreamName=stream.name, RetentionPeriodHours=24)
    assert stream.summary()["RetentionPeriodHours"] == 24


@conforms("KDS-3", "documented")
def test_kds_3_a_mapping_delivers_what_a_longer_retention_has_kept(world):
    stream = Stream(world, ShardCount=1)
    stream.client.increase_stream_retention_period(StreamName=stream.name, RetentionPeriodHours=168)
    since = world.control.advance_clock(0)
    stream.client.put_record(StreamName=stream.name, PartitionKey="old", Data=b"x")
    world.control.advance_clock(100 * 3600)
    world.function("def handler(event, context):\n    pass")
    mapping = world.mapping(stream.arn, StartingPosition="AT_TIMESTAMP", StartingPositionTimestamp=since)
    world.settle(mapping)
    delivered = [entry["keys"] for entry in world.control.history(mapping) if entry["kind"] == "invocation"]
    assert [each["partitionKey"] for (each,) in delivered] == ["old"]


@conforms("KDS-13", "documented")
@honours("kinesis:CreateStream", "MaxRecordSizeInKiB")
@honours("kinesis:UpdateMaxRecordSize", "StreamARN MaxRecordSizeInKiB")
def test_kds_13_a_stream_takes_changes_up_to_its_record_size_and_the_others_are_counted(world):
    world.table()
    stream = Stream(world, ShardCount=1, MaxRecordSizeInKiB=1_024)
    tables = world.client("dynamodb")
    tables.enable_kinesis_streaming_destination(TableName=world.name, StreamArn=stream.arn)

    def put(key):
        # Encoded in base64 twice: 300 KiB become 533 KiB, and two images of them are more than 1 MiB.
        for filling in (b"a", b"b"):
            item = {"id": {"S": key}, "photo": {"B": filling * 300 * 1024}}
            tables.put_item(TableName=world.name, Item=item)

    put("small stream")
    stream.client.update_max_record_size(StreamARN=stream.arn, MaxRecordSizeInKiB=4_096)
    put("large stream")
    changes = [json.loads(each["Data"]) for each in stream.read()]
    assert [(each["dynamodb"]["Keys"]["id"]["S"], each["eventName"]) for each in changes] == [
        ("small stream", "INSERT"),
        ("large stream", "INSERT"),
        ("large stream", "MODIFY"),
    ]
    assert stream.summary()["MaxRecordSizeInKiB"] == 4_096
    (skipped,) = [
        each
        for each in world.control.metrics()
        if each["name"] == "FailedToReplicateRecordCount" and each["dimensions"]["TableName"] == world.name
    ]
    assert (skipped["namespace"], skipped["sum"]) == ("AWS/DynamoDB", 1)
    code, message = refused(stream.client.update_max_record_size, StreamARN=stream.arn, MaxRecordSizeInKiB=10_241)
    assert (code, "1024 to 10240" in message) == ("ValidationException", True)


@honours("kinesis:StartStreamEncryption", "StreamName StreamARN EncryptionType KeyId")
def test_a_stream_s_encryption_is_described(world):
    stream = Stream(world, ShardCount=1)
    stream.client.start_stream_encryption(StreamName=stream.name, EncryptionType="KMS", KeyId="alias/aws/kinesis")
    stream.client.start_stream_encryption(StreamARN=stream.arn, EncryptionType="KMS", KeyId="alias/aws/kinesis")
    assert (stream.summary()["EncryptionType"], stream.summary()["KeyId"]) == ("KMS", "alias/aws/kinesis")


def test_a_client_s_record_of_more_than_a_mebibyte_is_refused_by_name_where_the_stream_would_take_it(world):
    stream = Stream(world, ShardCount=1, MaxRecordSizeInKiB=2_048)
    put = {"StreamName": stream.name, "PartitionKey": "k"}
    code, message = refused(stream.client.put_record, **put, Data=b"x" * (MIB + 1))
    assert (code, "1 MiB here" in message) == ("NotSimulated", True)
    assert refused(stream.client.put_record, **put, Data=b"x" * (2 * MIB + 1))[0] == "ValidationException"
    stream.client.put_record(**put, Data=b"x" * MIB)
    assert len(stream.read()) == 1
