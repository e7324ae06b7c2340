"""Kinesis streams, and what the mappings do that read them."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

import pytest
from botocore.exceptions import ClientError

conforms = pytest.mark.conformance
honours = pytest.mark.honours

#: Prints the event, and does to each record what its data says.
SCRIPTED = """
import base64, json

def handler(event, context):
    print("event", json.dumps(event))
    for record in event["Records"]:
        match base64.b64decode(record["kinesis"]["data"]):
            case b"raise":
                raise ValueError("poison")
            case b"report":
                return {"batchItemFailures": [{"itemIdentifier": record["kinesis"]["sequenceNumber"]}]}
"""

POISON = b"raise"
REPORT = {"FunctionResponseTypes": ["ReportBatchItemFailures"]}
#: Explicit hash keys of the first and of the last shard.
FIRST, LAST = "0", str(2**128 - 1)


class Stream:
    """A stream named after the test, and the function that reads it."""

    def __init__(self, world):
        self.world = world
        self.name = world.name
        self.arn = f"arn:aws:kinesis:us-east-1:111122223333:stream/{world.name}"
        self.client = world.client("kinesis")

    def create(self, shards=1):
        self.client.create_stream(StreamName=self.name, ShardCount=shards)
        self.world.function(SCRIPTED)
        return self

    def put(self, key, data=b"x", **where):
        return self.client.put_record(StreamName=self.name, PartitionKey=key, Data=data, **where)

    def read(self, *, shard="shardId-000000000000", limit=None, **position):
        iterator = self.client.get_shard_iterator(StreamName=self.name, ShardId=shard, **position)["ShardIterator"]
        limits = {} if limit is None else {"Limit": limit}
        return self.client.get_records(ShardIterator=iterator, **limits)

    def mapping(self, **settings):
        return self.world.mapping(self.arn, **settings)

    def deliver(self, records, **settings):
        """Put records and then let a mapping read them, all at once."""
        mapping = self.mapping(Enabled=False, **settings)
        for key, data in records.items():
            self.put(key, data)
        self.world.enable(mapping)
        self.world.settle(mapping)
        return mapping

    def invocations(self, mapping):
        return [
            ([key["partitionKey"] for key in entry["keys"]], entry["outcome"])
            for entry in self.world.control.history(mapping)
            if entry["kind"] == "invocation"
        ]

    def events(self):
        lines = [line for line in self.world.log() if line.startswith("event ")]
        return [json.loads(line.removeprefix("event ")) for line in lines]


@pytest.fixture
def stream(world):
    return Stream(world).create()


def keys(page):
    return [record["PartitionKey"] for record in page["Records"]]


@honours("kinesis:CreateStream", "StreamName ShardCount")
@honours("kinesis:DescribeStream", "StreamName StreamARN Limit ExclusiveStartShardId")
@honours("kinesis:DescribeStreamSummary", "StreamName StreamARN")
@honours("kinesis:ListShards", "StreamName StreamARN MaxResults NextToken ExclusiveStartShardId")
def test_a_stream_is_described_by_name_and_by_arn_until_it_is_deleted(world):
    stream = Stream(world).create(shards=3)
    shard_ids = [f"shardId-{number:012d}" for number in range(3)]
    for named in ({"StreamName": stream.name}, {"StreamARN": stream.arn}):
        described = stream.client.describe_stream(**named, Limit=2)["StreamDescription"]
        assert (described["StreamARN"], described["HasMoreShards"]) == (stream.arn, True)
        assert [shard["ShardId"] for shard in described["Shards"]] == shard_ids[:2]
        rest = stream.client.describe_stream(**named, ExclusiveStartShardId=shard_ids[1])["StreamDescription"]
        assert [shard["ShardId"] for shard in rest["Shards"]] == shard_ids[2:]
        summary = stream.client.describe_stream_summary(**named)["StreamDescriptionSummary"]
        assert (summary["OpenShardCount"], summary["RetentionPeriodHours"]) == (3, 24)
        assert summary["StreamModeDetails"] == {"StreamMode": "PROVISIONED"}
        page = stream.client.list_shards(**named, MaxResults=2)
        following = stream.client.list_shards(NextToken=page["NextToken"], **named)
        assert [shard["ShardId"] for shard in page["Shards"] + following["Shards"]] == shard_ids
        later = stream.client.list_shards(**named, ExclusiveStartShardId=shard_ids[0])["Shards"]
        assert [shard["ShardId"] for shard in later] == shard_ids[1:]
    stream.client.delete_stream(StreamARN=stream.arn)
    with pytest.raises(stream.client.exceptions.ResourceNotFoundException):
        stream.client.describe_stream(StreamName=stream.name)


@honours("kinesis:CreateStream", "StreamModeDetails")
@honours("kinesis:DeleteStream", "StreamName StreamARN")
@honours("kinesis:PutRecord", "StreamARN")
@honours("kinesis:PutRecords", "StreamName")
@honours("kinesis:GetShardIterator", "StreamARN")
def test_a_stream_is_written_and_deleted_by_either_of_its_names(world):
    kinesis = world.client("kinesis")
    arn = f"arn:aws:kinesis:us-east-1:111122223333:stream/{world.name}"
    for delete in ({"StreamName": world.name}, {"StreamARN": arn}):
        kinesis.create_stream(StreamName=world.name, ShardCount=1, StreamModeDetails={"StreamMode": "PROVISIONED"})
        kinesis.put_record(StreamARN=arn, Data=b"1", PartitionKey="k")
        kinesis.put_records(StreamName=world.name, Records=[{"Data": b"2", "PartitionKey": "k"}])
        iterator = kinesis.get_shard_iterator(
            StreamARN=arn, ShardId="shardId-000000000000", ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        assert [each["Data"] for each in kinesis.get_records(ShardIterator=iterator)["Records"]] == [b"1", b"2"]
        kinesis.delete_stream(**delete)
        with pytest.raises(kinesis.exceptions.ResourceNotFoundException):
            kinesis.describe_stream(StreamName=world.name)


@honours("kinesis:GetRecords", "ShardIterator Limit")
@honours("kinesis:GetShardIterator", "StreamName ShardId ShardIteratorType StartingSequenceNumber Timestamp")
def test_a_shard_is_read_by_page_and_from_any_position(stream):
    put = [stream.put(each) for each in "abc"]
    assert keys(stream.read(ShardIteratorType="TRIM_HORIZON", limit=2)) == ["a", "b"]
    first_page = stream.read(ShardIteratorType="TRIM_HORIZON", limit=1)
    assert keys(stream.client.get_records(ShardIterator=first_page["NextShardIterator"])) == ["b", "c"]
    second = put[1]["SequenceNumber"]
    assert keys(stream.read(ShardIteratorType="AT_SEQUENCE_NUMBER", StartingSequenceNumber=second)) == ["b", "c"]
    assert keys(stream.read(ShardIteratorType="AFTER_SEQUENCE_NUMBER", StartingSequenceNumber=second)) == ["c"]
    assert keys(stream.read(ShardIteratorType="LATEST")) == []
    since = stream.read(ShardIteratorType="TRIM_HORIZON")["Records"][0]["ApproximateArrivalTimestamp"]
    assert keys(stream.read(ShardIteratorType="AT_TIMESTAMP", Timestamp=since)) == ["a", "b", "c"]
    stream.world.control.advance_clock(10)
    later = datetime.fromtimestamp(stream.world.control.advance_clock(0), UTC)
    assert keys(stream.read(ShardIteratorType="AT_TIMESTAMP", Timestamp=later)) == []


@honours("kinesis:PutRecord", "StreamName Data PartitionKey ExplicitHashKey")
@honours("kinesis:PutRecords", "StreamARN Records")
def test_a_record_goes_to_the_shard_of_its_hash_key(world):
    stream = Stream(world).create(shards=2)
    assert stream.put("k", ExplicitHashKey=LAST)["ShardId"] == "shardId-000000000001"
    answer = stream.client.put_records(
        StreamARN=stream.arn,
        Records=[
            {"PartitionKey": "k", "Data": b"1", "ExplicitHashKey": FIRST},
            {"PartitionKey": "k", "Data": b"2", "ExplicitHashKey": LAST},
        ],
    )
    assert answer["FailedRecordCount"] == 0
    assert [each["ShardId"][-1] for each in answer["Records"]] == ["0", "1"]
    read = stream.read(shard="shardId-000000000001", ShardIteratorType="TRIM_HORIZON")["Records"]
    assert [record["Data"] for record in read] == [b"x", b"2"]


@pytest.mark.parametrize(
    ("operation", "arguments", "named"),
    [
        ("create_stream", {"Tags": {"a": "b"}}, "Tags"),
        ("create_stream", {"WarmThroughputMiBps": 8}, "WarmThroughputMiBps"),
        ("delete_stream", {"EnforceConsumerDeletion": True}, "EnforceConsumerDeletion"),
        ("list_shards", {"ShardFilter": {"Type": "AT_LATEST"}}, "ShardFilter"),
        ("put_record", {"PartitionKey": "k", "Data": b"", "SequenceNumberForOrdering": "1"}, "SequenceNumberForOrder"),
    ],
)
def test_what_is_not_honoured_of_a_stream_is_refused_by_name(world, operation, arguments, named):
    with pytest.raises(ClientError) as error:
        getattr(world.client("kinesis"), operation)(StreamName="s", **arguments)
    assert error.value.response["Error"]["Code"] == "NotSimulated"
    assert named in error.value.response["Error"]["Message"]


def test_the_function_gets_the_event_that_lambda_makes_of_kinesis_records(world, stream):
    put = stream.put("the key", b"\x00data")
    mapping = stream.mapping()
    world.settle(mapping)
    ((record,),) = [event["Records"] for event in stream.events()]
    (read,) = stream.read(ShardIteratorType="TRIM_HORIZON")["Records"]
    assert record == {
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": "the key",
            "sequenceNumber": put["SequenceNumber"],
            "data": base64.b64encode(b"\x00data").decode(),
            "approximateArrivalTimestamp": pytest.approx(read["ApproximateArrivalTimestamp"].timestamp(), abs=0.001),
        },
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": f"shardId-000000000000:{put['SequenceNumber']}",
        "eventName": "aws:kinesis:record",
        "invokeIdentityArn": "arn:aws:iam::111122223333:role/function",
        "awsRegion": "us-east-1",
        "eventSourceARN": stream.arn,
    }


def test_a_record_that_is_put_wakes_the_mapping_that_reads_the_stream(world, stream):
    mapping = stream.mapping()
    world.settle(mapping)
    stream.put("one")
    world.settle(mapping)
    stream.client.put_records(StreamARN=stream.arn, Records=[{"PartitionKey": "two", "Data": b""}])
    world.settle(mapping)
    assert stream.invocations(mapping) == [(["one"], "success"), (["two"], "success")]


def test_latest_begins_behind_what_is_there(world, stream):
    stream.put("before")
    mapping = stream.mapping(StartingPosition="LATEST")
    stream.put("after")
    world.settle(mapping)
    assert stream.invocations(mapping) == [(["after"], "success")]


@honours("lambda:CreateEventSourceMapping", "StartingPositionTimestamp")
def test_at_timestamp_begins_with_the_first_record_of_that_time(world, stream):
    stream.put("before")
    since = world.control.advance_clock(60)
    stream.put("after")
    mapping = stream.mapping(StartingPosition="AT_TIMESTAMP", StartingPositionTimestamp=since)
    world.settle(mapping)
    assert stream.invocations(mapping) == [(["after"], "success")]
    described = world.client("lambda").get_event_source_mapping(UUID=mapping)
    assert described["StartingPosition"] == "AT_TIMESTAMP"
    assert described["StartingPositionTimestamp"].timestamp() == pytest.approx(since, abs=1)


def test_a_disabled_mapping_goes_on_where_it_was(world, stream):
    mapping = stream.deliver({"a": b"x"})
    world.disable(mapping)
    stream.put("b")
    world.enable(mapping)
    world.settle(mapping)
    assert stream.invocations(mapping) == [(["a"], "success"), (["b"], "success")]


def test_a_record_is_delivered_although_all_before_it_have_expired(world, stream):
    mapping = stream.deliver(dict.fromkeys("abc", b"x"))
    world.control.advance_clock(25 * 3600)
    stream.put("d")
    world.settle(mapping)
    assert stream.invocations(mapping) == [(["a", "b", "c"], "success"), (["d"], "success")]


def test_no_batch_mixes_shards_and_a_poisoned_shard_holds_up_no_other(world):
    stream = Stream(world).create(shards=2)
    mapping = stream.mapping(Enabled=False, MaximumRetryAttempts=-1)
    stream.put("bad", POISON, ExplicitHashKey=FIRST)
    stream.put("good", ExplicitHashKey=LAST)
    world.enable(mapping)
    world.wait_until(lambda: (["good"], "success") in stream.invocations(mapping))
    assert {tuple(batch) for batch, _ in stream.invocations(mapping)} <= {("bad",), ("good",)}
    assert all(outcome == "error" for batch, outcome in stream.invocations(mapping) if batch == ["bad"])


def test_a_partial_response_names_a_record_by_its_sequence_number(stream):
    mapping = stream.deliver({"a": b"x", "b": b"report", "c": b"x"}, MaximumRetryAttempts=0, **REPORT)
    assert stream.invocations(mapping) == [(["a", "b", "c"], "partial"), (["b", "c"], "error")]


def test_bisection_isolates_a_record(stream):
    mapping = stream.deliver(
        {"a": b"x", "b": POISON, "c": b"x"}, MaximumRetryAttempts=0, BisectBatchOnFunctionError=True
    )
    assert stream.invocations(mapping)[-1] == (["c"], "success")
    (given_up,) = stream.world.given_up(mapping)
    assert given_up["keys"] == [{"partitionKey": "b"}]


@conforms("ESM-DEST-6", "recorded")
def test_esm_dest_6_the_on_failure_document_has_a_kinesis_batch_info(world, stream):
    url = world.client("sqs").create_queue(QueueName=world.name)["QueueUrl"]
    queue = f"arn:aws:sqs:us-east-1:111122223333:{world.name}"
    put = stream.put("a", POISON)
    mapping = stream.mapping(MaximumRetryAttempts=1, DestinationConfig={"OnFailure": {"Destination": queue}})
    world.settle(mapping)
    (message,) = world.client("sqs").receive_message(QueueUrl=url)["Messages"]
    document = json.loads(message["Body"])
    (read,) = stream.read(ShardIteratorType="TRIM_HORIZON")["Records"]
    arrived = read["ApproximateArrivalTimestamp"].astimezone(UTC)
    assert document["requestContext"]["condition"] == "RetryAttemptsExhausted"
    assert document["requestContext"]["approximateInvokeCount"] == 2
    info = document["KinesisBatchInfo"]
    for member in ("approximateArrivalOfFirstRecord", "approximateArrivalOfLastRecord"):
        assert abs(datetime.fromisoformat(info.pop(member)) - arrived).total_seconds() <= 0.001
    assert info == {
        "shardId": "shardId-000000000000",
        "startSequenceNumber": put["SequenceNumber"],
        "endSequenceNumber": put["SequenceNumber"],
        "batchSize": 1,
        "streamArn": stream.arn,
    }


def test_a_record_too_old_is_given_up_without_an_invocation(world, stream):
    stream.put("old")
    world.control.advance_clock(120)
    stream.put("young")
    mapping = stream.mapping(MaximumRecordAgeInSeconds=60)
    world.settle(mapping)
    assert stream.invocations(mapping) == [(["young"], "success")]
    (given_up,) = world.given_up(mapping)
    assert (given_up["condition"], given_up["keys"]) == ("RecordAgeExceeded", [{"partitionKey": "old"}])


@pytest.mark.parametrize(
    ("pattern", "delivered"),
    [
        ({"data": {"kind": ["order"]}}, ["order"]),
        ({"partitionKey": [{"prefix": "te"}]}, ["text"]),
        ({"eventName": ["aws:kinesis:record"]}, ["order", "visit", "text"]),
    ],
)
def test_filters_see_the_data_as_json_and_the_members_beside_it(stream, pattern, delivered):
    mapping = stream.deliver(
        {"order": b'{"kind": "order"}', "visit": b'{"kind": "visit"}', "text": b"order"},
        FilterCriteria={"Filters": [{"Pattern": json.dumps(pattern)}]},
    )
    assert stream.invocations(mapping) == [(delivered, "success")]


def test_parallel_lanes_keep_the_order_of_each_partition_key(world, stream):
    mapping = stream.mapping(Enabled=False, BatchSize=1, ParallelizationFactor=4)
    put = [stream.put(key)["SequenceNumber"] for key in "abcabcabc"]
    world.enable(mapping)
    world.settle(mapping)
    seen: dict[str, list[str]] = {}
    for entry in world.control.history(mapping):
        seen.setdefault(entry["keys"][0]["partitionKey"], []).extend(entry["identifiers"])
    assert seen == {key: put["abc".index(key) :: 3] for key in "abc"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"StartingPosition": "AT_TIMESTAMP"}, "needs a StartingPositionTimestamp"),
        (
            {"StartingPosition": "AT_TIMESTAMP", "StartingPositionTimestamp": datetime(2999, 1, 1, tzinfo=UTC)},
            "must not be in the future",
        ),
        (
            {"StartingPosition": "LATEST", "StartingPositionTimestamp": datetime(2020, 1, 1, tzinfo=UTC)},
            "Timestamp only valid with StartingPosition AT_TIMESTAMP",
        ),
        ({"BatchSize": 10001}, "Member must have value less than or equal to 10000"),
        ({"ScalingConfig": {"MaximumConcurrency": 2}}, "Unsupported ScalingConfig parameter"),
        ({"EventSourceArn": "arn:aws:kinesis:us-east-1:111122223333:stream/missing"}, "Stream not found"),
    ],
)
def test_a_mapping_that_cannot_be_is_refused(world, stream, settings, message):
    arguments = {"EventSourceArn": stream.arn, "StartingPosition": "TRIM_HORIZON", **settings}
    with pytest.raises(ClientError, match=message) as error:
        world.client("lambda").create_event_source_mapping(FunctionName=world.name, **arguments)
    by_model = "Member must" in message
    assert error.value.response["Error"]["Code"] == (
        "ValidationException" if by_model else "InvalidParameterValueException"
    )


#: A consumer that tells what it makes of each change.
CONSUMER = """
from handlers.cdc import Change, consumer

