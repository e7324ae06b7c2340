"""Event source mappings read and write with the role of their function."""

from __future__ import annotations

import json

import pytest
from botocore.exceptions import ClientError

conforms = pytest.mark.conformance
honours = pytest.mark.honours

READ_STREAM = ("dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator")
READ_KINESIS = ("kinesis:DescribeStream", "kinesis:GetRecords", "kinesis:GetShardIterator")
READ_QUEUE = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")


def allow(resource, *actions):
    return {"Effect": "Allow", "Action": list(actions), "Resource": resource}


@pytest.fixture
def queue(world):
    """A queue; its URL and ARN."""
    url = world.client("sqs").create_queue(QueueName=world.name)["QueueUrl"]
    return url, f"arn:aws:sqs:us-east-1:111122223333:{world.name}"


def refusal(world, source, **settings) -> tuple[str, str]:
    """The code and message that a mapping is refused with."""
    with pytest.raises(ClientError) as refused:
        world.client("lambda").create_event_source_mapping(FunctionName=world.name, EventSourceArn=source, **settings)
    return refused.value.response["Error"]["Code"], refused.value.response["Error"]["Message"]


def result(world, mapping) -> str:
    return world.client("lambda").get_event_source_mapping(UUID=mapping)["LastProcessingResult"]


def cannot_access(stream, operations="DescribeStream, and ListStreams") -> tuple[str, str]:
    message = (
        f"Cannot access stream {stream}. Please ensure the role can perform the GetRecords, GetShardIterator, "
        f"{operations} Actions on your stream in IAM."
    )
    return "InvalidParameterValueException", message


@pytest.fixture
def kinesis(world):
    """The ARN of a Kinesis stream."""
    world.client("kinesis").create_stream(StreamName=world.name, ShardCount=1)
    return world.client("kinesis").describe_stream(StreamName=world.name)["StreamDescription"]["StreamARN"]


@conforms("ESM-CREATE-7", "recorded", partly="aliases of a function, which cannot be made here")
@conforms("IAM-1", "recorded")
@pytest.mark.parametrize("missing", READ_STREAM)
def test_esm_create_7_a_mapping_is_refused_when_the_role_may_not_read_the_stream(world, missing):
    stream = world.table()
    role = world.make_role(world.name, allow(stream, *(each for each in READ_STREAM if each != missing)))
    world.function(role=role)
    assert refusal(world, stream, StartingPosition="LATEST") == cannot_access(stream)
    world.allow(world.name, allow(stream, *READ_STREAM))
    world.mapping(stream)


@conforms("IAM-8", "recorded")
@pytest.mark.parametrize("missing", READ_KINESIS)
def test_iam_8_a_mapping_is_refused_when_the_role_may_not_read_the_kinesis_stream(world, kinesis, missing):
    role = world.make_role(world.name, allow(kinesis, *(each for each in READ_KINESIS if each != missing)))
    world.function(role=role)
    operations = "DescribeStream, ListShards, and ListStreams"
    assert refusal(world, kinesis, StartingPosition="LATEST") == cannot_access(kinesis, operations)
    world.allow(world.name, allow(kinesis, *READ_KINESIS))
    world.mapping(kinesis)


@conforms("IAM-10", "recorded")
@pytest.mark.parametrize("problem", ["missing", "another path", "another service"])
def test_iam_10_a_function_is_refused_when_lambda_cannot_assume_its_role(world, problem):
    role = f"arn:aws:iam::111122223333:role/{world.name}"
    if problem != "missing":
        world.make_role(world.name, service="ec2" if problem == "another service" else "lambda")
    with pytest.raises(ClientError) as refused:
        world.function(role=role.replace("role/", "role/service/") if problem == "another path" else role)
    assert refused.value.response["Error"]["Code"] == "InvalidParameterValueException"
    assert (
        refused.value.response["Error"]["Message"] == "The role defined for the function cannot be assumed by Lambda."
    )


def test_a_mapping_is_refused_when_the_role_may_read_another_table(world):
    stream, other = world.table(), world.table(f"{world.name}-other")
    world.function(role=world.make_role(world.name, allow(other, *READ_STREAM)))
    assert refusal(world, stream, StartingPosition="LATEST") == cannot_access(stream)


