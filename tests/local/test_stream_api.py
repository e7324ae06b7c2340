"""The DynamoDB Streams API, and the records that tables put into their streams."""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

conforms = pytest.mark.conformance
honours = pytest.mark.honours

SHARD = "shardId-00000000000000000000-00000000"


class Client:
    """A client that reads one table's stream, named after the test.

    Args:
        world: The test's `World`.
    """

    def __init__(self, world: Any) -> None:
        self.table: str = world.name
        self.world = world
        self.streams = world.client("dynamodbstreams")
        self.tables = world.client("dynamodb")
        self.arn = ""

    def create(self, view: str = "NEW_AND_OLD_IMAGES") -> Client:
        """Make the table."""
        made = self.tables.create_table(
            TableName=self.table,
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": view},
        )
        self.arn = made["TableDescription"]["LatestStreamArn"]
        return self

    def put(self, key: str, **attributes: Any) -> None:
        """Write an item."""
        self.tables.put_item(TableName=self.table, Item={"id": {"S": key}, **attributes})

    def update(self, key: str, expression: str, **values: Any) -> None:
        """Update an item."""
        self.tables.update_item(
            TableName=self.table,
            Key={"id": {"S": key}},
            UpdateExpression=expression,
            ExpressionAttributeValues={f":{name}": value for name, value in values.items()},
        )

    def stream(self, *, on: bool, **view: str) -> Any:
        """Turn the stream on or off; the table's description."""
        return self.tables.update_table(TableName=self.table, StreamSpecification={"StreamEnabled": on, **view})[
            "TableDescription"
        ]

    def describe(self, arn: str | None = None, **asked: Any) -> Any:
        """The stream's description."""
        return self.streams.describe_stream(StreamArn=arn or self.arn, **asked)["StreamDescription"]

    def iterator(self, kind: str = "TRIM_HORIZON", arn: str | None = None, **position: str) -> str:
        """A new iterator."""
        return self.streams.get_shard_iterator(
            StreamArn=arn or self.arn, ShardId=SHARD, ShardIteratorType=kind, **position
        )["ShardIterator"]

    def records(self, kind: str = "TRIM_HORIZON", arn: str | None = None, **position: str) -> list[Any]:
        """The records of one page."""
        return self.streams.get_records(ShardIterator=self.iterator(kind, arn, **position))["Records"]

    def changes(self) -> list[tuple[str, str]]:
        """Return the kind of each change and the item's key, in order."""
        return [(each["eventName"], each["dynamodb"]["Keys"]["id"]["S"]) for each in self.records()]


@pytest.fixture
def client(world):
    return Client(world)


def refused(call, *arguments, **named) -> tuple[str, str]:
    """Code and message of an error."""
    with pytest.raises(ClientError) as error:
        call(*arguments, **named)
    return error.value.response["Error"]["Code"], error.value.response["Error"]["Message"]


def code_of(call) -> str:
    """The code of an error, or nothing."""
    try:
        call()
    except ClientError as error:
        return error.response["Error"]["Code"]
    return ""


def keys(records) -> list[str]:
    return [each["dynamodb"]["Keys"]["id"]["S"] for each in records]


@conforms("DDB-LIMIT-1", "documented")
def test_ddb_limit_1_a_position_that_was_trimmed_is_an_error(client):
    client.create().put("old")
    (old,) = client.records()
    client.world.control.advance_clock(25 * 3600)
    client.put("young")
    assert keys(client.records()) == ["young"]
    number = old["dynamodb"]["SequenceNumber"]
    assert refused(client.iterator, "AT_SEQUENCE_NUMBER", SequenceNumber=number)[0] == "TrimmedDataAccessException"


@conforms("DDB-LIMIT-2", "documented")
def test_ddb_limit_2_a_disabled_stream_is_closed_and_can_be_read_for_a_day(client):
    client.create().put("a")
    mapping = client.world.mapping(client.arn, client.world.function())
    client.put("b")
    client.stream(on=False)
    client.put("not streamed")
    description = client.describe()
    assert description["StreamStatus"] == "DISABLED"
    numbers = description["Shards"][0]["SequenceNumberRange"]
    read = client.records()
    assert keys(read) == ["a", "b"]
    assert [each["dynamodb"]["SequenceNumber"] for each in read] == list(numbers.values())
    client.world.settle(mapping)
    assert [each for batch, _ in client.world.invocations(mapping) for each in batch] == ["a", "b"]
    client.world.control.advance_clock(25 * 3600)
    assert refused(client.describe)[0] == "ResourceNotFoundException"


