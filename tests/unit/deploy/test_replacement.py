"""What a change replaces, held against CloudFormation's schemas and the source of terraform-provider-aws.

The `createOnlyProperties` are those of the CloudFormation registry's schemas that cfn-lint carries. `PROVIDER` is what
terraform-provider-aws marks ForceNew beyond them, read in its source. Each type that the program, a component or an
example makes has its row here.
"""

from __future__ import annotations

import ast
import json
from functools import reduce
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws
import pytest
from pulumi.runtime.proto import provider_pb2

from local.deploy.engine_provider import EngineProvider
from local.deploy.resources import RESOURCES
from local.deploy.resources.members import Block, Members
from local.deploy.wire import struct
from local.endpoint.clients import Connection

#: The CloudFormation type of each type that has one.
CLOUDFORMATION = {
    "aws:apigatewayv2/api:Api": "AWS::ApiGatewayV2::Api",
    "aws:apigatewayv2/authorizer:Authorizer": "AWS::ApiGatewayV2::Authorizer",
    "aws:apigatewayv2/integration:Integration": "AWS::ApiGatewayV2::Integration",
    "aws:apigatewayv2/route:Route": "AWS::ApiGatewayV2::Route",
    "aws:apigatewayv2/stage:Stage": "AWS::ApiGatewayV2::Stage",
    "aws:cloudwatch/compositeAlarm:CompositeAlarm": "AWS::CloudWatch::CompositeAlarm",
    "aws:cloudwatch/dashboard:Dashboard": "AWS::CloudWatch::Dashboard",
    "aws:cloudwatch/eventApiDestination:EventApiDestination": "AWS::Events::ApiDestination",
    "aws:cloudwatch/eventArchive:EventArchive": "AWS::Events::Archive",
    "aws:cloudwatch/eventBus:EventBus": "AWS::Events::EventBus",
    "aws:cloudwatch/eventConnection:EventConnection": "AWS::Events::Connection",
    "aws:cloudwatch/eventRule:EventRule": "AWS::Events::Rule",
    "aws:cloudwatch/logGroup:LogGroup": "AWS::Logs::LogGroup",
    "aws:cloudwatch/metricAlarm:MetricAlarm": "AWS::CloudWatch::Alarm",
    "aws:dynamodb/table:Table": "AWS::DynamoDB::Table",
    "aws:iam/policy:Policy": "AWS::IAM::ManagedPolicy",
    "aws:iam/role:Role": "AWS::IAM::Role",
    "aws:iam/rolePolicy:RolePolicy": "AWS::IAM::RolePolicy",
    "aws:kinesis/stream:Stream": "AWS::Kinesis::Stream",
    "aws:lambda/eventSourceMapping:EventSourceMapping": "AWS::Lambda::EventSourceMapping",
    "aws:lambda/function:Function": "AWS::Lambda::Function",
    "aws:lambda/layerVersion:LayerVersion": "AWS::Lambda::LayerVersion",
    "aws:lambda/permission:Permission": "AWS::Lambda::Permission",
    "aws:pipes/pipe:Pipe": "AWS::Pipes::Pipe",
    "aws:s3/bucket:Bucket": "AWS::S3::Bucket",
    "aws:scheduler/schedule:Schedule": "AWS::Scheduler::Schedule",
    "aws:scheduler/scheduleGroup:ScheduleGroup": "AWS::Scheduler::ScheduleGroup",
    "aws:secretsmanager/secret:Secret": "AWS::SecretsManager::Secret",
    "aws:sesv2/emailIdentity:EmailIdentity": "AWS::SES::EmailIdentity",
    "aws:sfn/stateMachine:StateMachine": "AWS::StepFunctions::StateMachine",
    "aws:sns/topic:Topic": "AWS::SNS::Topic",
    "aws:sns/topicSubscription:TopicSubscription": "AWS::SNS::Subscription",
    "aws:sqs/queue:Queue": "AWS::SQS::Queue",
}

