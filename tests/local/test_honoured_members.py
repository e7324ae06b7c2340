"""What `local/passes.py` lists: that AWS has it, and that the members that page and select do so here."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.calls import SERVICES, service_model
from local.passes import PASSES, VALUES

POLICY = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}'

EVERY_OPERATION = [(service, operation) for service, operations in PASSES.items() for operation in operations]


def test_every_service_has_a_list():
    assert set(PASSES) == set(SERVICES)


@pytest.mark.parametrize(("service", "operation"), EVERY_OPERATION)
def test_every_listed_operation_and_member_is_one_of_awss(service, operation):
    shape = service_model(service).operation_model(operation).input_shape
    members = PASSES[service][operation]
    assert members.honoured | members.kept <= set(shape.members if shape else ())
    assert not members.honoured & members.kept


def test_values_are_limited_of_listed_members_only():
    for call, member in VALUES:
        service, _, operation = call.partition(":")
        members = PASSES[service][operation]
        assert member in members.honoured | members.kept


def name(world, number: int) -> str:
    return f"{world.name}-{number}"


def tables(world) -> None:
    for number in range(3):
        world.table(name(world, number))


def functions(world) -> None:
    for number in range(3):
        world.function(name=name(world, number))


def roles(world) -> None:
    for number in range(3):
        world.client("iam").create_role(
            RoleName=name(world, number), Path=f"/{world.name}/", AssumeRolePolicyDocument="{}"
        )


def role_policies(world) -> None:
    world.client("iam").create_role(RoleName=world.name, AssumeRolePolicyDocument="{}")
    for number in range(3):
        world.client("iam").put_role_policy(RoleName=world.name, PolicyName=name(world, number), PolicyDocument=POLICY)


def buckets(world) -> None:
    for number in range(3):
        world.client("s3").create_bucket(Bucket=name(world, number))


def objects(world) -> None:
    world.bucket()
    for number in range(3):
        world.client("s3").put_object(Bucket=world.name, Key=name(world, number), Body=b"x")


def log_groups(world) -> None:
    for number in range(3):
        world.client("logs").create_log_group(logGroupName=name(world, number))


def log_streams(world) -> None:
    world.client("logs").create_log_group(logGroupName=world.name)
    for number in range(3):
        world.client("logs").create_log_stream(logGroupName=world.name, logStreamName=name(world, number))


def alarms(world) -> None:
    for number in range(3):
        world.client("cloudwatch").put_metric_alarm(
            AlarmName=name(world, number),
            Namespace="AWS/Lambda",
            MetricName="Errors",
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=1,
            ComparisonOperator="GreaterThanThreshold",
        )


#: What is made, who lists it, where the answer has it, the member that limits a page, the two that carry on, and
#: further members that the call is made with; `{}` in a text is the test's name.
LISTINGS: dict[str, tuple[Any, str, str, str, str, str, str, dict[str, str]]] = {
    "dynamodb:ListTables": (
        tables, "list_tables", "TableNames", "Limit", "ExclusiveStartTableName", "LastEvaluatedTableName", "", {},
    ),
    "lambda:ListFunctions": (
        functions, "list_functions", "Functions", "MaxItems", "Marker", "NextMarker", "FunctionName", {},
    ),
    "s3:ListBuckets": (
        buckets, "list_buckets", "Buckets", "MaxBuckets", "ContinuationToken", "ContinuationToken", "Name",
        {"Prefix": "{}"},
    ),
    "s3:ListObjectsV2": (
        objects, "list_objects_v2", "Contents", "MaxKeys", "ContinuationToken", "NextContinuationToken", "Key",
        {"Bucket": "{}", "Prefix": "{}"},
    ),
    "logs:DescribeLogGroups": (
        log_groups, "describe_log_groups", "logGroups", "limit", "nextToken", "nextToken", "logGroupName",
        {"logGroupNamePrefix": "{}"},
    ),
    "logs:DescribeLogStreams": (
        log_streams, "describe_log_streams", "logStreams", "limit", "nextToken", "nextToken", "logStreamName",
        {"logGroupName": "{}", "logStreamNamePrefix": "{}"},
    ),
    "cloudwatch:DescribeAlarms": (
        alarms, "describe_alarms", "MetricAlarms", "MaxRecords", "NextToken", "NextToken", "AlarmName",
        {"AlarmNamePrefix": "{}"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("call", LISTINGS)
def test_a_listing_comes_in_pages_of_the_size_that_was_asked_for(world, call):
    make, method, found, limit, start, carry_on, named, given = LISTINGS[call]
    make(world)
    ask = getattr(world.client(call.partition(":")[0]), method)
    arguments = {member: text.format(world.name) for member, text in given.items()}
    seen: list[str] = []
    more: dict[str, str] = {}
    while True:
        page = ask(**arguments, **more, **{limit: 2})
        items = page.get(found, [])
        assert len(items) <= 2
        seen += [item[named] if named else item for item in items]
        if not page.get(carry_on):
            break
        more = {start: page[carry_on]}
    assert len(seen) == len(set(seen))
    wanted = [name(world, number) for number in range(3)]
    assert sorted(each for each in seen if each.startswith(f"{world.name}-")) == wanted
    if "{}" in "".join(given.values()) and "Prefix" in "".join(given):
        assert sorted(seen) == wanted


def test_lists_that_do_not_page_here_take_no_page_size(world):
    for service, method, arguments in (
        ("iam", "list_roles", {"MaxItems": 2}),
        ("iam", "list_role_policies", {"RoleName": "role", "MaxItems": 2}),
        ("apigatewayv2", "get_apis", {"MaxResults": "2"}),
        ("cloudwatch", "describe_alarms", {"ActionPrefix": "arn:aws:sns"}),
    ):
        with pytest.raises(ClientError, match=f"does not honour {list(arguments)[-1]}"):
            getattr(world.client(service), method)(**arguments)


def test_roles_are_listed_below_a_path_and_their_policies_by_role(world):
    roles(world)
    role_policies(world)
    listed = world.client("iam").list_roles(PathPrefix=f"/{world.name}/")["Roles"]
    assert sorted(role["RoleName"] for role in listed) == [name(world, number) for number in range(3)]
    policies = world.client("iam").list_role_policies(RoleName=world.name)["PolicyNames"]
    assert sorted(policies) == [name(world, number) for number in range(3)]


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


def test_a_query_honours_each_of_its_members(items):
    assert numbers(items()) == [0, 1, 2, 3, 4]
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


def test_a_scan_honours_each_of_its_members(world, items):
    scan = world.client("dynamodb").scan
    page = scan(TableName=world.name, Limit=3)
    rest = scan(TableName=world.name, ExclusiveStartKey=page["LastEvaluatedKey"])
    assert numbers(page) + numbers(rest) == [0, 1, 2, 3, 4]
    segments = [numbers(scan(TableName=world.name, Segment=each, TotalSegments=2)) for each in range(2)]
    assert sorted(number for segment in segments for number in segment) == [0, 1, 2, 3, 4]
    assert scan(TableName=world.name, Select="COUNT")["Count"] == 5
    found = scan(
        TableName=world.name,
        FilterExpression="#n > :two",
        ExpressionAttributeNames={"#n": "n"},
        ExpressionAttributeValues={":two": {"N": "2"}},
        ProjectionExpression="#n",
    )
    assert found["Items"] == [{"n": {"N": "3"}}, {"n": {"N": "4"}}]


def test_writes_return_what_they_are_asked_for(world, items):
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
            ConditionExpression="seen = :other",
            ExpressionAttributeValues={":new": {"N": "3"}, ":other": {"N": "9"}},
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
    assert refused.value.response["Item"]["seen"] == {"N": "2"}
    capacity = world.client("dynamodb").put_item(
        TableName=world.name, Item={**key, "n": {"N": "7"}}, ReturnConsumedCapacity="TOTAL"
    )["ConsumedCapacity"]
    assert capacity["TableName"] == world.name


def test_a_stream_is_read_by_page_and_from_any_record(world):
    stream = world.table()
    world.put("a", "b", "c")
    streams = world.client("dynamodbstreams")
    assert [each["StreamArn"] for each in streams.list_streams(TableName=world.name, Limit=1)["Streams"]] == [stream]
    (shard,) = streams.describe_stream(StreamArn=stream)["StreamDescription"]["Shards"]
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


def test_log_events_are_selected_by_stream_time_and_pattern(world):
    logs = world.client("logs")
    logs.create_log_group(logGroupName=world.name)
    now = int(world.control.advance_clock(0) * 1000)
    for stream, offset in (("one", 0), ("two", 1000)):
        logs.create_log_stream(logGroupName=world.name, logStreamName=stream)
        logs.put_log_events(
            logGroupName=world.name,
            logStreamName=stream,
            logEvents=[
                {"timestamp": now + offset, "message": f"ERROR in {stream}"},
                {"timestamp": now + offset, "message": "fine"},
            ],
        )

    def found(**arguments):
        events = logs.filter_log_events(logGroupName=world.name, **arguments)["events"]
        return sorted(event["message"] for event in events)

    assert found(logStreamNames=["one"]) == ["ERROR in one", "fine"]
    assert found(filterPattern="ERROR") == ["ERROR in one", "ERROR in two"]
    assert found(filterPattern="ERROR", startTime=now + 500) == ["ERROR in two"]
    assert found(filterPattern="ERROR", endTime=now + 500) == ["ERROR in one"]
    assert len(found(limit=1)) == 1


def test_an_object_is_read_in_part_and_keeps_its_metadata(world):
    world.bucket()
    s3 = world.client("s3")
    s3.put_object(Bucket=world.name, Key="k", Body=b"0123456789", ContentType="text/plain", Metadata={"a": "b"})
    part = s3.get_object(Bucket=world.name, Key="k", Range="bytes=2-4")
    assert part["Body"].read() == b"234"
    head = s3.head_object(Bucket=world.name, Key="k")
    assert (head["ContentType"], head["Metadata"], head["ContentLength"]) == ("text/plain", {"a": "b"}, 10)
    below = s3.list_objects_v2(Bucket=world.name, Delimiter="/", StartAfter="j")
    assert [each["Key"] for each in below["Contents"]] == ["k"]


def test_messages_are_delayed_hidden_and_limited_as_asked(world):
    sqs = world.client("sqs")
    url = sqs.create_queue(QueueName=world.name)["QueueUrl"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "100"})
    assert sqs.get_queue_url(QueueName=world.name)["QueueUrl"] == url

    def receive(**arguments):
        return sqs.receive_message(QueueUrl=url, **arguments).get("Messages", [])

    sqs.send_message(QueueUrl=url, MessageBody="late", DelaySeconds=60)
    assert receive() == []
    world.control.advance_clock(60)
    (late,) = receive(MessageSystemAttributeNames=["ApproximateReceiveCount"])
    assert late["Attributes"] == {"ApproximateReceiveCount": "1"}
    assert receive() == []
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=late["ReceiptHandle"], VisibilityTimeout=0)
    (late,) = receive(VisibilityTimeout=10)
    world.control.advance_clock(11)
    (late,) = receive()
    sqs.delete_message(QueueUrl=url, ReceiptHandle=late["ReceiptHandle"])
    sqs.send_message_batch(QueueUrl=url, Entries=[{"Id": each, "MessageBody": each} for each in "abc"])
    assert [len(receive(MaxNumberOfMessages=2)) for _ in range(3)] == [2, 1, 0]
