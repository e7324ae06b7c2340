"""Operations and members that an ordinary client meets in its first hour."""

from __future__ import annotations

import json

import pytest
from botocore import xform_name
from botocore.exceptions import ClientError

honours = pytest.mark.honours

ACCOUNT = "us-east-1:111122223333"


def attribute(name: str) -> dict[str, str]:
    return {"AttributeName": name, "AttributeType": "S"}


def by(*names: str) -> list[dict[str, str]]:
    return [{"AttributeName": name, "KeyType": kind} for name, kind in zip(names, ("HASH", "RANGE"), strict=False)]


@pytest.fixture
def orders(world):
    """A table with two indexes and an order."""
    world.client("dynamodb").create_table(
        TableName=world.name,
        AttributeDefinitions=[attribute(name) for name in ("user", "number", "state", "day")],
        KeySchema=by("user", "number"),
        ProvisionedThroughput={"ReadCapacityUnits": 5, "WriteCapacityUnits": 6},
        TableClass="STANDARD",
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by-state",
                "KeySchema": by("state"),
                "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["total"]},
                "ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1},
            }
        ],
        LocalSecondaryIndexes=[
            {"IndexName": "by-day", "KeySchema": by("user", "day"), "Projection": {"ProjectionType": "KEYS_ONLY"}}
        ],
    )
    item = {"user": "ada", "number": "1", "state": "open", "day": "monday", "total": "9", "note": "long"}
    world.client("dynamodb").put_item(
        TableName=world.name, Item={name: {"S": value} for name, value in item.items()}, ReturnConsumedCapacity="NONE"
    )
    return world.client("dynamodb")


@honours("dynamodb:CreateTable", "GlobalSecondaryIndexes LocalSecondaryIndexes ProvisionedThroughput TableClass")
@honours("dynamodb:Query", "IndexName")
@honours("dynamodb:Scan", "IndexName")
def test_an_index_is_queried_and_has_what_it_projects(world, orders):
    def names(answer):
        return [sorted(item) for item in answer["Items"]]

    def query(index, condition, value):
        return orders.query(
            TableName=world.name,
            IndexName=index,
            KeyConditionExpression=f"{condition} = :value",
            ExpressionAttributeValues={":value": {"S": value}},
        )

    # `state` and `user` are reserved words, which an expression may not use: names stand for them.
    projected = orders.query(
        TableName=world.name,
        IndexName="by-state",
        KeyConditionExpression="#s = :open",
        ExpressionAttributeNames={"#s": "state"},
        ExpressionAttributeValues={":open": {"S": "open"}},
    )
    assert names(projected) == [["number", "state", "total", "user"]]
    assert names(orders.scan(TableName=world.name, IndexName="by-day")) == [["day", "number", "user"]]
    with pytest.raises(ClientError, match="does not have the specified index"):
        query("nobody", "number", "1")
    described = orders.describe_table(TableName=world.name)["Table"]
    assert described["ProvisionedThroughput"]["WriteCapacityUnits"] == 6
    assert [each["IndexName"] for each in described["GlobalSecondaryIndexes"]] == ["by-state"]


@honours("dynamodb:UpdateTable", "AttributeDefinitions GlobalSecondaryIndexUpdates ProvisionedThroughput BillingMode")
def test_an_index_is_added_and_removed_and_capacity_is_kept(world, orders):
    made = {"IndexName": "by-total", "KeySchema": by("total"), "Projection": {"ProjectionType": "ALL"}}
    capacity = {"ReadCapacityUnits": 7, "WriteCapacityUnits": 8}
    orders.update_table(
        TableName=world.name,
        AttributeDefinitions=[attribute("total")],
        GlobalSecondaryIndexUpdates=[{"Create": {**made, "ProvisionedThroughput": capacity}}],
    )
    found = orders.query(
        TableName=world.name,
        IndexName="by-total",
        KeyConditionExpression="#t = :nine",
        ExpressionAttributeNames={"#t": "total"},
        ExpressionAttributeValues={":nine": {"S": "9"}},
    )
    assert found["Count"] == 1
    orders.update_table(TableName=world.name, BillingMode="PROVISIONED", ProvisionedThroughput=capacity)
    removed = [{"Delete": {"IndexName": "by-total"}}]
    orders.update_table(TableName=world.name, GlobalSecondaryIndexUpdates=removed)
    table = orders.describe_table(TableName=world.name)["Table"]
    assert table["ProvisionedThroughput"]["ReadCapacityUnits"] == 7
    assert [each["IndexName"] for each in table["GlobalSecondaryIndexes"]] == ["by-state"]


