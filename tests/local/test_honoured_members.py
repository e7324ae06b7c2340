"""The list in `local/endpoint/api/operations.py`: AWS has all of it, listings page and select, nothing else is taken.

What each member does is shown where its service is tested; `tools/local_operations.py` finds the tests by their marker.
"""

from __future__ import annotations

import json

import pytest
from botocore import xform_name
from botocore.exceptions import ClientError

from local.endpoint.api.aws_call import SERVICES, AwsCall, service_model
from local.endpoint.api.errors import NotSimulated
from local.endpoint.api.operations import OPERATIONS, VALUES, check
from tests.local.world import MAPPINGS_MAY

honours = pytest.mark.honours

POLICY = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}'

EVERY_OPERATION = [(service, operation) for service, operations in OPERATIONS.items() for operation in operations]


def test_every_service_has_a_list():
    assert set(OPERATIONS) == set(SERVICES)


@pytest.mark.parametrize(("service", "operation"), EVERY_OPERATION)
def test_every_listed_operation_and_member_is_one_of_awss(service, operation):
    members = OPERATIONS[service][operation]
    assert members.honoured | members.kept <= set(members_of(service, operation))
    assert not members.honoured & members.kept


def test_values_are_limited_of_listed_members_only():
    for call, member in VALUES:
        service, _, operation = call.partition(":")
        members = OPERATIONS[service][operation]
        assert member in members.honoured | members.kept


@pytest.mark.parametrize("service", SERVICES)
def test_every_other_operation_and_member_of_a_service_is_refused_by_name(service):
    for operation in service_model(service).operation_names:
        listed = OPERATIONS[service].get(operation)
        if listed is None:
            with pytest.raises(NotSimulated, match=f"does not simulate {service}:{operation}:"):
                check(AwsCall(service, operation, "json"))
            continue
        for member in set(members_of(service, operation)) - listed.honoured - listed.kept:
            with pytest.raises(NotSimulated, match=f"does not honour {member} of {service}:{operation},"):
                check(AwsCall(service, operation, "json", {member: "x"}))


def members_of(service: str, operation: str) -> dict:
    shape = service_model(service).operation_model(operation).input_shape
    return shape.members if shape else {}


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


def mappings(world) -> None:
    stream = world.table()
    for number in range(3):
        world.function(name=name(world, number))
        world.mapping(stream, name(world, number), Enabled=False)


def pipes_(world) -> None:
    queues_(world)
    for number in range(3):
        arn = f"arn:aws:sqs:us-east-1:111122223333:{name(world, number)}"
        world.client("pipes").create_pipe(
            Name=name(world, number),
            RoleArn=world.make_role(f"pipe-{name(world, number)}", MAPPINGS_MAY, service="pipes"),
            Source=arn,
            Target=arn,
            DesiredState="STOPPED",
        )


def queues_(world) -> None:
    for number in range(3):
        world.client("sqs").create_queue(QueueName=name(world, number))


def streams(world) -> None:
    for number in range(3):
        world.client("kinesis").create_stream(StreamName=name(world, number), ShardCount=1)


def buses(world) -> None:
    for number in range(3):
        world.client("events").create_event_bus(Name=name(world, number))


def rules(world) -> None:
    for number in range(3):
        world.client("events").put_rule(Name=name(world, number), EventPattern='{"source": ["any"]}')


def machines(world) -> None:
    definition = json.dumps({"StartAt": "a", "States": {"a": {"Type": "Succeed"}}})
    for number in range(3):
        world.client("stepfunctions").create_state_machine(
            name=name(world, number), definition=definition, roleArn=world.machine_role
        )


MACHINE = "arn:aws:states:us-east-1:111122223333:stateMachine:{}"


def executions(world) -> None:
    definition = json.dumps({"StartAt": "a", "States": {"a": {"Type": "Succeed"}}})
    client = world.client("stepfunctions")
    arn = client.create_state_machine(name=world.name, definition=definition, roleArn=world.machine_role)
    for number in range(3):
        client.start_execution(stateMachineArn=arn["stateMachineArn"], name=name(world, number))


