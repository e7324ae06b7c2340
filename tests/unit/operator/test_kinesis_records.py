"""Records of Kinesis that the operator reads again: the captured document, the range, the filter, the handler."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import ANY, Stubber

from handlers.cdc import Change, consumer
from handlers.cdc.failure_document import read
from ops.operator.dead_letters.letters import change_in, event_id_of, key_text, keys_of, sequence_of
from ops.operator.dead_letters.pointers import Forgotten, NotReadable, read_range
from ops.operator.kinesis_records import KinesisCursor, kinesis_shards, retention_of
from ops.operator.sending import table_of, version_of

STREAM = "arn:aws:kinesis:us-east-1:111122223333:stream/history"
SHARD = "shardId-000000000000"
ARRIVED = datetime(2026, 1, 31, 8, 30, tzinfo=UTC)

#: A document of Lambda, as it lies in the queue (docs/aws-semantics.md §2.7).
DOCUMENT = {
    "requestContext": {
        "requestId": "c9b8fa9f-5a7f-xmpl-af9c-0c604cde93a5",
        "functionArn": "arn:aws:lambda:us-east-1:111122223333:function:mails",
        "condition": "RetryAttemptsExhausted",
        "approximateInvokeCount": 3,
    },
    "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
    "version": "1.0",
    "timestamp": "2026-01-31T08:30:02.025Z",
    "KinesisBatchInfo": {
        "shardId": SHARD,
        "startSequenceNumber": "101",
        "endSequenceNumber": "103",
        "approximateArrivalOfFirstRecord": "2026-01-31T08:30:00.000Z",
        "approximateArrivalOfLastRecord": "2026-01-31T08:30:01.000Z",
        "batchSize": 2,
        "streamArn": STREAM,
    },
}


class Context:
    """The part of Lambda's context that the runtime reads."""

    def get_remaining_time_in_millis(self) -> int:
        return 30_000


def change(user: str, version: int = 7) -> bytes:
    """A change as DynamoDB puts it into Kinesis."""
    image = {"userId": {"S": user}, "version": {"N": str(version)}}
    return json.dumps(
        {
            "awsRegion": "us-east-1",
            "eventID": f"event-{user}",
            "eventName": "INSERT",
            "userIdentity": None,
            "recordFormat": "application/json",
            "tableName": "users",
            "dynamodb": {
                "ApproximateCreationDateTime": 1_769_848_200_000,
                "Keys": {"userId": {"S": user}},
                "NewImage": image,
                "SizeBytes": 20,
            },
            "eventSource": "aws:dynamodb",
        }
    ).encode()


def stored(number: str, data: bytes) -> dict[str, Any]:
    return {"SequenceNumber": number, "Data": data, "PartitionKey": "p", "ApproximateArrivalTimestamp": ARRIVED}


@pytest.fixture
def kinesis() -> Any:
    return boto3.client("kinesis", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="s")


def clients(kinesis: Any) -> Callable[[str], Any]:
    return {"kinesis": kinesis}.__getitem__


def page(stubber: Stubber, iterator: str, *records: Any, following: str | None = None, behind: int = 0) -> None:
    answer: dict[str, Any] = {"Records": list(records), "MillisBehindLatest": behind}
    if following is not None:
        answer["NextShardIterator"] = following
    stubber.add_response("get_records", answer, {"ShardIterator": iterator})


def test_a_range_is_read_by_sequence_number_over_empty_pages_and_not_beyond_its_end(kinesis: Any) -> None:
    with Stubber(kinesis) as stubber:
        stubber.add_response(
            "get_shard_iterator",
            {"ShardIterator": "i1"},
            {
                "StreamARN": STREAM,
                "ShardId": SHARD,
                "ShardIteratorType": "AT_SEQUENCE_NUMBER",
                "StartingSequenceNumber": "101",
            },
        )
        page(stubber, "i1", stored("101", change("ada")), following="i2", behind=5)
        page(stubber, "i2", following="i3", behind=5)
        page(stubber, "i3", stored("103", change("bob")), stored("104", change("eve")), following="i4")
        batch = read(DOCUMENT).batch
        assert batch is not None
        records = read_range(clients(kinesis), batch)
        stubber.assert_no_pending_responses()
    assert [key_text(keys_of(record)) for record in records] == ["userId=ada", "userId=bob"]
    assert [sequence_of(record) for record in records] == ["101", "103"]
    assert [event_id_of(record) for record in records] == [f"{SHARD}:101", f"{SHARD}:103"]
    assert (table_of(records[0]), version_of(records[0])) == ("users", 7)
    assert change_in(records[0])["eventID"] == "event-ada"


