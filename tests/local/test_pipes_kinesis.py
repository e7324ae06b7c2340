"""Pipes that read a Kinesis stream."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

import pytest
from botocore.exceptions import ClientError

conforms = pytest.mark.conformance

#: Explicit hash keys of the first and of the last shard.
FIRST, LAST = "0", str(2**128 - 1)

#: Does to each event what its data says.
SCRIPTED = """
import base64

def handler(events, context):
    for event in events:
        match base64.b64decode(event["data"]):
            case b"raise":
                raise ValueError("poison")
            case b"report":
                return {"batchItemFailures": [{"itemIdentifier": event["eventID"]}]}
            case b"report sequence":
                return {"batchItemFailures": [{"itemIdentifier": event["sequenceNumber"]}]}
"""


class Stream:
    """A Kinesis stream named after the test, and the pipe that reads it."""

    def __init__(self, pipes):
        self.pipes = pipes
        self.client = pipes.client("kinesis")
        self.arn = f"arn:aws:kinesis:us-east-1:111122223333:stream/{pipes.name}"

    def make(self, shards=1):
        self.client.create_stream(StreamName=self.pipes.name, ShardCount=shards)
        return self

    def put(self, key, data=b"x", **where):
        put = self.client.put_record(StreamName=self.pipes.name, PartitionKey=key, Data=data, **where)
        return put["SequenceNumber"]

    def create(self, target, *, source=None, filters=None, **settings):
        stream = {"StartingPosition": "TRIM_HORIZON", "BatchSize": 10, **(source or {})}
        parameters = {"KinesisStreamParameters": stream}
        if filters is not None:
            parameters["FilterCriteria"] = {"Filters": [{"Pattern": json.dumps(each)} for each in filters]}
        return self.pipes.create(target, Source=self.arn, SourceParameters=parameters, **settings)

    def deliver(self, target, records, **pipe):
        """Put records, and then let a pipe read them, all at once."""
        self.create(target, DesiredState="STOPPED", **pipe)
        numbers = [self.put(key, data) for key, data in records.items()]
        self.pipes.start()
        self.pipes.settle()
        return numbers

    def executions(self):
        return [
            ("".join(key["partitionKey"] for key in entry["keys"]), entry["outcome"])
            for entry in self.pipes.control.pipe_history(self.pipes.name)
            if entry["kind"] == "invocation"
        ]


@pytest.fixture
def stream(pipes):
    return Stream(pipes).make()


def test_a_pipe_from_kinesis_is_read_back_as_it_was_made(pipes, stream):
    dead = pipes.queue("dead")
    since = datetime(2026, 1, 1, tzinfo=UTC)
    given = {
        "StartingPosition": "AT_TIMESTAMP",
        "StartingPositionTimestamp": since,
        "BatchSize": 7,
        "MaximumBatchingWindowInSeconds": 2,
        "ParallelizationFactor": 3,
        "MaximumRetryAttempts": 4,
        "MaximumRecordAgeInSeconds": 60,
        "OnPartialBatchItemFailure": "AUTOMATIC_BISECT",
        "DeadLetterConfig": {"Arn": dead},
    }
    stream.create(pipes.queue(), source=given)
    pipes.reach("RUNNING")
    described = pipes.client("pipes").describe_pipe(Name=pipes.name)
    read = described["SourceParameters"]["KinesisStreamParameters"]
    assert read.pop("StartingPositionTimestamp").astimezone(UTC) == given.pop("StartingPositionTimestamp")
    assert read == given
    pipes.update(SourceParameters={"KinesisStreamParameters": {"BatchSize": 5, "MaximumRetryAttempts": 5}})
    described = pipes.client("pipes").describe_pipe(Name=pipes.name)
    read = described["SourceParameters"]["KinesisStreamParameters"]
    assert read.pop("StartingPositionTimestamp").astimezone(UTC) == since
    assert read == {"StartingPosition": "AT_TIMESTAMP", "BatchSize": 5, "MaximumRetryAttempts": 5}


@conforms("PIPE-KIN-1", "documented")
@conforms("PIPE-KIN-2", "documented")
def test_pipe_kin_2_events_are_a_list_and_lambdas_members_of_a_record_stand_beside_each_other(pipes, stream):
    queue = pipes.queue()
    (number,) = stream.deliver(queue, {"the key": b"\x00data"})
    (event,) = pipes.messages(queue)
    now = pipes.control.advance_clock(0)
    assert abs(event.pop("approximateArrivalTimestamp") - now) < 60
    assert event == {
        "kinesisSchemaVersion": "1.0",
        "partitionKey": "the key",
        "sequenceNumber": number,
        "data": base64.b64encode(b"\x00data").decode(),
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": f"shardId-000000000000:{number}",
        "eventName": "aws:kinesis:record",
        "invokeIdentityArn": pipes.role,
        "awsRegion": "us-east-1",
        "eventSourceARN": stream.arn,
    }


@conforms("PIPE-KIN-1", "documented")
@pytest.mark.parametrize("position", ["LATEST", "TRIM_HORIZON", "AT_TIMESTAMP"])
def test_pipe_kin_1_a_pipe_begins_where_its_starting_position_says(pipes, stream, position):
    stream.put("a")
    since = pipes.control.advance_clock(60)
    source = {"StartingPosition": position}
    if position == "AT_TIMESTAMP":
        source["StartingPositionTimestamp"] = since
    stream.create(pipes.queue(), source=source)
    pipes.reach("RUNNING")
    stream.put("b")
    pipes.settle()
    assert "".join(keys for keys, _ in stream.executions()) == ("ab" if position == "TRIM_HORIZON" else "b")


def test_a_pipe_goes_on_where_it_was_after_an_update_and_after_a_stop(pipes, stream):
    stream.create(pipes.queue())
    pipes.reach("RUNNING")
    stream.put("a")
    pipes.settle()
    pipes.update(SourceParameters={"KinesisStreamParameters": {"BatchSize": 1}})
    stream.put("b")
    pipes.settle()
    pipes.stop()
    stream.put("c")
    stream.put("d")
    pipes.start()
    pipes.settle()
    assert stream.executions() == [(each, "success") for each in "abcd"]


@conforms("PIPE-FAIL-4", "documented")
def test_pipe_fail_4_a_record_of_kinesis_is_named_by_its_event_id(pipes, stream):
    stream.deliver(pipes.function(SCRIPTED), {"a": b"x", "b": b"report", "c": b"x"}, source={"MaximumRetryAttempts": 0})
    assert stream.executions() == [("abc", "partial"), ("bc", "error")]


def test_a_sequence_number_names_no_record_of_a_pipe_from_kinesis(pipes, stream):
    stream.deliver(pipes.function(SCRIPTED), {"a": b"x", "b": b"report sequence"}, source={"MaximumRetryAttempts": 0})
    assert stream.executions() == [("ab", "error")]


def test_automatic_bisect_isolates_the_record_that_fails(pipes, stream):
    source = {"MaximumRetryAttempts": 0, "OnPartialBatchItemFailure": "AUTOMATIC_BISECT"}
    stream.deliver(pipes.function(SCRIPTED), {"a": b"x", "b": b"raise", "c": b"x", "d": b"x"}, source=source)
    assert [each for each in stream.executions() if each[1] == "success"] == [("a", "success"), ("cd", "success")]
    assert [entry["keys"] for entry in pipes.given_up()] == [[{"partitionKey": "b"}]]


@conforms("PIPE-KIN-3", "deduced")
def test_pipe_kin_3_the_dead_letter_has_a_kinesis_batch_info_and_times_in_milliseconds(pipes, stream):
    dead = pipes.queue("dead")
    source = {"MaximumRetryAttempts": 0, "DeadLetterConfig": {"Arn": dead}}
    first, last = stream.deliver(pipes.function(SCRIPTED), {"a": b"raise", "b": b"x"}, source=source)
    (letter,) = pipes.messages(dead)
    assert list(letter) == ["context", "version", "timestamp", "KinesisBatchInfo"]
    assert letter["context"] == {
        "partnerResourceArn": f"arn:aws:pipes:us-east-1:111122223333:pipe/{pipes.name}",
        "condition": "RetryAttemptsExhausted",
    }
    info = letter["KinesisBatchInfo"]
    for member in ("approximateArrivalOfFirstRecord", "approximateArrivalOfLastRecord"):
        assert len(info.pop(member)) == len("2026-01-01T00:00:00.000Z")
    assert info == {
        "shardId": "shardId-000000000000",
        "startSequenceNumber": first,
        "endSequenceNumber": last,
        "batchSize": 2,
        "streamArn": stream.arn,
    }


def test_a_record_that_is_too_old_is_given_up_without_an_execution(pipes, stream):
    stream.put("a")
    pipes.control.advance_clock(120)
    stream.put("b")
    stream.create(pipes.queue(), source={"MaximumRecordAgeInSeconds": 60})
    pipes.reach("RUNNING")
    pipes.settle()
    assert stream.executions() == [("b", "success")]
    assert [entry["condition"] for entry in pipes.given_up()] == ["RecordAgeExceeded"]


@conforms("PIPE-KIN-4", "documented")
def test_pipe_kin_4_a_filter_sees_the_data_as_json_and_the_members_beside_it(pipes, stream):
    filters = [{"data": {"kind": ["order"]}}, {"partitionKey": ["named"]}]
    stream.deliver(
        pipes.queue(),
        {"a": b'{"kind": "order"}', "b": b'{"kind": "visit"}', "c": b"order", "named": b"x"},
        filters=filters,
    )
    assert stream.executions() == [("anamed", "success")]


def test_a_poisoned_shard_holds_up_no_other(pipes):
    stream = Stream(pipes).make(shards=2)
    stream.create(pipes.function(SCRIPTED), DesiredState="STOPPED")
    stream.put("bad", b"raise", ExplicitHashKey=FIRST)
    stream.put("good", ExplicitHashKey=LAST)
    pipes.start()
    pipes.world.wait_until(lambda: set(stream.executions()) == {("bad", "error"), ("good", "success")})


@conforms("PIPE-KIN-5", "deduced")
def test_pipe_kin_5_a_bus_is_told_that_the_event_is_from_kinesis(pipes, stream):
    queue = pipes.queue()
    stream.deliver(pipes.bus(queue), {"a": b"x"})
    (event,) = pipes.messages(queue)
    assert event["detail-type"] == "Event from aws:kinesis"
    assert event["detail"]["partitionKey"] == "a"


@conforms("PIPE-SHAPE-6", "documented")
def test_pipe_shape_6_a_path_leads_into_the_data_and_without_a_template_it_stays_as_it_is(pipes, stream):
    queue = pipes.queue("queue.fifo", FifoQueue="true", ContentBasedDeduplication="true")
    data = b'{"user": "u1", "plan": {"name": "pro"}}'
    stream.deliver(
        queue,
        {"a": data, "b": b"text"},
        TargetParameters={
            "SqsQueueParameters": {"MessageGroupId": "$.partitionKey", "MessageDeduplicationId": "$.sequenceNumber"},
            "InputTemplate": '{"user": <$.data.user>, "data": <$.data>, "said": "plan <$.data.plan>", '
            '"raw": <aws.pipes.event>, "json": <aws.pipes.event.json>}',
        },
    )
    first, second = pipes.messages(queue)
    assert (first["user"], first["data"]["plan"], first["said"]) == ("u1", {"name": "pro"}, "plan {name: pro}")
    assert first["raw"]["data"] == base64.b64encode(data).decode()
    assert first["json"]["data"] == json.loads(data)
    assert (second["user"], second["data"]) == ("", base64.b64encode(b"text").decode())


def test_a_dynamic_parameter_is_read_from_the_data(pipes, stream):
    queue = pipes.queue("queue.fifo", FifoQueue="true", ContentBasedDeduplication="true")
    group = {"SqsQueueParameters": {"MessageGroupId": "$.data.user"}}
    stream.deliver(queue, {"a": b'{"user": "u1"}'}, TargetParameters=group)
    (message,) = pipes.received(queue)
    assert message["Attributes"]["MessageGroupId"] == "u1"
    assert json.loads(message["Body"])["data"] == base64.b64encode(b'{"user": "u1"}').decode()


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({}, 'SourceParameters.KinesisStreamParameters","Message":"Missing required parameter.'),
        ({"KinesisStreamParameters": {}}, "'sourceParameters.kinesisStreamParameters.startingPosition'"),
        ({"KinesisStreamParameters": {"StartingPosition": "BOGUS"}}, "[AT_TIMESTAMP, LATEST, TRIM_HORIZON]"),
        ({"KinesisStreamParameters": {"StartingPosition": "AT_TIMESTAMP"}}, "needs a StartingPositionTimestamp"),
        (
            {"KinesisStreamParameters": {"StartingPosition": "LATEST", "StartingPositionTimestamp": 1}},
            "Timestamp only valid with StartingPosition AT_TIMESTAMP",
        ),
        (
            {"KinesisStreamParameters": {"StartingPosition": "AT_TIMESTAMP", "StartingPositionTimestamp": "now"}},
            "is not a time",
        ),
        (
            {
                "KinesisStreamParameters": {
                    "StartingPosition": "AT_TIMESTAMP",
                    "StartingPositionTimestamp": 9e9,
                    "BatchSize": 1,
                }
            },
            "must not be in the future",
        ),
        (
            {"KinesisStreamParameters": {"StartingPosition": "LATEST", "BatchSize": 11}},
            "The batch size 11 is more than",
        ),
        (
            {"DynamoDBStreamParameters": {"StartingPosition": "LATEST"}},
            "It is not for a Kinesis stream.",
        ),
    ],
)
def test_what_aws_refuses_of_a_pipe_from_kinesis_is_refused(pipes, stream, parameters, says):
    asked = {"RoleArn": pipes.role, "Source": stream.arn, "Target": pipes.queue(), "SourceParameters": parameters}
    status, answer = pipes.world.signed("POST", f"/v1/pipes/{pipes.name}", asked, service="pipes")
    assert (status, answer["__type"]) == (400, "ValidationException")
    assert says in answer["message"]


def test_a_kinesis_stream_that_does_not_exist_is_refused(pipes):
    stream = Stream(pipes)
    with pytest.raises(ClientError, match=f"Source {stream.arn} not found"):
        stream.create(pipes.queue())


#: A consumer that cannot do the change of "b", and tells of the others.
CONSUMER = """
from handlers.cdc import Change, consumer

@consumer
def handler(change: Change) -> None:
    if change.keys["id"] == "b":
        raise ValueError("poison")
    print("did", change.keys["id"])
"""


def test_a_consumer_reads_a_tables_changes_at_the_end_of_a_pipe_from_kinesis(pipes, stream):
    pipes.world.table()
    pipes.client("dynamodb").enable_kinesis_streaming_destination(TableName=pipes.name, StreamArn=stream.arn)
    pipes.world.put("a")
    pipes.world.put("b")
    stream.create(pipes.function(CONSUMER, runtime=True), source={"MaximumRetryAttempts": 0})
    pipes.reach("RUNNING")
    pipes.settle()
    assert [outcome for _, outcome in stream.executions()] == ["partial", "error"]
    assert [line for line in pipes.world.log(f"{pipes.name}-function") if line.startswith("did ")] == ["did a"]