#: Types without one: what they are in CloudFormation is a property of another, or its schema names nothing create-only.
WITHOUT = {
    "aws:cloudwatch/eventTarget:EventTarget",
    "aws:dynamodb/kinesisStreamingDestination:KinesisStreamingDestination",
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
    "aws:secretsmanager/secretVersion:SecretVersion",
    "aws:sqs/queuePolicy:QueuePolicy",
}

#: Properties whose members have another name in the services' own APIs, or in Pulumi where nothing here takes them.
OTHER_NAMES = {
    "Alarm.AlarmName": "AlarmName",
    "Bucket.BucketName": "Bucket",
    "ManagedPolicy.ManagedPolicyName": "PolicyName",
    "Queue.FifoQueue": "Attributes.FifoQueue",
    "Rule.EventBusName": "EventBusName",
    "StateMachine.StateMachineName": "name",
    "StateMachine.StateMachineType": "type",
    "Stream.Name": "StreamName",
    "Topic.FifoTopic": "Attributes.FifoTopic",
    "Topic.TopicName": "Name",
}

PROVIDER = {
    "aws:apigatewayv2/api:Api": "credentialsArn routeKey target",
    "aws:apigatewayv2/integration:Integration": "integrationType integrationSubtype",
    "aws:cloudwatch/eventTarget:EventTarget": "rule eventBusName targetId",
    "aws:cloudwatch/logGroup:LogGroup": "namePrefix logGroupClass",
    "aws:dynamodb/kinesisStreamingDestination:KinesisStreamingDestination": (
        "tableName streamArn approximateCreationDateTimePrecision"
    ),
    "aws:dynamodb/table:Table": "hashKey rangeKey localSecondaryIndexes",
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": "role policyArn",
    "aws:lambda/function:Function": "packageType tenancyConfig",
    "aws:lambda/permission:Permission": "action function principal sourceArn statementId",
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": "bucket expectedBucketOwner",
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": "bucket",
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": "bucket",
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": (
        "bucket expectedBucketOwner"
    ),
    "aws:scheduler/schedule:Schedule": "groupName",
    "aws:secretsmanager/secretVersion:SecretVersion": "secretId secretString secretBinary",
    "aws:sns/topic:Topic": "name fifoTopic",
    "aws:sqs/queuePolicy:QueuePolicy": "queueUrl",
}

#: Properties that AWS changes in place, although one might think otherwise.
IN_PLACE = {
    "aws:apigatewayv2/api:Api": "name",
    "aws:apigatewayv2/authorizer:Authorizer": "name authorizerType identitySources jwtConfiguration",
    "aws:apigatewayv2/route:Route": "routeKey target authorizationType authorizerId authorizationScopes",
    "aws:apigatewayv2/integration:Integration": "integrationUri payloadFormatVersion",
    "aws:apigatewayv2/stage:Stage": "autoDeploy",
    "aws:cloudwatch/compositeAlarm:CompositeAlarm": "alarmRule alarmActions okActions alarmDescription",
    "aws:cloudwatch/dashboard:Dashboard": "dashboardBody",
    "aws:cloudwatch/eventApiDestination:EventApiDestination": (
        "connectionArn invocationEndpoint httpMethod invocationRateLimitPerSecond"
    ),
    "aws:cloudwatch/eventArchive:EventArchive": "eventPattern retentionDays",
    "aws:cloudwatch/eventConnection:EventConnection": "authorizationType authParameters",
    "aws:cloudwatch/eventRule:EventRule": "eventPattern state",
    "aws:cloudwatch/eventTarget:EventTarget": "arn",
    "aws:cloudwatch/logGroup:LogGroup": "retentionInDays",
    "aws:cloudwatch/metricAlarm:MetricAlarm": "metricName dimensions threshold alarmActions",
    "aws:dynamodb/table:Table": "streamEnabled streamViewType ttl deletionProtectionEnabled",
    "aws:iam/policy:Policy": "policy",
    "aws:iam/role:Role": "assumeRolePolicy",
    "aws:iam/rolePolicy:RolePolicy": "policy",
    "aws:kinesis/stream:Stream": "retentionPeriod maxRecordSizeInKib streamModeDetails shardCount encryptionType tags",
    "aws:lambda/eventSourceMapping:EventSourceMapping": "functionName filterCriteria destinationConfig enabled",
    "aws:lambda/function:Function": "runtime architectures role handler code environment",
    "aws:pipes/pipe:Pipe": "target enrichment roleArn",
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": "rules",
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": "rule",
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": "blockPublicAcls blockPublicPolicy",
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": "rules",
    "aws:scheduler/schedule:Schedule": "scheduleExpression flexibleTimeWindow target state startDate endDate",
    "aws:secretsmanager/secret:Secret": "description recoveryWindowInDays",
    "aws:sfn/stateMachine:StateMachine": "definition roleArn",
    "aws:sns/topic:Topic": "archivePolicy maximumMessageSize fifoThroughputScope",
    "aws:sns/topicSubscription:TopicSubscription": "rawMessageDelivery redrivePolicy replayPolicy",
    "aws:sqs/queue:Queue": "visibilityTimeoutSeconds messageRetentionSeconds redrivePolicy",
    "aws:sqs/queuePolicy:QueuePolicy": "policy",
}