CONSUMING = {
    "BatchWriteItem": lambda name, key: {"RequestItems": {name: [{"PutRequest": {"Item": key}}]}},
    "DeleteItem": lambda name, key: {"TableName": name, "Key": key},
    "GetItem": lambda name, key: {"TableName": name, "Key": key},
    "PutItem": lambda name, key: {"TableName": name, "Item": key},
    "Scan": lambda name, key: {"TableName": name},
    "TransactGetItems": lambda name, key: {"TransactItems": [{"Get": {"TableName": name, "Key": key}}]},
    "TransactWriteItems": lambda name, key: {"TransactItems": [{"Put": {"TableName": name, "Item": key}}]},
    "UpdateItem": lambda name, key: {
        "TableName": name,
        "Key": key,
        "UpdateExpression": "SET n = :n",
        "ExpressionAttributeValues": {":n": {"N": "1"}},
    },
    "Query": lambda name, key: {
        "TableName": name,
        "KeyConditionExpression": "id = :id",
        "ExpressionAttributeValues": {":id": key["id"]},
    },
}


@honours("dynamodb:BatchWriteItem", "ReturnConsumedCapacity")
@honours("dynamodb:DeleteItem", "ReturnConsumedCapacity")
@honours("dynamodb:GetItem", "ReturnConsumedCapacity")
@honours("dynamodb:PutItem", "ReturnConsumedCapacity")
@honours("dynamodb:Query", "ReturnConsumedCapacity")
@honours("dynamodb:Scan", "ReturnConsumedCapacity")
@honours("dynamodb:TransactGetItems", "ReturnConsumedCapacity")
@honours("dynamodb:TransactWriteItems", "ReturnConsumedCapacity")
@honours("dynamodb:UpdateItem", "ReturnConsumedCapacity")
def test_consumed_capacity_is_answered_to_those_who_ask(world):
    world.table()
    client = world.client("dynamodb")
    for operation, arguments_of in CONSUMING.items():
        call, arguments = getattr(client, xform_name(operation)), arguments_of(world.name, {"id": {"S": "a"}})
        assert "ConsumedCapacity" not in call(**arguments, ReturnConsumedCapacity="NONE"), operation
        consumed = call(**arguments, ReturnConsumedCapacity="TOTAL")["ConsumedCapacity"]
        (of_table,) = consumed if isinstance(consumed, list) else [consumed]
        assert (of_table["TableName"], of_table["CapacityUnits"] > 0) == (world.name, True), operation


