"""Tables and their streams: what each member of their operations does."""

from __future__ import annotations

import re

import pytest
from botocore.exceptions import ClientError

honours = pytest.mark.honours


@pytest.fixture
def items(world):
    """A table with the items 0 to 4 under one partition key, read through `query`."""
    world.client("dynamodb").create_table(
        TableName=world.name,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "n", "KeyType": "RANGE"}],
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "n", "AttributeType": "N"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    for number in range(5):
        world.client("dynamodb").put_item(
            TableName=world.name, Item={"pk": {"S": "a"}, "n": {"N": str(number)}, "big": {"BOOL": number > 2}}
        )

    def query(**arguments):
        return world.client("dynamodb").query(
            TableName=world.name,
            KeyConditionExpression="pk = :a",
            **{"ExpressionAttributeValues": {":a": {"S": "a"}}, **arguments},
        )

    return query


def numbers(answer) -> list[int]:
    return [int(item["n"]["N"]) for item in answer["Items"]]


@honours(
    "dynamodb:Query",
    "TableName KeyConditionExpression FilterExpression ProjectionExpression ExpressionAttributeNames "
    "ExpressionAttributeValues ConsistentRead Limit ScanIndexForward ExclusiveStartKey Select",
)
def test_a_query_honours_each_of_its_members(items):
    assert numbers(items(ConsistentRead=True)) == [0, 1, 2, 3, 4]
    assert numbers(items(ScanIndexForward=False)) == [4, 3, 2, 1, 0]
    page = items(Limit=2)
    assert numbers(page) == [0, 1]
    assert numbers(items(Limit=2, ExclusiveStartKey=page["LastEvaluatedKey"])) == [2, 3]
    values = {":a": {"S": "a"}, ":yes": {"BOOL": True}}
    filtered = items(
        FilterExpression="#big = :yes", ExpressionAttributeNames={"#big": "big"}, ExpressionAttributeValues=values
    )
    assert numbers(filtered) == [3, 4]
    assert items(ProjectionExpression="n")["Items"][0] == {"n": {"N": "0"}}
    counted = items(Select="COUNT")
    assert (counted["Count"], "Items" in counted) == (5, False)


@honours(
    "dynamodb:Scan",
    "TableName FilterExpression ProjectionExpression ExpressionAttributeNames ExpressionAttributeValues "
    "ConsistentRead Limit ExclusiveStartKey Segment TotalSegments Select",
)
def test_a_scan_honours_each_of_its_members(world, items):
    scan = world.client("dynamodb").scan
    page = scan(TableName=world.name, Limit=3)
    rest = scan(TableName=world.name, ExclusiveStartKey=page["LastEvaluatedKey"])
    assert numbers(page) + numbers(rest) == [0, 1, 2, 3, 4]
    segments = [numbers(scan(TableName=world.name, Segment=each, TotalSegments=2)) for each in range(2)]
    assert sorted(number for segment in segments for number in segment) == [0, 1, 2, 3, 4]
    assert scan(TableName=world.name, Select="COUNT", ConsistentRead=True)["Count"] == 5
    found = scan(
        TableName=world.name,
        FilterExpression="#n > :two",
        ExpressionAttributeNames={"#n": "n"},
        ExpressionAttributeValues={":two": {"N": "2"}},
        ProjectionExpression="#n",
    )
    assert found["Items"] == [{"n": {"N": "3"}}, {"n": {"N": "4"}}]