#: Types that only an AWS account deploys, so that nothing here replaces them, and why.
ELSEWHERE = {"aws:kinesis/streamConsumer:StreamConsumer": "enhanced fan-out is not simulated"}

ROOT = Path(__file__).parents[3]

#: The program, the components, the examples, and the program of every component.
SOURCES = ("__main__.py", "components/**/*.py", "examples/**/*.py", "tests/reference/**/*.py")


def schemas() -> dict[str, Any]:
    """The resource schemas of cfn-lint, by the name of their type."""
    spec = find_spec("cfnlint")
    assert spec is not None
    assert spec.origin is not None
    folder = Path(spec.origin).parent / "data" / "schemas" / "resources"
    read = (json.loads(file.read_text(encoding="utf-8")) for file in folder.glob("*.json"))
    return {schema["typeName"]: schema for schema in read}


@pytest.fixture(scope="module")
def create_only() -> dict[str, list[str]]:
    """The paths of properties that CloudFormation cannot change, also those of which that depends, by type."""
    kinds = ("createOnlyProperties", "conditionalCreateOnlyProperties")
    found = schemas()
    return {
        token: [path.removeprefix("/properties/") for kind in kinds for path in found[name].get(kind, ())]
        for token, name in CLOUDFORMATION.items()
    }


def wire_path(members: Members, kind: str, names: list[str]) -> str | None:
    """The path of a property in Pulumi's wire names; `None` if the type takes no such input."""
    name, *deeper = names
    wanted = OTHER_NAMES.get(f"{kind}.{name}", name).lower()
    for wire, member in members.items():
        if (member if isinstance(member, str) else member.name).lower() != wanted:
            continue
        if not deeper:
            return wire
        below = wire_path(member.members, kind, deeper) if isinstance(member, Block) else None
        return below and f"{wire}.{below}"
    return None


def used_types() -> set[str]:
    """The types of the resources that the sources make."""
    calls = [
        ast.unparse(node.func).split(".")
        for pattern in SOURCES
        for file in ROOT.glob(pattern)
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
    ]
    found = [reduce(getattr, path, aws) for root, *path in calls if root == "aws"]
    return {made.pulumi_type for made in found if isinstance(made, type) and issubclass(made, pulumi.CustomResource)}


def test_each_type_has_its_schema_or_has_none() -> None:
    assert CLOUDFORMATION.keys() | WITHOUT == RESOURCES.keys()
    assert not CLOUDFORMATION.keys() & WITHOUT


def test_each_type_that_the_project_makes_has_its_row() -> None:
    used = used_types()
    assert {"aws:dynamodb/table:Table", "aws:pipes/pipe:Pipe", "aws:secretsmanager/secretVersion:SecretVersion"} <= used
    assert used - ELSEWHERE.keys() <= CLOUDFORMATION.keys() | PROVIDER.keys()
    assert ELSEWHERE.keys() <= used - RESOURCES.keys()