def told(item):
    return None if item is None else {name: str(value) for name, value in item.items()}

@consumer
def handler(change: Change) -> None:
    print("change", told(change.old), told(change.new), change.is_ttl_delete)
"""

PHOTO = {"photo": {"B": b"\xff\x00"}, "all": {"BS": [b"b"]}, "deep": {"L": [{"M": {"b": {"B": b"c"}}}]}}


@pytest.fixture
def streamed(world, stream):
    """A table whose changes go to the stream."""
    world.table()
    world.client("dynamodb").enable_kinesis_streaming_destination(TableName=world.name, StreamArn=stream.arn)
    return stream


@conforms("KDS-8", "recorded")
def test_kds_8_a_tables_change_is_put_into_kinesis_in_the_shape_that_aws_gives_it(world, streamed):
    before = int(world.control.advance_clock(0) * 1000)
    world.client("dynamodb").put_item(TableName=world.name, Item={"id": {"S": "a"}, **PHOTO})
    (record,) = streamed.read(ShardIteratorType="TRIM_HORIZON")["Records"]
    assert len(bytes.fromhex(record["PartitionKey"])) == 16
    change = json.loads(record["Data"])
    created = change["dynamodb"].pop("ApproximateCreationDateTime")
    assert isinstance(created, int)
    assert before <= created <= world.control.advance_clock(0) * 1000
    assert len(change.pop("eventID")) > 0

    def twice(binary):
        return base64.b64encode(base64.b64encode(binary)).decode()

    assert change == {
        "awsRegion": "us-east-1",
        "eventName": "INSERT",
        "userIdentity": None,
        "recordFormat": "application/json",
        "tableName": world.name,
        "dynamodb": {
            "Keys": {"id": {"S": "a"}},
            "NewImage": {
                "id": {"S": "a"},
                "photo": {"B": twice(b"\xff\x00")},
                "all": {"BS": [twice(b"b")]},
                "deep": {"L": [{"M": {"b": {"B": twice(b"c")}}}]},
            },
            # The key 3, the image 3 + 7 + 4 + (4 + 3 + (3 + 1 + 1 + 1) + 1).
            "SizeBytes": 31,
        },
        "eventSource": "aws:dynamodb",
    }


@honours("dynamodb:EnableKinesisStreamingDestination", "TableName StreamArn")
def test_a_consumer_reads_a_tables_changes_through_kinesis(world, streamed):
    world.function(CONSUMER, name=f"{world.name}-consumer", runtime=True)
    mapping = world.mapping(
        streamed.arn,
        f"{world.name}-consumer",
        **REPORT,
        FilterCriteria={"Filters": [{"Pattern": json.dumps({"data": {"eventName": ["MODIFY", "REMOVE"]}})}]},
    )
    table, key = world.client("dynamodb"), {"id": {"S": "a"}}
    table.put_item(TableName=world.name, Item=key)
    table.put_item(TableName=world.name, Item={**key, "photo": {"B": b"\x01"}})
    table.delete_item(TableName=world.name, Key=key)
    world.settle(mapping)
    told = [line for line in world.log(f"{world.name}-consumer") if line.startswith("change ")]
    photo = {"id": "a", "photo": str(b"\x01")}
    assert told == [f"change { ({'id': 'a'}) } {photo} False", f"change {photo} None False"]


@honours("dynamodb:EnableKinesisStreamingDestination", "EnableKinesisStreamingConfiguration")
@honours("dynamodb:DisableKinesisStreamingDestination", "TableName StreamArn")
@honours("dynamodb:DescribeKinesisStreamingDestination", "TableName")
def test_a_destination_that_is_disabled_gets_no_more_changes(world, streamed):
    world.put("a")
    table, named = world.client("dynamodb"), {"TableName": world.name, "StreamArn": streamed.arn}
    table.disable_kinesis_streaming_destination(**named)
    world.put("b")
    (destination,) = table.describe_kinesis_streaming_destination(TableName=world.name)["KinesisDataStreamDestinations"]
    assert (destination["StreamArn"], destination["DestinationStatus"]) == (streamed.arn, "DISABLED")
    assert len(streamed.read(ShardIteratorType="TRIM_HORIZON")["Records"]) == 1
    table.enable_kinesis_streaming_destination(
        **named, EnableKinesisStreamingConfiguration={"ApproximateCreationDateTimePrecision": "MILLISECOND"}
    )
    world.put("c")
    # The first change after it was enabled again comes twice (KDS-10), and the one before not at all.
    assert len(streamed.read(ShardIteratorType="TRIM_HORIZON")["Records"]) == 3


@conforms("KDS-5", "documented")
def test_kds_5_a_change_larger_than_a_kinesis_record_is_skipped(world, streamed):
    many = {"L": [{"BOOL": True}] * 100_000}
    world.client("dynamodb").put_item(TableName=world.name, Item={"id": {"S": "large"}, "many": many})
    world.put("small")
    (record,) = streamed.read(ShardIteratorType="TRIM_HORIZON")["Records"]
    assert json.loads(record["Data"])["dynamodb"]["Keys"] == {"id": {"S": "small"}}


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"StreamArn": "arn:aws:kinesis:us-east-1:111122223333:stream/missing"}, "ResourceNotFoundException"),
        ({"TableName": "missing"}, "ResourceNotFoundException"),
    ],
)
def test_a_streaming_destination_that_cannot_be_is_refused(world, streamed, arguments, code):
    with pytest.raises(ClientError) as error:
        world.client("dynamodb").enable_kinesis_streaming_destination(
            **{"TableName": world.name, "StreamArn": streamed.arn, **arguments}
        )
    assert error.value.response["Error"]["Code"] == code