@conforms("DDB-LIMIT-3", "documented")
def test_ddb_limit_3_a_page_holds_a_thousand_records_or_a_megabyte(client):
    client.create()
    items = [{"PutRequest": {"Item": {"id": {"S": f"{number:04}"}}}} for number in range(1001)]
    for start in range(0, len(items), 25):
        client.tables.batch_write_item(RequestItems={client.table: items[start : start + 25]})
    page = client.streams.get_records(ShardIterator=client.iterator())
    rest = client.streams.get_records(ShardIterator=page["NextShardIterator"])
    assert [len(page["Records"]), len(rest["Records"])] == [1000, 1]
    for key in "abc":
        client.put(key, text={"S": "x" * 390_000})
    large = client.streams.get_records(ShardIterator=rest["NextShardIterator"])
    assert keys(large["Records"]) == ["a", "b"]
    last = client.streams.get_records(ShardIterator=large["NextShardIterator"], Limit=1)
    assert keys(last["Records"]) == ["c"]
    empty = client.streams.get_records(ShardIterator=last["NextShardIterator"])
    assert (empty["Records"], "NextShardIterator" in empty) == ([], True)


@conforms("DDB-LIMIT-3", "documented")
def test_ddb_limit_3_a_limit_above_a_thousand_is_refused_and_a_drained_shard_has_no_next_iterator(client):
    iterator = client.create().iterator()
    assert refused(client.streams.get_records, ShardIterator=iterator, Limit=1001)[0] == "LimitExceededException"
    client.put("a")
    client.stream(on=False)
    page = client.streams.get_records(ShardIterator=iterator, Limit=1000)
    assert (keys(page["Records"]), page.get("NextShardIterator")) == (["a"], None)


@conforms("DDB-LIMIT-4", "documented")
def test_ddb_limit_4_an_iterator_expires_after_a_quarter_of_an_hour(client):
    iterator = client.create().iterator()
    client.world.control.advance_clock(14 * 60)
    client.streams.get_records(ShardIterator=iterator)
    client.world.control.advance_clock(61)
    assert refused(client.streams.get_records, ShardIterator=iterator)[0] == "ExpiredIteratorException"


@conforms("DDB-LIMIT-5", "documented")
def test_ddb_limit_5_streams_are_described_ten_times_and_listed_five_times_a_second(client):
    client.create()
    for call, rate in ((client.describe, 10), (client.streams.list_streams, 5)):
        client.world.control.advance_clock(1)
        codes: list[str] = []
        # At once, so that they are within a second on a busy machine, too.
        with ThreadPoolExecutor(20) as pool:
            client.world.wait_until(lambda: codes.extend(pool.map(code_of, [call] * 20)) or any(codes))  # noqa: B023
        assert set(codes) == {"", "ThrottlingException"}
        assert codes.count("") >= rate
        client.world.control.advance_clock(1)
        call()


@conforms("DDB-LIMIT-5", "documented")
def test_ddb_limit_5_streams_are_listed_by_page(client):
    client.create()
    for _ in range(2):
        client.stream(on=False)
        client.stream(on=True, StreamViewType="KEYS_ONLY")
    listed: list[str] = []
    position: dict[str, str] = {}
    while True:
        client.world.control.advance_clock(1)
        page = client.streams.list_streams(TableName=client.table, Limit=2, **position)
        listed += [each["StreamArn"] for each in page["Streams"]]
        if "LastEvaluatedStreamArn" not in page:
            break
        position = {"ExclusiveStartStreamArn": page["LastEvaluatedStreamArn"]}
    assert len(listed) == len(set(listed)) == 3
    assert client.arn in listed
    assert refused(client.streams.list_streams, Limit=101)[0] == "ValidationException"


@conforms("DDB-LIMIT-7", "documented", partly="capacity is kept and neither throttles nor has a quota")
def test_ddb_limit_7_a_table_with_a_stream_keeps_its_provisioned_capacity(client):
    client.tables.create_table(
        TableName=client.table,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        ProvisionedThroughput={"ReadCapacityUnits": 1, "WriteCapacityUnits": 40_000},
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
    )
    found = client.tables.describe_table(TableName=client.table)["Table"]["ProvisionedThroughput"]
    assert (found["ReadCapacityUnits"], found["WriteCapacityUnits"]) == (1, 40_000)


@conforms("DDB-LIMIT-9", "documented", refused=True)
def test_ddb_limit_9_tagging_a_stream_is_refused_by_name(client):
    tags = [{"Key": "team", "Value": "growth"}]
    code, message = refused(client.tables.tag_resource, ResourceArn=client.create().arn, Tags=tags)
    assert (code, "dynamodb:TagResource" in message) == ("NotSimulated", True)