def test_each_type_without_a_schema_has_a_row_of_the_provider_s() -> None:
    assert PROVIDER.keys() >= WITHOUT


def test_each_type_that_something_changes_in_place_has_a_row_of_it() -> None:
    changeable = {
        token
        for token, declared in RESOURCES.items()
        if declared.members.keys() - {path for path in declared.replaces if "." not in path}
    }
    assert IN_PLACE.keys() == changeable


@pytest.mark.parametrize("token", sorted(CLOUDFORMATION))
def test_what_cloudformation_cannot_change_is_replaced(token: str, create_only: dict[str, list[str]]) -> None:
    declared, kind = RESOURCES[token], CLOUDFORMATION[token].rpartition("::")[2]
    paths = {wire_path(declared.members, kind, path.split("/")) for path in create_only[token]} - {None}
    assert paths, "CloudFormation names properties by which such a resource is known"
    assert paths <= declared.replaces


@pytest.mark.parametrize("token", sorted(PROVIDER))
def test_what_the_provider_cannot_change_is_replaced(token: str) -> None:
    assert set(PROVIDER[token].split()) <= RESOURCES[token].replaces


@pytest.mark.parametrize("token", sorted(IN_PLACE))
def test_what_aws_changes_in_place_is_not_replaced(token: str) -> None:
    declared, properties = RESOURCES[token], set(IN_PLACE[token].split())
    assert properties <= declared.members.keys()
    assert not properties & {path.partition(".")[0] for path in declared.replaces}


class Diffed:
    """The provider's answer to a change of a resource."""

    def __init__(self, token: str, old: dict[str, Any], new: dict[str, Any]) -> None:
        provider = EngineProvider(Connection("http://127.0.0.1:1", "us-east-1", "111122223333", "k", "s"))
        request = provider_pb2.DiffRequest(type=token, name="r", old_inputs=struct(old), news=struct(new))
        self.answer = provider.Diff(request, None)

    @property
    def kinds(self) -> dict[str, str]:
        name = provider_pb2.PropertyDiff.Kind.Name
        return {path: name(each.kind) for path, each in self.answer.detailedDiff.items()}


def test_a_nested_starting_position_replaces_and_its_neighbours_do_not() -> None:
    stream = {"startingPosition": "LATEST", "batchSize": 1.0}
    old = {"sourceParameters": {"dynamodbStreamParameters": stream}}
    new = {"sourceParameters": {"dynamodbStreamParameters": {"startingPosition": "TRIM_HORIZON", "batchSize": 2.0}}}
    diffed = Diffed("aws:pipes/pipe:Pipe", old, new)
    path = "sourceParameters.dynamodbStreamParameters"
    assert diffed.kinds == {f"{path}.startingPosition": "UPDATE_REPLACE", f"{path}.batchSize": "UPDATE"}
    assert list(diffed.answer.replaces) == [f"{path}.startingPosition"]


def test_json_that_differs_in_spaces_and_the_name_of_a_function_for_its_arn_are_no_change() -> None:
    assert Diffed("aws:iam/rolePolicy:RolePolicy", {"policy": '{"a": 1}'}, {"policy": '{"a":1}'}).kinds == {}
    arn = "arn:aws:lambda:us-east-1:111122223333:function:f"
    mapping = "aws:lambda/eventSourceMapping:EventSourceMapping"
    assert Diffed(mapping, {"functionName": "f"}, {"functionName": arn}).kinds == {}


def test_a_name_that_was_given_is_deleted_before_it_is_made_anew_and_a_generated_one_is_not() -> None:
    queue = "aws:sqs/queue:Queue"
    given = Diffed(queue, {"name": "q"}, {"name": "q", "fifoQueue": True})
    generated = Diffed(queue, {"name": "q-1"}, {"name": "q-1", "fifoQueue": True, "__defaults": ["name"]})
    assert (given.answer.deleteBeforeReplace, generated.answer.deleteBeforeReplace) == (True, False)
