"""Time to live: what has expired is deleted, and the stream says by whom."""

from __future__ import annotations

import json

import pytest
from botocore.exceptions import ClientError

conforms = pytest.mark.conformance
honours = pytest.mark.honours

HOUR = 3600


@pytest.fixture
def table(world):
    """A table with a stream whose items expire by `expiresAt`; the stream's ARN."""
    stream = world.table()
    expire(world)
    return stream


def expire(world, *, enabled=True, attribute="expiresAt"):
    return world.client("dynamodb").update_time_to_live(
        TableName=world.name, TimeToLiveSpecification={"Enabled": enabled, "AttributeName": attribute}
    )


def put(world, item_id, expires_at):
    item = {"id": {"S": item_id}} | ({} if expires_at is None else {"expiresAt": expires_at})
    world.client("dynamodb").put_item(TableName=world.name, Item=item)


def now(world) -> int:
    return int(world.control.advance_clock(0))


def ids(world) -> set[str]:
    return {item["id"]["S"] for item in world.client("dynamodb").scan(TableName=world.name)["Items"]}


def records(world, stream):
    streams = world.client("dynamodbstreams")
    (shard,) = streams.describe_stream(StreamArn=stream)["StreamDescription"]["Shards"]
    iterator = streams.get_shard_iterator(StreamArn=stream, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")[
        "ShardIterator"
    ]
    return streams.get_records(ShardIterator=iterator)["Records"]


@honours("dynamodb:UpdateTimeToLive", "TableName TimeToLiveSpecification")
def test_an_expired_item_is_deleted_and_its_record_says_that_dynamodb_did_it(world, table):
    put(world, "a", {"N": str(now(world) + HOUR)})
    put(world, "b", {"N": str(now(world) + 9 * HOUR)})
    world.control.advance_clock(HOUR + 2)
    world.wait_until(lambda: ids(world) == {"b"})
    _, _, removed = records(world, table)
    assert removed["eventName"] == "REMOVE"
    assert removed["userIdentity"] == {"Type": "Service", "PrincipalId": "dynamodb.amazonaws.com"}
    assert removed["dynamodb"]["OldImage"]["id"] == {"S": "a"}


@conforms("DDB-RECORD-1", "documented")
def test_ddb_record_1_a_function_is_told_of_the_deletion_and_who_made_it(world, table):
    world.function("def handler(event, context):\n    print(__import__('json').dumps(event))")
    mapping = world.mapping(table)
    put(world, "a", {"N": str(now(world) + HOUR)})
    world.settle(mapping)
    world.control.advance_clock(HOUR + 2)
    world.wait_until(lambda: len(world.invocations(mapping)) == 2)
    world.settle(mapping)
    events = [json.loads(line) for line in world.log() if line.startswith("{")]
    put_record, removed = [record for event in events for record in event["Records"]]
    assert "userIdentity" not in put_record
    assert removed["userIdentity"] == {"type": "Service", "principalId": "dynamodb.amazonaws.com"}
    # Keys and old image: id 2 + 1, and expiresAt 9 with ten digits in six bytes.
    assert removed["dynamodb"]["SizeBytes"] == 3 + 3 + 9 + 6


@conforms("DDB-RECORD-1", "documented")
def test_ddb_record_1_a_deletion_by_a_client_is_its_own(world, table):
    put(world, "a", {"N": str(now(world) + HOUR)})
    world.client("dynamodb").delete_item(TableName=world.name, Key={"id": {"S": "a"}})
    assert ["userIdentity" in record for record in records(world, table)] == [False, False]


def test_what_is_no_time_or_long_past_or_absent_never_expires(world, table):
    put(world, "text", {"S": str(now(world) - HOUR)})
    put(world, "absent", None)
    put(world, "older than five years", {"N": "1"})
    put(world, "expired", {"N": str(now(world) - HOUR)})
    world.control.advance_clock(1)
    world.wait_until(lambda: "expired" not in ids(world))
    assert ids(world) == {"text", "absent", "older than five years"}


@honours("dynamodb:DescribeTimeToLive", "TableName")
def test_the_setting_is_described_and_can_be_ended(world):
    world.table()
    describe = world.client("dynamodb").describe_time_to_live
    assert describe(TableName=world.name)["TimeToLiveDescription"] == {"TimeToLiveStatus": "DISABLED"}
    expire(world)
    assert describe(TableName=world.name)["TimeToLiveDescription"] == {
        "TimeToLiveStatus": "ENABLED",
        "AttributeName": "expiresAt",
    }
    with pytest.raises(ClientError, match="already enabled"):
        expire(world)
    with pytest.raises(ClientError, match="different AttributeName"):
        expire(world, enabled=False, attribute="other")
    expire(world, enabled=False)
    with pytest.raises(ClientError, match="already disabled"):
        expire(world, enabled=False)


def test_a_table_that_does_not_exist_has_none(world):
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        expire(world)