@conforms("IAM-9", "documented")
@pytest.mark.parametrize("missing", READ_QUEUE)
def test_iam_9_a_mapping_is_refused_when_the_role_may_not_read_the_queue(world, queue, missing):
    role = world.make_role(world.name, allow(queue[1], *(each for each in READ_QUEUE if each != missing)))
    world.function(role=role)
    operation = missing.partition(":")[2]
    assert refusal(world, queue[1]) == (
        "InvalidParameterValueException",
        f"The provided execution role does not have permissions to call {operation} on SQS",
    )


@pytest.mark.parametrize("source", ["stream", "destination"])
def test_a_mapping_is_refused_by_name_when_a_condition_that_is_not_evaluated_decides(world, source, queue):
    stream = world.table()
    sending = allow(queue[1], "sqs:SendMessage")
    statements = {"stream": allow(stream, *READ_STREAM), "destination": sending}
    statements[source]["Condition"] = {"StringEquals": {"aws:SourceVpc": "vpc-1"}}
    world.function(role=world.make_role(world.name, *statements.values()))
    destination = {"OnFailure": {"Destination": queue[1]}}
    code, message = refusal(world, stream, StartingPosition="LATEST", DestinationConfig=destination)
    assert code == "NotSimulated"
    assert "depends on the condition key aws:SourceVpc in a policy of arn:aws:iam::111122223333:role/" in message


@conforms("ESM-STATE-4", "recorded")
@conforms("IAM-4", "deduced")
def test_esm_state_4_a_role_that_loses_the_stream_leaves_the_mapping_enabled_and_nothing_is_lost(world):
    stream = world.table()
    world.function(role=world.make_role(world.name, allow(stream, *READ_STREAM)))
    mapping = world.mapping(stream)
    world.put("a")
    world.settle(mapping)
    world.allow(world.name, {**allow("*", "dynamodb:DescribeStream"), "Effect": "Deny"})
    world.put("b")
    world.wait_until(lambda: "not authorized to perform: dynamodb:DescribeStream" in result(world, mapping))
    assert result(world, mapping).startswith("PROBLEM: ")
    assert world.control.mapping(mapping).state == "Enabled"
    assert world.invocations(mapping) == [(["a"], "success")]
    world.allow(world.name, allow(stream, *READ_STREAM))
    world.settle(mapping)
    assert world.invocations(mapping) == [(["a"], "success"), (["b"], "success")]
    assert result(world, mapping) == "OK"


def test_a_role_that_loses_the_kinesis_stream_leaves_the_mapping_enabled_and_nothing_is_lost(world, kinesis):
    role = world.make_role(world.name, allow(kinesis, *READ_KINESIS))
    world.function("def handler(event, context):\n    pass\n", role=role)
    mapping = world.mapping(kinesis)
    world.settle(mapping)
    world.allow(world.name, allow(kinesis, "kinesis:DescribeStream"))
    world.client("kinesis").put_record(StreamName=world.name, Data=b"a", PartitionKey="a")
    world.wait_until(lambda: "not authorized to perform: kinesis:GetRecords" in result(world, mapping))
    assert world.control.mapping(mapping).state == "Enabled"
    assert world.control.history(mapping) == []
    world.allow(world.name, allow(kinesis, *READ_KINESIS))
    world.settle(mapping)
    assert [entry["outcome"] for entry in world.control.history(mapping)] == ["success"]


def test_a_role_that_lambda_may_no_longer_assume_reads_nothing_until_it_may_again(world):
    stream = world.table()
    world.function(role=world.make_role(world.name, allow(stream, *READ_STREAM)))
    mapping = world.mapping(stream)
    iam = world.client("iam")
    trusted = iam.get_role(RoleName=world.name)["Role"]["AssumeRolePolicyDocument"]
    nobody = json.dumps({"Version": "2012-10-17", "Statement": []})
    iam.update_assume_role_policy(RoleName=world.name, PolicyDocument=nobody)
    world.put("a")
    world.wait_until(lambda: "cannot be assumed by Lambda" in result(world, mapping))
    iam.update_assume_role_policy(RoleName=world.name, PolicyDocument=json.dumps(trusted))
    world.settle(mapping)
    assert world.invocations(mapping) == [(["a"], "success")]


