"""What a change replaces, held against the provider's source and CloudFormation's schemas.

`CREATE_ONLY` are the createOnlyProperties of the CloudFormation registry's schemas (us-east-1, October 2026, as
cfn-lint 1.58 carries them). `PROVIDER` is what terraform-provider-aws marks ForceNew beyond them, read in its source.
"""

from __future__ import annotations

from typing import Any

import pytest
from pulumi.runtime.proto import provider_pb2

from local.deploy.engine_provider import EngineProvider
from local.deploy.resources import RESOURCES
from local.deploy.resources.members import Members
from local.deploy.wire import struct
from local.endpoint.clients import Connection

CREATE_ONLY = {
    "aws:apigatewayv2/api:Api": "ProtocolType",
    "aws:apigatewayv2/authorizer:Authorizer": "ApiId",
    "aws:apigatewayv2/integration:Integration": "ApiId",
    "aws:apigatewayv2/route:Route": "ApiId",
    "aws:apigatewayv2/stage:Stage": "ApiId StageName",
    "aws:cloudwatch/eventBus:EventBus": "Name",
    "aws:cloudwatch/eventRule:EventRule": "Name EventBusName",
    "aws:cloudwatch/logGroup:LogGroup": "logGroupName",
    "aws:cloudwatch/metricAlarm:MetricAlarm": "AlarmName",
    "aws:dynamodb/table:Table": "TableName",
    "aws:iam/policy:Policy": "PolicyName Path Description",
    "aws:iam/role:Role": "RoleName Path",
    "aws:iam/rolePolicy:RolePolicy": "PolicyName RoleName",
    "aws:lambda/eventSourceMapping:EventSourceMapping": "EventSourceArn StartingPosition StartingPositionTimestamp",
    "aws:lambda/function:Function": "FunctionName",
    "aws:pipes/pipe:Pipe": "Name Source",
    "aws:s3/bucket:Bucket": "Bucket",
    "aws:sesv2/emailIdentity:EmailIdentity": "EmailIdentity",
    "aws:sfn/stateMachine:StateMachine": "name type",
    "aws:sns/topicSubscription:TopicSubscription": "TopicArn Protocol Endpoint",
    "aws:sqs/queue:Queue": "QueueName Attributes.FifoQueue",
}

PROVIDER = {
    "aws:apigatewayv2/api:Api": "credentialsArn routeKey target",
    "aws:apigatewayv2/integration:Integration": "integrationType integrationSubtype",
    "aws:cloudwatch/eventTarget:EventTarget": "rule eventBusName targetId",
    "aws:cloudwatch/logGroup:LogGroup": "namePrefix logGroupClass",
    "aws:dynamodb/table:Table": "hashKey rangeKey localSecondaryIndexes",
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": "role policyArn",
    "aws:lambda/function:Function": "packageType tenancyConfig",
    "aws:lambda/permission:Permission": "action function principal sourceArn statementId",
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": "bucket",
    "aws:sns/topic:Topic": "name fifoTopic",
}

#: Properties that AWS changes in place, although one might think otherwise.
IN_PLACE = {
    "aws:apigatewayv2/api:Api": "name",
    "aws:apigatewayv2/authorizer:Authorizer": "name authorizerType identitySources jwtConfiguration",
    "aws:apigatewayv2/route:Route": "routeKey target authorizationType authorizerId authorizationScopes",
    "aws:cloudwatch/eventTarget:EventTarget": "arn",
    "aws:dynamodb/table:Table": "streamEnabled streamViewType ttl deletionProtectionEnabled",
    "aws:iam/role:Role": "assumeRolePolicy",
    "aws:lambda/eventSourceMapping:EventSourceMapping": "functionName filterCriteria destinationConfig enabled",
    "aws:lambda/function:Function": "runtime architectures role handler code environment",
    "aws:pipes/pipe:Pipe": "target enrichment roleArn",
    "aws:sfn/stateMachine:StateMachine": "definition roleArn",
}


def wire_name(members: Members, name: str) -> str:
    (found,) = [
        wire for wire, member in members.items() if (member if isinstance(member, str) else member.name) == name
    ]
    return found


@pytest.mark.parametrize("token", sorted(CREATE_ONLY))
def test_what_cloudformation_cannot_change_is_replaced(token: str) -> None:
    declared = RESOURCES[token]
    assert {wire_name(declared.members, name) for name in CREATE_ONLY[token].split()} <= declared.replaces


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