# What is made, where the answer has it, the member that limits a page, the two that carry on, and further members that
# the call is made with; `{}` in a text is the test's name.
@pytest.mark.parametrize(
    ("call", "make", "found", "limit", "start", "carry_on", "named", "given"),
    [
        pytest.param(
            *("dynamodb:ListTables", tables, "TableNames"),
            *("Limit", "ExclusiveStartTableName", "LastEvaluatedTableName", "", {}),
            marks=honours("dynamodb:ListTables", "Limit ExclusiveStartTableName"),
        ),
        pytest.param(
            *("lambda:ListFunctions", functions, "Functions"),
            *("MaxItems", "Marker", "NextMarker", "FunctionName", {}),
            marks=honours("lambda:ListFunctions", "MaxItems Marker"),
        ),
        pytest.param(
            *("s3:ListBuckets", buckets, "Buckets"),
            *("MaxBuckets", "ContinuationToken", "ContinuationToken", "Name", {"Prefix": "{}"}),
            marks=honours("s3:ListBuckets", "MaxBuckets ContinuationToken Prefix"),
        ),
        pytest.param(
            *("s3:ListObjectsV2", objects, "Contents"),
            *("MaxKeys", "ContinuationToken", "NextContinuationToken", "Key", {"Bucket": "{}", "Prefix": "{}"}),
            marks=honours("s3:ListObjectsV2", "Bucket Prefix MaxKeys ContinuationToken"),
        ),
        pytest.param(
            *("logs:DescribeLogGroups", log_groups, "logGroups"),
            *("limit", "nextToken", "nextToken", "logGroupName", {"logGroupNamePrefix": "{}"}),
            marks=honours("logs:DescribeLogGroups", "logGroupNamePrefix limit nextToken"),
        ),
        pytest.param(
            *("logs:DescribeLogStreams", log_streams, "logStreams"),
            *("limit", "nextToken", "nextToken", "logStreamName", {"logGroupName": "{}", "logStreamNamePrefix": "{}"}),
            marks=honours("logs:DescribeLogStreams", "logGroupName logStreamNamePrefix limit nextToken"),
        ),
        pytest.param(
            *("cloudwatch:DescribeAlarms", alarms, "MetricAlarms"),
            *("MaxRecords", "NextToken", "NextToken", "AlarmName", {"AlarmNamePrefix": "{}"}),
            marks=honours("cloudwatch:DescribeAlarms", "AlarmNamePrefix MaxRecords NextToken"),
        ),
        pytest.param(
            *("lambda:ListEventSourceMappings", mappings, "EventSourceMappings"),
            *("MaxItems", "Marker", "NextMarker", "FunctionArn", {}),
            marks=honours("lambda:ListEventSourceMappings", "Marker MaxItems"),
        ),
        pytest.param(
            *("pipes:ListPipes", pipes_, "Pipes"),
            *("Limit", "NextToken", "NextToken", "Name", {"NamePrefix": "{}"}),
            marks=honours("pipes:ListPipes", "Limit NextToken NamePrefix"),
        ),
        pytest.param(
            *("sqs:ListQueues", queues_, "QueueUrls"),
            *("MaxResults", "NextToken", "NextToken", "", {"QueueNamePrefix": "{}"}),
            marks=honours("sqs:ListQueues", "QueueNamePrefix MaxResults NextToken"),
        ),
        pytest.param(
            *("kinesis:ListStreams", streams, "StreamNames"),
            *("Limit", "ExclusiveStartStreamName", "HasMoreStreams", "", {}),
            marks=honours("kinesis:ListStreams", "Limit ExclusiveStartStreamName"),
        ),
        pytest.param(
            *("events:ListEventBuses", buses, "EventBuses"),
            *("Limit", "NextToken", "NextToken", "Name", {"NamePrefix": "{}"}),
            marks=honours("events:ListEventBuses", "NamePrefix Limit NextToken"),
        ),
        pytest.param(
            *("events:ListRules", rules, "Rules"),
            *("Limit", "NextToken", "NextToken", "Name", {"NamePrefix": "{}", "EventBusName": "default"}),
            marks=honours("events:ListRules", "NamePrefix EventBusName Limit NextToken"),
        ),
        pytest.param(
            *("stepfunctions:ListStateMachines", machines, "stateMachines"),
            *("maxResults", "nextToken", "nextToken", "name", {}),
            marks=honours("stepfunctions:ListStateMachines", "maxResults nextToken"),
        ),
        pytest.param(
            *("stepfunctions:ListExecutions", executions, "executions"),
            *("maxResults", "nextToken", "nextToken", "name", {"stateMachineArn": MACHINE}),
            marks=honours("stepfunctions:ListExecutions", "stateMachineArn maxResults nextToken"),
        ),
    ],
)
def test_a_listing_comes_in_pages_of_the_size_that_was_asked_for(
    world, call, make, found, limit, start, carry_on, named, given
):
    make(world)
    service, _, operation = call.partition(":")
    ask = getattr(world.client(service), xform_name(operation))
    arguments = {member: text.format(world.name) for member, text in given.items()}
    seen: list[str] = []
    more: dict[str, str] = {}
    while True:
        page = ask(**arguments, **more, **{limit: 2})
        items = page.get(found, [])
        assert len(items) <= 2
        # A queue is listed by its URL, a mapping by its function's ARN.
        seen += [(item[named] if named else item).rpartition("/")[2].rpartition(":")[2] for item in items]
        if not page.get(carry_on):
            break
        # Kinesis says only that there is more, and goes on behind a name.
        more = {start: seen[-1] if page[carry_on] is True else page[carry_on]}
    assert len(seen) == len(set(seen))
    wanted = [name(world, number) for number in range(3)]
    assert sorted(each for each in seen if each.startswith(f"{world.name}-")) == wanted
    if "{}" in "".join(given.values()) and "Prefix" in "".join(given):
        assert sorted(seen) == wanted