@conforms("DDB-LIMIT-10", "documented")
def test_ddb_limit_10_the_streams_are_an_api_of_their_own(client):
    client.create()

    def ask(target):
        headers = {"x-amz-target": f"{target}.DescribeStream"}
        return client.world.signed("POST", "/", {"StreamArn": client.arn}, service="dynamodb", headers=headers)

    status, answer = ask("DynamoDBStreams_20120810")
    assert (status, answer["StreamDescription"]["StreamArn"]) == (200, client.arn)
    status, answer = ask("DynamoDB_20120810")
    assert (status, answer["__type"]) == (501, "NotSimulated")


@conforms("DDB-SHARD-1", "documented")
def test_ddb_shard_1_every_change_is_there_once_and_those_of_an_item_in_their_order(client):
    client.create()
    for number in range(30):
        client.put(f"item {number % 3}", n={"N": str(number)})
    read = client.records()
    assert len({each["eventID"] for each in read}) == len(read) == 30
    for item in range(3):
        written = [each["dynamodb"]["NewImage"]["n"]["N"] for each in read if keys([each]) == [f"item {item}"]]
        assert written == [str(number) for number in range(item, 30, 3)]


@conforms("DDB-SHARD-3", "documented")
def test_ddb_shard_3_an_open_shard_has_a_first_sequence_number_and_no_last_one(client):
    client.create()

    def numbers():
        (shard,) = client.describe()["Shards"]
        return shard["SequenceNumberRange"]

    empty = numbers()
    assert list(empty) == ["StartingSequenceNumber"]
    client.put("a")
    assert list(numbers()) == ["StartingSequenceNumber"]
    # A position that was read before there was a record is one from which all of them come.
    assert keys(client.records("AT_SEQUENCE_NUMBER", SequenceNumber=empty["StartingSequenceNumber"])) == ["a"]
    client.stream(on=False)
    assert sorted(numbers()) == ["EndingSequenceNumber", "StartingSequenceNumber"]


@conforms("DDB-SHARD-3", "documented")
def test_ddb_shard_3_a_shard_that_was_closed_without_a_record_has_both_numbers(client):
    client.create().stream(on=False)
    (shard,) = client.describe()["Shards"]
    assert len(set(shard["SequenceNumberRange"].values())) == 1
    assert client.streams.get_records(ShardIterator=client.iterator()).get("NextShardIterator") is None


@honours("dynamodbstreams:DescribeStream", "StreamArn ShardFilter")
@conforms("DDB-SHARD-4", "documented")
def test_ddb_shard_4_the_children_of_a_shard_can_be_asked_for_and_here_there_are_none(client):
    assert [shard["ShardId"] for shard in client.create().describe()["Shards"]] == [SHARD]
    assert client.describe(ShardFilter={"Type": "CHILD_SHARDS", "ShardId": SHARD})["Shards"] == []


@conforms("DDB-SHARD-7", "documented", partly="AT_TIMESTAMP, which is refused by name")
def test_ddb_shard_7_a_shard_is_read_from_a_number_from_the_oldest_or_behind_the_latest(client):
    client.create()
    for key in "abc":
        client.put(key)
    numbers = [each["dynamodb"]["SequenceNumber"] for each in client.records()]
    assert keys(client.records("AT_SEQUENCE_NUMBER", SequenceNumber=numbers[1])) == ["b", "c"]
    assert keys(client.records("AFTER_SEQUENCE_NUMBER", SequenceNumber=numbers[1])) == ["c"]
    latest = client.iterator("LATEST")
    client.put("d")
    assert keys(client.streams.get_records(ShardIterator=latest)["Records"]) == ["d"]


@conforms("DDB-SHARD-7", "documented", refused=True)
def test_ddb_shard_7_a_time_as_position_is_refused_by_name(client):
    asked = {"StreamArn": client.create().arn, "ShardId": SHARD, "ShardIteratorType": "AT_TIMESTAMP"}
    headers = {"x-amz-target": "DynamoDBStreams_20120810.GetShardIterator"}
    for more, named in (({}, "AT_TIMESTAMP"), ({"Timestamp": 1_764_000_000_000}, "Timestamp")):
        status, answer = client.world.signed("POST", "/", asked | more, service="dynamodb", headers=headers)
        assert (status, answer["__type"], named in answer["message"]) == (501, "NotSimulated", True)


@conforms("DDB-RECORD-11", "recorded")
def test_ddb_record_11_an_event_id_has_32_hexadecimal_digits_and_no_dashes(client):
    client.create()
    client.put("a")
    client.put("b")
    ids = [each["eventID"] for each in client.records()]
    assert len(set(ids)) == 2
    assert all(re.fullmatch(r"[0-9a-f]{32}", each) for each in ids)