def test_a_role_that_loses_the_queue_leaves_its_messages_until_it_may_read_again(world, queue):
    url, arn = queue
    world.function(
        "def handler(event, context):\n    pass\n", role=world.make_role(world.name, allow(arn, *READ_QUEUE))
    )
    mapping = world.client("lambda").create_event_source_mapping(FunctionName=world.name, EventSourceArn=arn)["UUID"]
    world.adopt(mapping)
    world.settle(mapping)
    world.allow(world.name, allow(arn, "sqs:DeleteMessage"))
    world.client("sqs").send_message(QueueUrl=url, MessageBody="a")
    (message,) = world.client("sqs").receive_message(QueueUrl=url, VisibilityTimeout=0)["Messages"]
    assert message["Body"] == "a"
    assert world.control.history(mapping) == []
    world.allow(world.name, allow(arn, *READ_QUEUE))
    world.settle(mapping)
    assert [entry["outcome"] for entry in world.control.history(mapping)] == ["success"]


@conforms("ESM-DEST-8", "recorded")
@conforms("IAM-2", "documented", partly="what encrypted destinations need of KMS")
@pytest.mark.parametrize("missing", ["sqs:SendMessage", "sns:Publish", "s3:PutObject", "s3:ListBucket"])
def test_esm_dest_8_a_document_that_the_role_may_not_send_is_dropped_and_counted(world, missing, queue):
    stream = world.table()
    topic = world.client("sns").create_topic(Name=world.name)["TopicArn"]
    destination, needs = {
        "sqs": (queue[1], [allow(queue[1], "sqs:SendMessage")]),
        "sns": (topic, [allow(topic, "sns:Publish")]),
        "s3": (world.bucket(), to_bucket(world)),
    }[missing.partition(":")[0]]
    reads = allow(stream, *READ_STREAM)
    world.function(role=world.make_role(world.name, reads, *(each for each in needs if missing not in each["Action"])))
    settings = {"DestinationConfig": {"OnFailure": {"Destination": destination}}, "MaximumRetryAttempts": 0}
    mapping = world.mapping(stream, BatchSize=1, **settings)
    world.put("a", do="raise")
    world.put("b")
    world.settle(mapping)
    assert world.invocations(mapping) == [(["a"], "error"), (["b"], "success")]
    assert [each["location"] for each in world.given_up(mapping)] == [None]
    assert world.control.metric_sum("DestinationDeliveryFailures", FunctionName=world.name) == 1
    assert "Messages" not in world.client("sqs").receive_message(QueueUrl=queue[0])
    if destination.startswith("arn:aws:s3:"):
        assert world.client("s3").list_objects_v2(Bucket=world.name)["KeyCount"] == 0
    world.allow(world.name, reads, *needs)
    world.put("c", do="raise")
    world.settle(mapping)
    assert world.given_up(mapping)[1]["location"] is not None
    assert world.control.metric_sum("DestinationDeliveryFailures", FunctionName=world.name) == 1


@conforms("ESM-DEST-12", "documented")
@pytest.mark.parametrize(("owner", "delivered"), [("111122223333", True), ("999988887777", False)])
def test_esm_dest_12_a_role_that_is_bound_to_the_buckets_account_sends_to_that_account_only(world, owner, delivered):
    stream = world.table()
    world.bucket()
    bound = [{**each, "Condition": {"StringEquals": {"s3:ResourceAccount": owner}}} for each in to_bucket(world)]
    world.function(role=world.make_role(world.name, allow(stream, *READ_STREAM), *bound))
    destination = {"OnFailure": {"Destination": f"arn:aws:s3:::{world.name}"}}
    mapping = world.mapping(stream, DestinationConfig=destination, MaximumRetryAttempts=0)
    world.put("a", do="raise")
    world.settle(mapping)
    assert [each["location"] is not None for each in world.given_up(mapping)] == [delivered]


def to_bucket(world) -> list[dict]:
    """Return the settings that send failed batches to the test's bucket."""
    bucket = f"arn:aws:s3:::{world.name}"
    return [allow(f"{bucket}/aws/lambda/*", "s3:PutObject"), allow(bucket, "s3:ListBucket")]