@honours("sns:ListTopics", "NextToken")
@honours("sns:ListSubscriptions", "NextToken")
def test_topics_and_subscriptions_are_listed_by_the_hundred(world):
    sns = world.client("sns")
    topics = {sns.create_topic(Name=f"{world.name}-{number}")["TopicArn"] for number in range(101)}
    queue = world.client("sqs").create_queue(QueueName=world.name)["QueueUrl"].rpartition("/")[2]
    endpoint = f"arn:aws:sqs:us-east-1:111122223333:{queue}"
    subscriptions = {
        sns.subscribe(TopicArn=each, Protocol="sqs", Endpoint=endpoint)["SubscriptionArn"] for each in topics
    }
    for listing, found, member, made in (
        ("list_topics", "Topics", "TopicArn", topics),
        ("list_subscriptions", "Subscriptions", "SubscriptionArn", subscriptions),
    ):
        pages = [*sns.get_paginator(listing).paginate()]
        assert [len(page[found]) for page in pages[:-1]] == [100] * (len(pages) - 1)
        assert len(pages) > 1
        assert made <= {each[member] for page in pages for each in page[found]}


@honours("stepfunctions:ListExecutions", "statusFilter")
def test_executions_are_listed_by_their_status(world):
    executions(world)
    list_executions, machine = world.client("stepfunctions").list_executions, MACHINE.format(world.name)

    def ended():
        return list_executions(stateMachineArn=machine, statusFilter="SUCCEEDED")["executions"]

    world.wait_until(lambda: len(ended()) == 3)
    assert list_executions(stateMachineArn=machine, statusFilter="FAILED")["executions"] == []


def test_lists_that_do_not_page_here_take_no_page_size(world):
    for service, method, arguments in (
        ("iam", "list_roles", {"MaxItems": 2}),
        ("iam", "list_role_policies", {"RoleName": "role", "MaxItems": 2}),
        ("apigatewayv2", "get_routes", {"ApiId": "api", "MaxResults": "2"}),
        ("cloudwatch", "describe_alarms", {"ActionPrefix": "arn:aws:sns"}),
        ("logs", "filter_log_events", {"logGroupName": "group", "limit": 2}),
    ):
        with pytest.raises(ClientError, match=f"does not honour {list(arguments)[-1]}"):
            getattr(world.client(service), method)(**arguments)


@honours("iam:CreateRole", "RoleName Path")
@honours("iam:ListRoles", "PathPrefix")
@honours("iam:ListRolePolicies", "RoleName")
def test_roles_are_listed_below_a_path_and_their_policies_by_role(world):
    roles(world)
    role_policies(world)
    listed = world.client("iam").list_roles(PathPrefix=f"/{world.name}/")["Roles"]
    assert sorted(role["RoleName"] for role in listed) == [name(world, number) for number in range(3)]
    policies = world.client("iam").list_role_policies(RoleName=world.name)["PolicyNames"]
    assert sorted(policies) == [name(world, number) for number in range(3)]