@honours("dynamodb:BatchGetItem", "ReturnConsumedCapacity")
def test_reads_consume_by_the_size_of_what_is_read(world):
    world.table()
    client, name = world.client("dynamodb"), world.name
    large, small = {"id": {"S": "large"}, "text": {"S": "x" * 9_000}}, {"id": {"S": "small"}}
    for item in (large, small):
        client.put_item(TableName=name, Item=item)

    def consumed(operation, **arguments):
        answer = getattr(client, operation)(**arguments, ReturnConsumedCapacity="TOTAL")
        return answer, answer["ConsumedCapacity"]

    by_key = {"TableName": name, "Key": {"id": {"S": "large"}}}
    for arguments, units in (
        (by_key, 1.5),
        ({**by_key, "ConsistentRead": True}, 3),
        ({**by_key, "Key": {"id": {"S": "small"}}}, 0.5),
        ({**by_key, "Key": {"id": {"S": "none"}}}, 0.5),
        # A projection answers less and reads as much.
        ({**by_key, "ProjectionExpression": "#id", "ExpressionAttributeNames": {"#id": "id"}}, 1.5),
    ):
        assert consumed("get_item", **arguments)[1] == {"TableName": name, "CapacityUnits": units}
    filtered = {
        "FilterExpression": "#id = :small",
        "ExpressionAttributeNames": {"#id": "id"},
        "ExpressionAttributeValues": {":small": {"S": "small"}},
    }
    answer, of_scan = consumed("scan", TableName=name, **filtered)
    assert (answer["Items"], of_scan["CapacityUnits"]) == ([small], 1.5)
    of_one = {
        "KeyConditionExpression": "id = :id",
        "ExpressionAttributeValues": {":id": {"S": "large"}, ":x": {"S": "y"}},
        "FilterExpression": "begins_with(#text, :x)",
        "ExpressionAttributeNames": {"#text": "text"},
    }
    answer, of_query = consumed("query", TableName=name, ConsistentRead=True, **of_one)
    assert (answer["Items"], of_query["CapacityUnits"]) == ([], 3)
    keys = [{"id": {"S": each}} for each in ("large", "small", "none")]
    answer, (of_batch,) = consumed("batch_get_item", RequestItems={name: {"Keys": keys, "ProjectionExpression": "id"}})
    assert len(answer["Responses"][name]) == 2
    assert of_batch == {"TableName": name, "CapacityUnits": 2.5}
    by_index = client.batch_get_item(RequestItems={name: {"Keys": keys}}, ReturnConsumedCapacity="INDEXES")
    assert by_index["ConsumedCapacity"][0]["Table"] == {"CapacityUnits": 2.5}
    nothing = client.batch_get_item(RequestItems={name: {"Keys": keys}}, ReturnConsumedCapacity="NONE")
    assert "ConsumedCapacity" not in nothing


@honours("dynamodb:TransactGetItems", "TransactItems")
def test_items_are_read_in_a_transaction(world):
    world.table()
    world.put("a")
    keys = [{"id": {"S": each}} for each in "ab"]
    read = world.client("dynamodb").transact_get_items(
        TransactItems=[{"Get": {"TableName": world.name, "Key": key}} for key in keys]
    )
    assert read["Responses"] == [{"Item": keys[0]}, {}]


@honours("lambda:UpdateEventSourceMapping", "FunctionName")
def test_a_mapping_moves_to_another_function_and_goes_on_where_it_was(world):
    names = [f"{world.name}-{which}" for which in ("first", "second")]
    for name in names:
        world.function(name=name)
    stream = world.table()
    mapping = world.mapping(stream, names[0])
    world.put("a")
    world.settle(mapping)
    moved = world.client("lambda").update_event_source_mapping(UUID=mapping, FunctionName=names[1])
    assert moved["FunctionArn"].endswith(f":function:{names[1]}")
    world.wait_until(lambda: world.control.mapping(mapping).state == "Enabled")
    world.put("b")
    world.settle(mapping)
    assert world.invocations(mapping) == [(["a"], "success"), (["b"], "success")]
    invoked = [world.control.metric_sum("Invocations", FunctionName=name) for name in names]
    assert invoked == [1, 1]


def test_a_mapping_does_not_move_to_a_function_that_may_not_read_or_has_one_already(world):
    stream = world.table()
    world.function()
    mapping = world.mapping(stream)
    other = world.function(name=f"{world.name}-other")
    world.mapping(stream, other)
    powerless = world.function(name=f"{world.name}-powerless", role=world.make_role(f"{world.name}-none"))
    move = world.client("lambda").update_event_source_mapping
    world.wait_until(lambda: world.control.mapping(mapping).state == "Enabled")
    with pytest.raises(ClientError, match="already exists"):
        move(UUID=mapping, FunctionName=other)
    with pytest.raises(ClientError, match="Cannot access stream"):
        move(UUID=mapping, FunctionName=powerless)


