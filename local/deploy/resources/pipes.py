"""EventBridge Pipes."""

from __future__ import annotations

import time
from collections.abc import Mapping

from local.deploy.resources.aws import Aws
from local.deploy.resources.members import Block, Blocks, Document, Member, Members, as_time
from local.deploy.resources.resource_type import Change, Found, Name, ResourceType, is_gone, words

#: Seconds that a pipe may take to reach its desired state.
_SETTLED_WITHIN_SECONDS = 60.0

_STREAM: Members = {
    "startingPosition": "StartingPosition",
    "startingPositionTimestamp": as_time("StartingPositionTimestamp"),
    "batchSize": "BatchSize",
    "maximumBatchingWindowInSeconds": "MaximumBatchingWindowInSeconds",
    "maximumRecordAgeInSeconds": "MaximumRecordAgeInSeconds",
    "maximumRetryAttempts": "MaximumRetryAttempts",
    "onPartialBatchItemFailure": "OnPartialBatchItemFailure",
    "parallelizationFactor": "ParallelizationFactor",
    "deadLetterConfig": Block("DeadLetterConfig", {"arn": "Arn"}),
}
_QUEUE: Members = {"batchSize": "BatchSize", "maximumBatchingWindowInSeconds": "MaximumBatchingWindowInSeconds"}
_HTTP: Members = {
    "headerParameters": "HeaderParameters",
    "queryStringParameters": "QueryStringParameters",
    # The provider takes one value where AWS takes a list.
    "pathParameterValues": Member("PathParameterValues", encode=lambda value: [value], decode=lambda values: values[0]),
}
#: Members that enrichments and targets have in common.
_TEMPLATED: Members = {"inputTemplate": "InputTemplate", "httpParameters": Block("HttpParameters", _HTTP)}
_TARGET: Members = {
    **_TEMPLATED,
    "eventbridgeEventBusParameters": Block(
        "EventBridgeEventBusParameters",
        {
            "detailType": "DetailType",
            "endpointId": "EndpointId",
            "resources": "Resources",
            "source": "Source",
            "time": "Time",
        },
    ),
    "lambdaFunctionParameters": Block("LambdaFunctionParameters", {"invocationType": "InvocationType"}),
    "sqsQueueParameters": Block(
        "SqsQueueParameters",
        {"messageDeduplicationId": "MessageDeduplicationId", "messageGroupId": "MessageGroupId"},
    ),
    "stepFunctionStateMachineParameters": Block(
        "StepFunctionStateMachineParameters", {"invocationType": "InvocationType"}
    ),
}
_MEMBERS: Members = {
    "name": "Name",
    "description": "Description",
    "desiredState": "DesiredState",
    "enrichment": "Enrichment",
    "enrichmentParameters": Block("EnrichmentParameters", _TEMPLATED),
    "kmsKeyIdentifier": "KmsKeyIdentifier",
    "logConfiguration": Block(
        "LogConfiguration",
        {
            "level": "Level",
            "includeExecutionDatas": "IncludeExecutionData",
            "cloudwatchLogsLogDestination": Block("CloudwatchLogsLogDestination", {"logGroupArn": "LogGroupArn"}),
        },
    ),
    "roleArn": "RoleArn",
    "source": "Source",
    "sourceParameters": Block(
        "SourceParameters",
        {
            "filterCriteria": Block("FilterCriteria", {"filters": Blocks("Filters", {"pattern": "Pattern"})}),
            "dynamodbStreamParameters": Block("DynamoDBStreamParameters", _STREAM),
            "kinesisStreamParameters": Block("KinesisStreamParameters", _STREAM),
            "sqsQueueParameters": Block("SqsQueueParameters", _QUEUE),
        },
    ),
    "tags": "Tags",
    "target": "Target",
    "targetParameters": Block("TargetParameters", _TARGET),
}


def _create(aws: Aws, request: Document) -> str:
    aws.client("pipes").create_pipe(**request)
    return request["Name"]


def _settle(aws: Aws, id_: str, _request: Document) -> None:
    deadline = time.monotonic() + _SETTLED_WITHIN_SECONDS
    while (found := aws.client("pipes").describe_pipe(Name=id_))["CurrentState"] != found["DesiredState"]:
        if found["CurrentState"].endswith("_FAILED"):
            raise ValueError(f"the pipe is {found['CurrentState']}: {found['StateReason']}")
        if time.monotonic() > deadline:
            raise TimeoutError(f"the pipe is still {found['CurrentState']} after {_SETTLED_WITHIN_SECONDS:.0f} s")
        time.sleep(0.05)


def _read(aws: Aws, id_: str, _request: Document) -> Found:
    found = aws.client("pipes").describe_pipe(Name=id_)
    return Found(found, {"name": id_, "arn": found["Arn"]})


def _update(aws: Aws, _id: str, change: Change) -> None:
    request = {name: value for name, value in change.new.items() if name not in ("Source", "Tags")}
    if source := request.get("SourceParameters"):
        request["SourceParameters"] = {
            name: {member: value for member, value in block.items() if not member.startswith("StartingPosition")}
            for name, block in source.items()
        }
    # The provider always sends an empty template first, and so a template that is given no more is taken away.
    request.setdefault("TargetParameters", {}).setdefault("InputTemplate", "")
    aws.client("pipes").update_pipe(**request)


def _delete(aws: Aws, id_: str, _request: Document) -> None:
    pipes = aws.client("pipes")
    pipes.delete_pipe(Name=id_)
    deadline = time.monotonic() + _SETTLED_WITHIN_SECONDS
    while time.monotonic() < deadline:
        try:
            pipes.describe_pipe(Name=id_)
        except pipes.exceptions.NotFoundException as error:
            if is_gone(error):
                return
        time.sleep(0.05)
    raise TimeoutError(f"the pipe is still there after {_SETTLED_WITHIN_SECONDS:.0f} s")


_POSITIONS = tuple(
    f"sourceParameters.{block}.{position}"
    for block in ("dynamodbStreamParameters", "kinesisStreamParameters")
    for position in ("startingPosition", "startingPositionTimestamp")
)

TYPES: Mapping[str, ResourceType] = {
    "aws:pipes/pipe:Pipe": ResourceType(
        members=_MEMBERS,
        begin=_create,
        settle=_settle,
        read=_read,
        update=_update,
        updates=words(
            "Description DesiredState Enrichment EnrichmentParameters KmsKeyIdentifier LogConfiguration RoleArn "
            "SourceParameters Target TargetParameters"
        ),
        delete=_delete,
        name=Name(longest=64),
        replaces=words("name namePrefix source").union(_POSITIONS),
        outputs=words("arn"),
    )
}
"""Types of the package `pipes`."""