@honours("dynamodb:PutItem", "TableName Item ReturnValues ReturnValuesOnConditionCheckFailure")
@honours("dynamodb:PutItem", "ConditionExpression ExpressionAttributeNames ExpressionAttributeValues")
@honours("dynamodb:DeleteItem", "TableName Key ReturnValues ReturnValuesOnConditionCheckFailure")
@honours("dynamodb:DeleteItem", "ConditionExpression ExpressionAttributeNames ExpressionAttributeValues")
def test_a_write_holds_to_its_condition_and_returns_the_item_that_was_there(world, items):
    for each in ("put_item", "delete_item"):
        key = {"pk": {"S": "a"}, "n": {"N": "0" if each == "put_item" else "1"}}
        what = {"Item": {**key, "new": {"BOOL": True}}} if each == "put_item" else {"Key": key}
        call = getattr(world.client("dynamodb"), each)
        conditional = {
            "TableName": world.name,
            **what,
            "ConditionExpression": "#big = :is",
            "ExpressionAttributeNames": {"#big": "big"},
            "ReturnValues": "ALL_OLD",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        with pytest.raises(ClientError) as refused:
            call(**conditional, ExpressionAttributeValues={":is": {"BOOL": True}})
        assert refused.value.response["Error"]["Code"] == "ConditionalCheckFailedException"
        assert refused.value.response["Item"] == {**key, "big": {"BOOL": False}}
        old = call(**conditional, ExpressionAttributeValues={":is": {"BOOL": False}})["Attributes"]
        assert old == {**key, "big": {"BOOL": False}}
    assert numbers(items()) == [0, 2, 3, 4]


@honours("dynamodb:UpdateItem", "TableName Key UpdateExpression ReturnValues ReturnValuesOnConditionCheckFailure")
@honours("dynamodb:UpdateItem", "ConditionExpression ExpressionAttributeNames ExpressionAttributeValues")
def test_an_update_returns_what_it_is_asked_for(world, items):
    key = {"pk": {"S": "a"}, "n": {"N": "0"}}
    update = {"TableName": world.name, "Key": key, "UpdateExpression": "SET seen = :new"}
    write = world.client("dynamodb").update_item
    old = write(**update, ExpressionAttributeValues={":new": {"N": "1"}}, ReturnValues="ALL_OLD")
    assert "seen" not in old["Attributes"]
    new = write(**update, ExpressionAttributeValues={":new": {"N": "2"}}, ReturnValues="UPDATED_NEW")
    assert new["Attributes"] == {"seen": {"N": "2"}}
    with pytest.raises(ClientError) as refused:
        write(
            **update,
            ConditionExpression="#seen = :other",
            ExpressionAttributeNames={"#seen": "seen"},
            ExpressionAttributeValues={":new": {"N": "3"}, ":other": {"N": "9"}},
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
    assert refused.value.response["Item"]["seen"] == {"N": "2"}


@honours("dynamodbstreams:ListStreams", "TableName Limit ExclusiveStartStreamArn")
@honours("dynamodbstreams:DescribeStream", "StreamArn Limit ExclusiveStartShardId")
@honours("dynamodbstreams:GetShardIterator", "StreamArn ShardId ShardIteratorType SequenceNumber")
@honours("dynamodbstreams:GetRecords", "ShardIterator Limit")
def test_a_stream_is_read_by_page_and_from_any_record(world):
    stream = world.table()
    world.put("a", "b", "c")
    streams = world.client("dynamodbstreams")
    assert [each["StreamArn"] for each in streams.list_streams(TableName=world.name, Limit=1)["Streams"]] == [stream]
    assert streams.list_streams(TableName=world.name, ExclusiveStartStreamArn=stream)["Streams"] == []
    (shard,) = streams.describe_stream(StreamArn=stream, Limit=1)["StreamDescription"]["Shards"]
    behind = streams.describe_stream(StreamArn=stream, ExclusiveStartShardId=shard["ShardId"])["StreamDescription"]
    assert behind["Shards"] == []
    where = {"StreamArn": stream, "ShardId": shard["ShardId"]}

    def read(**position):
        iterator = streams.get_shard_iterator(**where, **position)["ShardIterator"]
        return streams.get_records(ShardIterator=iterator, Limit=2)["Records"]

    def ids(records):
        return [record["dynamodb"]["Keys"]["id"]["S"] for record in records]

    first = read(ShardIteratorType="TRIM_HORIZON")
    assert ids(first) == ["a", "b"]
    second = first[1]["dynamodb"]["SequenceNumber"]
    assert ids(read(ShardIteratorType="AT_SEQUENCE_NUMBER", SequenceNumber=second)) == ["b", "c"]
    assert ids(read(ShardIteratorType="AFTER_SEQUENCE_NUMBER", SequenceNumber=second)) == ["c"]
    assert read(ShardIteratorType="LATEST") == []


@honours("dynamodb:GetItem", "TableName Key ConsistentRead ProjectionExpression ExpressionAttributeNames")
def test_an_item_is_read_as_far_as_it_is_asked_for(world, items):
    read = world.client("dynamodb").get_item
    key = {"pk": {"S": "a"}, "n": {"N": "3"}}
    assert read(TableName=world.name, Key=key)["Item"] == {**key, "big": {"BOOL": True}}
    part = read(
        TableName=world.name,
        Key=key,
        ConsistentRead=True,
        ProjectionExpression="#big",
        ExpressionAttributeNames={"#big": "big"},
    )
    assert part["Item"] == {"big": {"BOOL": True}}


@honours("dynamodb:BatchWriteItem", "RequestItems")
@honours("dynamodb:BatchGetItem", "RequestItems")
def test_a_batch_writes_deletes_and_reads(world, items):
    one, two, nine = ({"pk": {"S": "a"}, "n": {"N": number}} for number in "129")
    written = world.client("dynamodb").batch_write_item(
        RequestItems={world.name: [{"DeleteRequest": {"Key": one}}, {"PutRequest": {"Item": nine}}]}
    )
    assert written["UnprocessedItems"] == {}
    assert numbers(items()) == [0, 2, 3, 4, 9]
    read = world.client("dynamodb").batch_get_item(
        RequestItems={world.name: {"Keys": [one, two, nine], "ProjectionExpression": "n"}}
    )
    assert sorted(int(item["n"]["N"]) for item in read["Responses"][world.name]) == [2, 9]


@honours("dynamodb:TransactWriteItems", "TransactItems ClientRequestToken")
def test_a_transaction_is_done_as_a_whole_and_once(world, items):
    transact = world.client("dynamodb").transact_write_items
    key = {"pk": {"S": "a"}, "n": {"N": "0"}}
    add = {
        "TableName": world.name,
        "Key": key,
        "UpdateExpression": "ADD seen :one",
        "ExpressionAttributeValues": {":one": {"N": "1"}},
    }
    missing = {**key, "n": {"N": "9"}}
    check = {"TableName": world.name, "Key": missing, "ConditionExpression": "attribute_exists(pk)"}

    def seen():
        return world.client("dynamodb").get_item(TableName=world.name, Key=key)["Item"].get("seen")

    with pytest.raises(ClientError) as cancelled:
        transact(TransactItems=[{"Update": add}, {"ConditionCheck": check}])
    codes = [reason["Code"] for reason in cancelled.value.response["CancellationReasons"]]
    assert (codes, seen()) == (["None", "ConditionalCheckFailed"], None)
    for _ in range(2):
        transact(TransactItems=[{"Update": add}], ClientRequestToken=world.name)
    assert seen() == {"N": "1"}


@honours(
    "dynamodb:CreateTable",
    "TableName AttributeDefinitions KeySchema StreamSpecification DeletionProtectionEnabled BillingMode "
    "SSESpecification Tags",
)
@honours("dynamodb:DescribeTable", "TableName")
@honours("dynamodb:ListTagsOfResource", "ResourceArn")
@honours("dynamodb:UpdateContinuousBackups", "TableName PointInTimeRecoverySpecification")
@honours("dynamodb:DescribeContinuousBackups", "TableName")
def test_a_table_is_described_as_it_was_made(world):
    dynamodb = world.client("dynamodb")
    given = {
        "TableName": world.name,
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"},
        "DeletionProtectionEnabled": True,
    }
    tags = [{"Key": "role", "Value": "ledger"}]
    dynamodb.create_table(**given, BillingMode="PAY_PER_REQUEST", SSESpecification={"Enabled": True}, Tags=tags)
    made = dynamodb.describe_table(TableName=world.name)["Table"]
    assert {member: made[member] for member in given} == given
    assert made["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert made["SSEDescription"]["Status"] == "ENABLED"
    assert dynamodb.list_tags_of_resource(ResourceArn=made["TableArn"])["Tags"] == tags
    world.put("a")
    streams, arn = world.client("dynamodbstreams"), made["LatestStreamArn"]
    (shard,) = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
    iterator = streams.get_shard_iterator(StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")
    (record,) = streams.get_records(ShardIterator=iterator["ShardIterator"])["Records"]
    assert "NewImage" not in record["dynamodb"]
    backups = {"PointInTimeRecoveryEnabled": True}
    dynamodb.update_continuous_backups(TableName=world.name, PointInTimeRecoverySpecification=backups)
    described = dynamodb.describe_continuous_backups(TableName=world.name)["ContinuousBackupsDescription"]
    assert described["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"


@pytest.mark.conformance("DDB-WRITE-8", "documented")
@pytest.mark.parametrize(
    ("expression", "paths"),
    [
        ("SET #a = :one, a = :one", "path one: [a], path two: [a]"),
        ("SET a = :one REMOVE a", "path one: [a], path two: [a]"),
        ("SET a.b = :one REMOVE a", "path one: [a, b], path two: [a]"),
        ("REMOVE l[0], l[0].x", "path one: [l, [0]], path two: [l, [0], x]"),
        ("ADD n :one SET n = :one", "path one: [n], path two: [n]"),
    ],
)
def test_ddb_write_8_an_update_that_names_a_place_twice_is_refused_as_on_aws(world, expression, paths):
    world.table()
    given = {"UpdateExpression": expression, "ExpressionAttributeValues": {":one": {"N": "1"}}}
    names = {"ExpressionAttributeNames": {"#a": "a"}} if "#a" in expression else {}
    update = {"TableName": world.name, "Key": {"id": {"S": "a"}}, **given, **names}
    message = re.escape(
        f"Two document paths overlap with each other; must remove or rewrite one of these paths; {paths}"
    )
    with pytest.raises(ClientError, match=message):
        world.client("dynamodb").update_item(**update)
    with pytest.raises(ClientError, match=message):
        world.client("dynamodb").transact_write_items(TransactItems=[{"Update": update}])


@pytest.mark.parametrize(
    "expression",
    [
        "SET #SET = if_not_exists(#SET, :one) + :one, b = list_append(:l, :l) REMOVE c ADD n :one",
        "SET a1 = :one, a = :one",
        "SET m.a = :one, m.b = :one",
    ],
)
def test_an_update_that_names_each_place_once_is_taken(world, expression):
    world.table()
    key = {"TableName": world.name, "Key": {"id": {"S": "a"}}}
    world.client("dynamodb").put_item(TableName=world.name, Item={"id": {"S": "a"}, "m": {"M": {}}})
    values = {":one": {"N": "1"}, ":l": {"L": []}}
    world.client("dynamodb").update_item(
        **key,
        UpdateExpression=expression,
        ExpressionAttributeValues={name: value for name, value in values.items() if name in expression},
        **({"ExpressionAttributeNames": {"#SET": "set"}} if "#SET" in expression else {}),
    )