@honours("lambda:CreateFunction", "DeadLetterConfig")
@honours("lambda:UpdateFunctionConfiguration", "DeadLetterConfig")
def test_the_event_of_a_failed_asynchronous_invocation_goes_to_the_dead_letter_queue(world, queues):
    url = queues.queue()
    dead = {"DeadLetterConfig": {"TargetArn": queues.arn(url)}}
    world.function("def handler(event, context):\n    raise ValueError('poison')\n", **dead)
    client = world.client("lambda")
    client.invoke(FunctionName=world.name, InvocationType="Event", Payload=b'{"order": 1}')

    def received():
        return queues.sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"]).get("Messages")

    letters: list = []
    world.wait_until(lambda: letters.extend(received() or []) or letters)
    assert json.loads(letters[0]["Body"]) == {"order": 1}
    told = {name: each["StringValue"] for name, each in letters[0]["MessageAttributes"].items()}
    assert (told["ErrorCode"], told["ErrorMessage"]) == ("200", "poison")
    assert told["RequestID"]
    configured = client.update_function_configuration(FunctionName=world.name, DeadLetterConfig={"TargetArn": ""})
    assert not configured.get("DeadLetterConfig", {}).get("TargetArn")


def test_a_role_that_may_not_send_dead_letters_is_refused(world, queues):
    arn = queues.arn(queues.queue())
    world.function()
    role = world.make_role(f"{world.name}-none")
    message = "does not have permissions to call SendMessage on SQS"
    with pytest.raises(ClientError, match=message):
        world.function(name=f"{world.name}-other", role=role, DeadLetterConfig={"TargetArn": arn})
    with pytest.raises(ClientError, match=message):
        world.client("lambda").update_function_configuration(
            FunctionName=world.name, Role=role, DeadLetterConfig={"TargetArn": arn}
        )
    topic = world.client("sns").create_topic(Name=world.name)["TopicArn"]
    with pytest.raises(ClientError, match="does not have permissions to call Publish on SNS"):
        world.function(name=f"{world.name}-3", role=role, DeadLetterConfig={"TargetArn": topic})
    with pytest.raises(ClientError, match="only queues and topics"):
        world.function(name=f"{world.name}-4", DeadLetterConfig={"TargetArn": "arn:aws:s3:::bucket"})


@pytest.mark.parametrize("raw", ["true", "false"])
def test_a_topic_gets_the_event_of_a_failed_asynchronous_invocation(world, queues, raw):
    url = queues.queue()
    sns = world.client("sns")
    topic = sns.create_topic(Name=world.name)["TopicArn"]
    world.let_in(url, "sns", topic)
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queues.arn(url), Attributes={"RawMessageDelivery": raw})
    world.function(
        "def handler(event, context):\n    raise ValueError('poison')\n", DeadLetterConfig={"TargetArn": topic}
    )
    world.client("lambda").invoke(FunctionName=world.name, InvocationType="Event", Payload=b'{"order": 1}')
    letters: list = []

    def received():
        return queues.sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"]).get("Messages", [])

    world.wait_until(lambda: letters.extend(received()) or letters)
    body = json.loads(letters[0]["Body"])
    if raw == "true":
        event = body
        told = {name: each["StringValue"] for name, each in letters[0]["MessageAttributes"].items()}
    else:
        event = json.loads(body["Message"])
        told = {name: each["Value"] for name, each in body["MessageAttributes"].items()}
    assert event == {"order": 1}
    assert (told["ErrorCode"], told["ErrorMessage"]) == ("200", "poison")