def test_records_that_were_read_again_are_what_a_handler_takes_as_a_replay(kinesis: Any) -> None:
    came: list[tuple[str, Any]] = []

    @consumer(name="keeper")
    def handler(change: Change) -> None:
        came.append((change.event_id, change.keys["userId"]))

    with Stubber(kinesis) as stubber:
        stubber.add_response("get_shard_iterator", {"ShardIterator": "i1"})
        page(stubber, "i1", stored("101", change("ada")), stored("103", change("bob")))
        batch = read(DOCUMENT).batch
        assert batch is not None
        records = read_range(clients(kinesis), batch)
    handler({"origin": "replay", "Records": records}, Context())
    assert came == [("event-ada", "ada"), ("event-bob", "bob")]


@pytest.mark.parametrize("left", [[], [stored("102", b"{}")], [stored("900", b"{}")]])
def test_a_range_whose_first_record_has_expired_is_forgotten(kinesis: Any, left: list[Any]) -> None:
    with Stubber(kinesis) as stubber:
        stubber.add_response("get_shard_iterator", {"ShardIterator": "i1"})
        page(stubber, "i1", *left)
        batch = read(DOCUMENT).batch
        assert batch is not None
        with pytest.raises(Forgotten, match="from 101 to 103"):
            read_range(clients(kinesis), batch)


def test_a_stream_or_shard_that_is_gone_is_forgotten_and_another_error_is_not_hidden(kinesis: Any) -> None:
    batch = read(DOCUMENT).batch
    assert batch is not None
    with Stubber(kinesis) as stubber:
        stubber.add_client_error("get_shard_iterator", "ResourceNotFoundException")
        with pytest.raises(Forgotten):
            read_range(clients(kinesis), batch)
        stubber.add_client_error("get_shard_iterator", "AccessDeniedException")
        with pytest.raises(ClientError, match="AccessDenied"):
            read_range(clients(kinesis), batch)


def test_records_of_another_service_are_not_readable() -> None:
    other = json.loads(json.dumps(DOCUMENT).replace("arn:aws:kinesis", "arn:aws:kafka"))
    batch = read(other).batch
    assert batch is not None
    with pytest.raises(NotReadable, match="arn:aws:kafka"):
        read_range(clients(None), batch)


def test_a_shard_is_read_from_a_time_with_a_pause_before_each_page(kinesis: Any) -> None:
    pauses: list[int] = []
    with Stubber(kinesis) as stubber:
        stubber.add_response(
            "get_shard_iterator",
            {"ShardIterator": "i1"},
            {"StreamARN": STREAM, "ShardId": SHARD, "ShardIteratorType": "AT_TIMESTAMP", "Timestamp": ANY},
        )
        page(stubber, "i1", stored("101", change("ada")), following="i2")
        page(stubber, "i2", following="i3")
        cursor = KinesisCursor(kinesis, STREAM, SHARD, ARRIVED.timestamp(), lambda: pauses.append(1))
        assert [sequence_of(record) for record in cursor.new()] == ["101"]
    assert len(pauses) == 2


def test_a_shard_is_read_on_behind_its_last_record_when_the_iterator_expired_meanwhile(kinesis: Any) -> None:
    with Stubber(kinesis) as stubber:
        stubber.add_response("get_shard_iterator", {"ShardIterator": "i1"})
        page(stubber, "i1", stored("101", change("ada")), following="i2", behind=5)
        stubber.add_client_error("get_records", "ExpiredIteratorException")
        stubber.add_response(
            "get_shard_iterator",
            {"ShardIterator": "i3"},
            {
                "StreamARN": STREAM,
                "ShardId": SHARD,
                "ShardIteratorType": "AFTER_SEQUENCE_NUMBER",
                "StartingSequenceNumber": "101",
            },
        )
        page(stubber, "i3", stored("103", change("bob")))
        cursor = KinesisCursor(kinesis, STREAM, SHARD, ARRIVED.timestamp())
        assert [sequence_of(record) for record in cursor.new()] == ["101", "103"]


def test_a_shard_follows_both_that_it_was_merged_from(kinesis: Any) -> None:
    ranges = {
        "HashKeyRange": {"StartingHashKey": "0", "EndingHashKey": "9"},
        "SequenceNumberRange": {"StartingSequenceNumber": "1"},
    }
    merged = {"ShardId": "s3", "ParentShardId": "s1", "AdjacentParentShardId": "s2", **ranges}
    with Stubber(kinesis) as stubber:
        stubber.add_response(
            "list_shards", {"Shards": [merged, *({"ShardId": each, **ranges} for each in ("s1", "s2"))]}
        )
        assert kinesis_shards(kinesis, STREAM) == ["s1", "s2", "s3"]


def test_pointers_are_of_use_as_long_as_the_stream_keeps_its_records(kinesis: Any) -> None:
    summary = {
        "StreamName": "history",
        "StreamARN": STREAM,
        "StreamStatus": "ACTIVE",
        "RetentionPeriodHours": 168,
        "StreamCreationTimestamp": ARRIVED,
        "EnhancedMonitoring": [],
        "OpenShardCount": 1,
    }
    with Stubber(kinesis) as stubber:
        stubber.add_response("describe_stream_summary", {"StreamDescriptionSummary": summary})
        assert retention_of(kinesis, STREAM) == 168 * 3600
