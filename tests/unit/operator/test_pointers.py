"""Records of a table's stream that the operator reads again: the whole range, or none of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from handlers.cdc.failure_document import BatchRange
from ops.operator.dead_letters.letters import sequence_of
from ops.operator.dead_letters.pointers import Cursor, Forgotten, read_range

STREAM = "arn:aws:dynamodb:us-east-1:111122223333:table/users/stream/2026-01-01T00:00:00.000"
SHARD = "shardId-00000000000000000000-00000000"
WRITTEN = datetime(2026, 1, 31, 8, 30, tzinfo=UTC)
FIRST, LAST = "100000000000000000001", "100000000000000000003"
BATCH = BatchRange(STREAM, SHARD, 2, FIRST, LAST)


@pytest.fixture
def streams() -> Any:
    return boto3.client("dynamodbstreams", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="s")


def iterator(stubber: Stubber, name: str, kind: str, **position: str) -> None:
    asked = {"StreamArn": STREAM, "ShardId": SHARD, "ShardIteratorType": kind, **position}
    stubber.add_response("get_shard_iterator", {"ShardIterator": name}, asked)


def page(stubber: Stubber, name: str, *numbers: str, following: str | None = None) -> None:
    known = {"ApproximateCreationDateTime": WRITTEN, "Keys": {"userId": {"S": "ada"}}}
    common = {"eventName": "MODIFY", "eventVersion": "1.1", "eventSource": "aws:dynamodb", "awsRegion": "us-east-1"}
    records = [{**common, "eventID": each, "dynamodb": {**known, "SequenceNumber": each}} for each in numbers]
    answer = {"Records": records, **({} if following is None else {"NextShardIterator": following})}
    stubber.add_response("get_records", answer, {"ShardIterator": name})


def test_a_range_is_read_to_its_last_record(streams: Any) -> None:
    with Stubber(streams) as stubber:
        iterator(stubber, "i1", "AT_SEQUENCE_NUMBER", SequenceNumber=FIRST)
        page(stubber, "i1", FIRST, following="i2")
        page(stubber, "i2", LAST, "100000000000000000004")
        assert [sequence_of(record) for record in read_range(lambda _: streams, BATCH)] == [FIRST, LAST]


@pytest.mark.parametrize("found", [[], [FIRST]])
def test_a_range_of_which_records_are_missing_is_not_taken_for_done(streams: Any, found: list[str]) -> None:
    with Stubber(streams) as stubber:
        iterator(stubber, "i0", "AT_SEQUENCE_NUMBER", SequenceNumber=FIRST)
        page(stubber, "i0", *found)
        with pytest.raises(Forgotten, match=f"from {FIRST} to {LAST}"):
            read_range(lambda _: streams, BATCH)


def test_a_shard_is_read_on_behind_its_last_record_when_the_iterator_expired_meanwhile(streams: Any) -> None:
    with Stubber(streams) as stubber:
        iterator(stubber, "i1", "TRIM_HORIZON")
        page(stubber, "i1", FIRST, following="i2")
        stubber.add_client_error("get_records", "ExpiredIteratorException")
        iterator(stubber, "i3", "AFTER_SEQUENCE_NUMBER", SequenceNumber=FIRST)
        page(stubber, "i3", LAST)
        assert [sequence_of(record) for record in Cursor(streams, STREAM, SHARD).new()] == [FIRST, LAST]