@honours("lambda:CreateFunction", "Description EphemeralStorage PackageType Tags TracingConfig")
@honours("lambda:UpdateFunctionConfiguration", "Description EphemeralStorage TracingConfig")
def test_what_a_function_only_keeps_is_read_back(world):
    kept = {"Description": "d", "EphemeralStorage": {"Size": 600}, "TracingConfig": {"Mode": "Active"}}
    world.function(**kept, PackageType="Zip", Tags={"team": "growth"})
    client = world.client("lambda")

    def read() -> dict:
        configuration = client.get_function_configuration(FunctionName=world.name)
        return {name: configuration[name] for name in kept}

    assert read() == kept
    other = {"Description": "e", "EphemeralStorage": {"Size": 700}, "TracingConfig": {"Mode": "PassThrough"}}
    client.update_function_configuration(FunctionName=world.name, **other)
    assert read() == other


@honours("lambda:ListTags", "Resource")
@honours("lambda:TagResource", "Resource Tags")
@honours("lambda:UntagResource", "Resource TagKeys")
def test_tags_of_a_function_are_added_and_removed(world):
    world.function(Tags={"a": "1"})
    client, arn = world.client("lambda"), f"arn:aws:lambda:{ACCOUNT}:function:{world.name}"
    client.tag_resource(Resource=arn, Tags={"b": "2"})
    client.untag_resource(Resource=arn, TagKeys=["a"])
    assert client.list_tags(Resource=arn)["Tags"] == {"b": "2"}


@honours("sqs:CreateQueue", "tags")
@honours("sqs:ListQueueTags", "QueueUrl")
@honours("sqs:TagQueue", "QueueUrl Tags")
@honours("sqs:UntagQueue", "QueueUrl TagKeys")
def test_tags_of_a_queue_are_added_and_removed(world):
    sqs = world.client("sqs")
    url = sqs.create_queue(QueueName=world.name, tags={"a": "1"})["QueueUrl"]
    sqs.tag_queue(QueueUrl=url, Tags={"b": "2"})
    sqs.untag_queue(QueueUrl=url, TagKeys=["a"])
    assert sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"b": "2"}


@honours("sns:CreateTopic", "Tags")
@honours("sns:ListTagsForResource", "ResourceArn")
@honours("sns:TagResource", "ResourceArn Tags")
@honours("sns:UntagResource", "ResourceArn TagKeys")
def test_tags_of_a_topic_are_added_and_removed(world):
    sns = world.client("sns")
    arn = sns.create_topic(Name=world.name, Tags=[{"Key": "a", "Value": "1"}])["TopicArn"]
    sns.tag_resource(ResourceArn=arn, Tags=[{"Key": "b", "Value": "2"}])
    sns.untag_resource(ResourceArn=arn, TagKeys=["a"])
    assert sns.list_tags_for_resource(ResourceArn=arn)["Tags"] == [{"Key": "b", "Value": "2"}]


@honours("events:CreateEventBus", "Tags")
@honours("events:PutRule", "Tags")
@honours("events:ListTagsForResource", "ResourceARN")
@honours("events:TagResource", "ResourceARN Tags")
@honours("events:UntagResource", "ResourceARN TagKeys")
def test_tags_of_buses_and_rules_are_added_and_removed(world):
    events, tags = world.client("events"), [{"Key": "a", "Value": "1"}]
    bus = events.create_event_bus(Name=world.name, Tags=tags)["EventBusArn"]
    rule = events.put_rule(Name=world.name, EventPattern='{"source": ["any"]}', Tags=tags)["RuleArn"]
    for arn in (bus, rule):
        events.tag_resource(ResourceARN=arn, Tags=[{"Key": "b", "Value": "2"}])
        events.untag_resource(ResourceARN=arn, TagKeys=["a"])
        assert events.list_tags_for_resource(ResourceARN=arn)["Tags"] == [{"Key": "b", "Value": "2"}]


