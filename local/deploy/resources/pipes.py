"""EventBridge Pipes."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

from local.deploy.program import Created
from local.deploy.resources.aws import Aws
from local.deploy.resources.inputs import Inputs

#: How long a pipe may take until it is what it shall be.
_SETTLED_WITHIN_SECONDS = 60.0

_STREAM = {
    "startingPosition": "StartingPosition",
    "batchSize": "BatchSize",
    "maximumBatchingWindowInSeconds": "MaximumBatchingWindowInSeconds",
    "maximumRecordAgeInSeconds": "MaximumRecordAgeInSeconds",
    "maximumRetryAttempts": "MaximumRetryAttempts",
    "onPartialBatchItemFailure": "OnPartialBatchItemFailure",
    "parallelizationFactor": "ParallelizationFactor",
}
#: Blocks of sourceParameters that are streams'.
_STREAMS = {
    "dynamodbStreamParameters": "DynamoDBStreamParameters",
    "kinesisStreamParameters": "KinesisStreamParameters",
}
_QUEUE = {"batchSize": "BatchSize", "maximumBatchingWindowInSeconds": "MaximumBatchingWindowInSeconds"}
#: Blocks of targetParameters, each with AWS's name of it and of its members.
_TARGETS = {
    "eventbridgeEventBusParameters": (
        "EventBridgeEventBusParameters",
        {
            "detailType": "DetailType",
            "endpointId": "EndpointId",
            "resources": "Resources",
            "source": "Source",
            "time": "Time",
        },
    ),
    "lambdaFunctionParameters": ("LambdaFunctionParameters", {"invocationType": "InvocationType"}),
    "sqsQueueParameters": (
        "SqsQueueParameters",
        {"messageDeduplicationId": "MessageDeduplicationId", "messageGroupId": "MessageGroupId"},
    ),
    "stepFunctionStateMachineParameters": (
        "StepFunctionStateMachineParameters",
        {"invocationType": "InvocationType"},
    ),
}


def pipe(inputs: Inputs, aws: Aws) -> Created:
    """CreatePipe, until the pipe runs or is stopped, as it shall be."""
    name = inputs.name()
    request: dict[str, Any] = inputs.members(
        {
            "description": "Description",
            "desiredState": "DesiredState",
            "enrichment": "Enrichment",
            "kmsKeyIdentifier": "KmsKeyIdentifier",
            "roleArn": "RoleArn",
            "source": "Source",
            "tags": "Tags",
            "target": "Target",
        }
    )
    if source := inputs.block("sourceParameters"):
        request["SourceParameters"] = _source(source)
    if enrichment := inputs.block("enrichmentParameters"):
        request["EnrichmentParameters"] = _templated(enrichment)
    if target := inputs.block("targetParameters"):
        request["TargetParameters"] = _templated(target)
        for block, (member, names) in _TARGETS.items():
            if given := target.block(block):
                request["TargetParameters"][member] = given.members(names)
    if log := inputs.block("logConfiguration"):
        request["LogConfiguration"] = log.members({"level": "Level", "includeExecutionDatas": "IncludeExecutionData"})
        if group := log.block("cloudwatchLogsLogDestination"):
            destination = group.members({"logGroupArn": "LogGroupArn"})
            request["LogConfiguration"]["CloudwatchLogsLogDestination"] = destination
    inputs.finish()

    pipes = aws.client("pipes")
    made = pipes.create_pipe(Name=name, **request)
    deadline = time.monotonic() + _SETTLED_WITHIN_SECONDS
    while made["CurrentState"] != made["DesiredState"]:
        if made["CurrentState"].endswith("_FAILED"):
            raise ValueError(f"the pipe is {made['CurrentState']}: {made['StateReason']}")
        if time.monotonic() > deadline:
            raise TimeoutError(f"the pipe is still {made['CurrentState']} after {_SETTLED_WITHIN_SECONDS:.0f} s")
        time.sleep(0.05)
        made = pipes.describe_pipe(Name=name)
    return Created(name, {"name": name, "arn": made["Arn"]})


def _source(source: Inputs) -> dict[str, Any]:
    parameters: dict[str, Any] = {}
    if criteria := source.block("filterCriteria"):
        filters = [each.members({"pattern": "Pattern"}) for each in criteria.blocks("filters")]
        parameters["FilterCriteria"] = {"Filters": filters}
    for block, member in _STREAMS.items():
        if stream := source.block(block):
            parameters[member] = stream.members(_STREAM)
            if timestamp := stream.take("startingPositionTimestamp"):
                parameters[member]["StartingPositionTimestamp"] = datetime.fromisoformat(timestamp)
            if dead_letters := stream.block("deadLetterConfig"):
                parameters[member]["DeadLetterConfig"] = dead_letters.members({"arn": "Arn"})
    if queue := source.block("sqsQueueParameters"):
        parameters["SqsQueueParameters"] = queue.members(_QUEUE)
    return parameters


def _templated(block: Inputs) -> dict[str, Any]:
    """What enrichments and targets have in common."""
    parameters: dict[str, Any] = block.members({"inputTemplate": "InputTemplate"})
    if http := block.block("httpParameters"):
        parameters["HttpParameters"] = http.members(
            {"headerParameters": "HeaderParameters", "queryStringParameters": "QueryStringParameters"}
        )
        # The provider takes one value where AWS takes a list.
        if path := http.take("pathParameterValues"):
            parameters["HttpParameters"]["PathParameterValues"] = [path]
    return parameters