@conforms("DDB-RECORD-5", "recorded")
def test_ddb_record_5_a_shard_is_named_by_twenty_digits_and_eight_hexadecimal_ones(client):
    (shard,) = client.create().describe()["Shards"]
    assert re.fullmatch(r"shardId-\d{20}-[0-9a-f]{8}", shard["ShardId"])


@conforms("DDB-RECORD-6", "documented")
def test_ddb_record_6_a_streams_label_is_when_it_was_made(client):
    before = client.world.control.advance_clock(0)
    description = client.create().describe()
    assert description["StreamArn"] == (
        f"arn:aws:dynamodb:us-east-1:111122223333:table/{client.table}/stream/{description['StreamLabel']}"
    )
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}", description["StreamLabel"])
    created = description["CreationRequestDateTime"]
    assert created.isoformat(timespec="milliseconds").startswith(description["StreamLabel"])
    assert before - 0.001 <= created.timestamp() <= client.world.control.advance_clock(0)


@pytest.mark.parametrize(
    ("view", "images"),
    [
        ("KEYS_ONLY", [set(), set(), set()]),
        ("NEW_IMAGE", [{"NewImage"}, {"NewImage"}, set()]),
        ("OLD_IMAGE", [set(), {"OldImage"}, {"OldImage"}]),
        ("NEW_AND_OLD_IMAGES", [{"NewImage"}, {"NewImage", "OldImage"}, {"OldImage"}]),
    ],
)
@conforms("DDB-RECORD-8", "recorded")
def test_ddb_record_8_records_have_the_images_of_the_streams_view(client, view, images):
    client.create(view).put("a")
    client.put("a", n={"N": "1"})
    client.tables.delete_item(TableName=client.table, Key={"id": {"S": "a"}})
    read = [each["dynamodb"] for each in client.records()]
    assert [each.keys() & {"NewImage", "OldImage"} for each in read] == images
    assert {each["StreamViewType"] for each in read} == {view}
    assert [each["Keys"] for each in read] == [{"id": {"S": "a"}}] * 3


@honours("dynamodb:UpdateTable", "TableName StreamSpecification")
@conforms("DDB-RECORD-9", "recorded")
def test_ddb_record_9_another_view_is_another_stream_and_a_mapping_stays_at_the_old_one(client):
    client.create()
    mapping = client.world.mapping(client.arn, client.world.function())
    again = f"Table already has an enabled stream: TableName: {client.table}"
    for view in ("NEW_AND_OLD_IMAGES", "KEYS_ONLY"):
        assert refused(client.stream, on=True, StreamViewType=view) == ("ValidationException", again)
    client.put("a")
    off = client.stream(on=False)
    assert ("StreamSpecification" in off, off["LatestStreamArn"]) == (False, client.arn)
    none = f"Table has no stream to disable: TableName: {client.table}"
    assert refused(client.stream, on=False) == ("ValidationException", none)
    new = client.stream(on=True, StreamViewType="KEYS_ONLY")["LatestStreamArn"]
    assert new != client.arn
    client.put("b")
    assert (keys(client.records()), keys(client.records(arn=new))) == (["a"], ["b"])
    client.world.settle(mapping)
    assert client.world.invocations(mapping) == [(["a"], "success")]
    client.world.control.advance_clock(1)
    listed = client.streams.list_streams(TableName=client.table)["Streams"]
    assert [each["StreamArn"] for each in listed] == [client.arn, new]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"on": True}, "If stream is being enabled then UpdateViewType is required"),
        (
            {"on": False, "StreamViewType": "KEYS_ONLY"},
            "If stream is being disabled, then UpdateViewType must not be specified",
        ),
    ],
)
@conforms("DDB-RECORD-9", "recorded")
def test_ddb_record_9_a_view_is_said_when_a_stream_is_enabled_and_only_then(client, asked, message):
    client.create()
    assert refused(client.stream, **asked) == (
        "ValidationException",
        f"One or more parameter values were invalid: {message}",
    )


def test_a_table_cannot_be_made_with_a_stream_of_no_view(client):
    message = "Table is being created with a stream enabled, UpdateViewType is required"
    code, said = refused(
        client.tables.create_table,
        TableName=client.table,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True},
    )
    assert (code, message in said) == ("ValidationException", True)