AWS_MANAGED = "arn:aws:iam::aws:policy/service-role/"


@pytest.mark.parametrize(
    ("policy", "service"),
    [
        ("AWSLambdaDynamoDBExecutionRole", "dynamodb"),
        ("AWSLambdaKinesisExecutionRole", "kinesis"),
        ("AWSLambdaSQSQueueExecutionRole", "sqs"),
    ],
)
def test_a_managed_policy_of_aws_lets_a_role_read_what_it_is_for_and_nothing_else(
    world, queue, kinesis, policy, service
):
    sources = {"dynamodb": world.table(), "kinesis": kinesis, "sqs": queue[1]}
    world.function(role=world.make_role(world.name))
    world.client("iam").attach_role_policy(RoleName=world.name, PolicyArn=AWS_MANAGED + policy)
    for each, source in sources.items():
        settings = {} if each == "sqs" else {"StartingPosition": "LATEST"}
        if each == service:
            made = world.client("lambda").create_event_source_mapping(
                FunctionName=world.name, EventSourceArn=source, **settings
            )
            world.adopt(made["UUID"])
        else:
            assert refusal(world, source, **settings)[0] == "InvalidParameterValueException"


@honours("iam:CreatePolicy", "PolicyName PolicyDocument")
@honours("iam:AttachRolePolicy", "RoleName PolicyArn")
@honours("iam:ListAttachedRolePolicies", "RoleName")
@honours("iam:CreatePolicyVersion", "PolicyArn PolicyDocument SetAsDefault")
@honours("iam:DetachRolePolicy", "RoleName PolicyArn")
@honours("iam:DeletePolicy", "PolicyArn")
def test_what_a_managed_policy_of_the_account_allows_is_what_its_default_version_says(world):
    iam, stream = world.client("iam"), world.table()
    world.function(role=world.make_role(world.name))

    def document(*statements):
        return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})

    policy = iam.create_policy(
        PolicyName=world.name, Path="/teams/", PolicyDocument=document(allow(stream, *READ_STREAM))
    )["Policy"]["Arn"]
    assert policy == f"arn:aws:iam::111122223333:policy/teams/{world.name}"
    iam.attach_role_policy(RoleName=world.name, PolicyArn=policy)
    assert iam.list_attached_role_policies(RoleName=world.name)["AttachedPolicies"] == [
        {"PolicyName": world.name, "PolicyArn": policy}
    ]
    mapping = world.mapping(stream)
    nothing = document(allow("*", "logs:PutLogEvents"))
    iam.create_policy_version(PolicyArn=policy, PolicyDocument=nothing)
    world.put("a")
    world.settle(mapping)
    iam.create_policy_version(PolicyArn=policy, PolicyDocument=nothing, SetAsDefault=True)
    world.put("b")
    world.wait_until(lambda: "not authorized to perform: dynamodb:DescribeStream" in result(world, mapping))
    iam.detach_role_policy(RoleName=world.name, PolicyArn=policy)
    iam.delete_policy(PolicyArn=policy)
    iam.attach_role_policy(RoleName=world.name, PolicyArn=AWS_MANAGED + "AWSLambdaDynamoDBExecutionRole")
    world.settle(mapping)
    assert world.invocations(mapping) == [(["a"], "success"), (["b"], "success")]


def test_a_policy_that_does_not_exist_or_is_not_known_cannot_be_attached(world):
    world.make_role(world.name)
    with pytest.raises(ClientError) as missing:
        world.client("iam").attach_role_policy(
            RoleName=world.name, PolicyArn="arn:aws:iam::111122223333:policy/nothing"
        )
    assert missing.value.response["Error"]["Code"] == "NoSuchEntity"
    with pytest.raises(ClientError) as unknown:
        world.client("iam").attach_role_policy(
            RoleName=world.name, PolicyArn="arn:aws:iam::aws:policy/AWSLambdaExecute"
        )
    assert unknown.value.response["Error"]["Code"] == "NotSimulated"
    assert "'arn:aws:iam::aws:policy/AWSLambdaExecute' allows" in unknown.value.response["Error"]["Message"]