@honours("kinesis:AddTagsToStream", "StreamName Tags")
@honours("kinesis:ListTagsForStream", "StreamName")
@honours("kinesis:RemoveTagsFromStream", "StreamName TagKeys")
def test_tags_of_a_stream_are_added_and_removed(world):
    kinesis = world.client("kinesis")
    kinesis.create_stream(StreamName=world.name, ShardCount=1)
    kinesis.add_tags_to_stream(StreamName=world.name, Tags={"a": "1", "b": "2"})
    kinesis.remove_tags_from_stream(StreamName=world.name, TagKeys=["a"])
    assert kinesis.list_tags_for_stream(StreamName=world.name)["Tags"] == [{"Key": "b", "Value": "2"}]


@honours("kinesis:AddTagsToStream", "StreamARN")
@honours("kinesis:ListTagsForStream", "StreamARN")
@honours("kinesis:RemoveTagsFromStream", "StreamARN")
def test_tags_of_a_stream_are_also_reached_by_its_arn(world):
    kinesis, arn = world.client("kinesis"), f"arn:aws:kinesis:{ACCOUNT}:stream/{world.name}"
    kinesis.create_stream(StreamName=world.name, ShardCount=1)
    kinesis.add_tags_to_stream(StreamARN=arn, Tags={"a": "1"})
    assert kinesis.list_tags_for_stream(StreamARN=arn)["Tags"] == [{"Key": "a", "Value": "1"}]
    kinesis.remove_tags_from_stream(StreamARN=arn, TagKeys=["a"])
    assert kinesis.list_tags_for_stream(StreamARN=arn)["Tags"] == []


@honours("iam:CreateRole", "Description MaxSessionDuration Tags")
def test_what_a_role_only_keeps_is_read_back(world):
    trust = {"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "*"}}]}
    kept = {"Description": "d", "MaxSessionDuration": 7200, "Tags": [{"Key": "a", "Value": "1"}]}
    world.client("iam").create_role(RoleName=world.name, AssumeRolePolicyDocument=json.dumps(trust), **kept)
    role = world.client("iam").get_role(RoleName=world.name)["Role"]
    assert {name: role[name] for name in kept} == kept


@honours("sqs:PurgeQueue", "QueueUrl")
def test_a_purged_queue_is_empty(world, queues):
    url = queues.queue()
    queues.send(url, "a", "b")
    queues.sqs.purge_queue(QueueUrl=url)
    assert queues.counts(url) == (0, 0)


@honours("sns:ListTopics", "")
@honours("sns:ListSubscriptionsByTopic", "TopicArn")
def test_topics_and_their_subscriptions_are_listed(world, queues):
    sns = world.client("sns")
    arn, queue = sns.create_topic(Name=world.name)["TopicArn"], queues.arn(queues.queue())
    sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=queue)
    listed = [each["TopicArn"] for page in sns.get_paginator("list_topics").paginate() for each in page["Topics"]]
    assert arn in listed
    (subscription,) = sns.list_subscriptions_by_topic(TopicArn=arn)["Subscriptions"]
    assert (subscription["Protocol"], subscription["Endpoint"]) == ("sqs", queue)


@honours("cloudwatch:ListMetrics", "NextToken")
def test_metrics_are_listed_by_page(world):
    world.function("def handler(event, context):\n    pass\n")
    world.invoke()
    own = {"Namespace": "AWS/Lambda", "Dimensions": [{"Name": "FunctionName", "Value": world.name}]}
    whole = world.client("cloudwatch").list_metrics(**own)["Metrics"]
    assert len(whole) > 1
    assert world.client("cloudwatch").list_metrics(**own, NextToken="1")["Metrics"] == whole[1:]
    with pytest.raises(ClientError, match="Invalid nextToken"):
        world.client("cloudwatch").list_metrics(NextToken="nothing")


def test_a_refusal_says_what_to_do_without_a_clone(world):
    with pytest.raises(ClientError) as refused:
        world.client("lambda").list_layer_versions(LayerName="any")
    message = refused.value.response["Error"]["Message"]
    assert "call it on an AWS account, or do without it here" in message
    assert "docs/local-operations.md lists what is simulated" in message