SETS = {"s": {"SS": ["a", "b"]}, "n": {"NS": ["1", "2"]}, "deep": {"L": [{"M": {"b": {"BS": [b"x", b"y"]}}}]}}
SETS_TURNED = {"s": {"SS": ["b", "a"]}, "n": {"NS": ["2", "1"]}, "deep": {"L": [{"M": {"b": {"BS": [b"y", b"x"]}}}]}}


@conforms("DDB-WRITE-1", "recorded")
def test_ddb_write_1_a_write_that_changes_nothing_is_no_change(client):
    client.create().put("a", n={"N": "1"})
    same = {"id": {"S": "a"}, "n": {"N": "1"}}
    client.tables.put_item(TableName=client.table, Item=same)
    client.update("a", "SET n = :n", n={"N": "1"})
    client.tables.batch_write_item(RequestItems={client.table: [{"PutRequest": {"Item": same}}]})
    update = {"UpdateExpression": "SET n = :n", "ExpressionAttributeValues": {":n": {"N": "1"}}}
    client.tables.transact_write_items(TransactItems=[{"Put": {"TableName": client.table, "Item": same}}])
    client.tables.transact_write_items(
        TransactItems=[{"Update": {"TableName": client.table, "Key": {"id": {"S": "a"}}, **update}}]
    )
    client.tables.delete_item(TableName=client.table, Key={"id": {"S": "absent"}})
    assert client.changes() == [("INSERT", "a")]


@conforms("DDB-WRITE-1", "deduced")
def test_ddb_write_1_a_set_has_no_order_that_could_change(client):
    client.create().put("a", **SETS)
    client.put("a", **SETS_TURNED)
    assert client.changes() == [("INSERT", "a")]
    client.put("a", **SETS_TURNED | {"s": {"SS": ["b", "c"]}})
    # A map may have an attribute of the name of a type.
    client.put("b", m={"M": {"SS": {"L": [{"S": "x"}, {"S": "y"}]}}})
    client.put("b", m={"M": {"SS": {"L": [{"S": "y"}, {"S": "x"}]}}})
    assert client.changes()[1:] == [("MODIFY", "a"), ("INSERT", "b"), ("MODIFY", "b")]


@conforms("DDB-WRITE-2", "recorded")
def test_ddb_write_2_an_item_put_over_another_is_modified(client):
    client.create().put("a", n={"N": "1"})
    client.put("a", m={"N": "2"})
    assert client.changes() == [("INSERT", "a"), ("MODIFY", "a")]


@conforms("DDB-WRITE-3", "recorded")
def test_ddb_write_3_an_update_of_an_item_that_is_not_there_inserts_it(client):
    client.create().update("a", "SET n = :n", n={"N": "1"})
    assert client.changes() == [("INSERT", "a")]


@conforms("DDB-WRITE-4", "recorded")
def test_ddb_write_4_a_transaction_is_one_record_for_each_item_and_nothing_holds_them_together(client):
    client.create().put("gone")
    client.tables.transact_write_items(
        TransactItems=[
            {"Put": {"TableName": client.table, "Item": {"id": {"S": "new"}}}},
            {"Delete": {"TableName": client.table, "Key": {"id": {"S": "gone"}}}},
        ]
    )
    first, *changes = client.records()
    assert [(each["eventName"], *keys([each])) for each in changes] == [("INSERT", "new"), ("REMOVE", "gone")]
    # They have no member that a single write's record has not.
    assert {frozenset(each) for each in changes} == {frozenset(first)}
    number = first["dynamodb"]["SequenceNumber"]
    position = client.iterator("AFTER_SEQUENCE_NUMBER", SequenceNumber=number)
    assert len(client.streams.get_records(ShardIterator=position, Limit=1)["Records"]) == 1


@conforms("DDB-WRITE-5", "recorded", refused=True)
def test_ddb_write_5_replicas_of_a_table_are_refused_by_name(client):
    client.create()
    replicas = [{"Create": {"RegionName": "eu-west-1"}}]
    code, message = refused(client.tables.update_table, TableName=client.table, ReplicaUpdates=replicas)
    assert (code, "ReplicaUpdates of dynamodb:UpdateTable" in message) == ("NotSimulated", True)


@conforms("DDB-WRITE-6", "documented")
def test_ddb_write_6_an_item_is_deleted_after_it_has_expired_and_is_there_until_then(client):
    client.create()
    client.tables.update_time_to_live(
        TableName=client.table, TimeToLiveSpecification={"Enabled": True, "AttributeName": "until"}
    )
    # It is written when its time is over already.
    client.put("a", until={"N": str(int(time.time()) - 10)})
    client.world.wait_until(lambda: client.changes() == [("INSERT", "a"), ("REMOVE", "a")])
