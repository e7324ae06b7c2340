"""Lambda functions, who may call them, and the mappings that feed them."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from local.deploy.archives import zipped
from local.deploy.layers import for_this_machine
from local.deploy.resources.aws import WAIT, Aws
from local.deploy.resources.members import Block, Blocks, Document, Member, as_time
from local.deploy.resources.resource_type import Change, Found, Gone, Name, ResourceType, is_gone, words

#: Seconds that a mapping may take to settle or to disappear.
_SETTLED_WITHIN_SECONDS = 60.0
#: Members that UpdateFunctionCode takes; UpdateFunctionConfiguration takes the others.
_CODE = ("Code", "Architectures")


def _create_function(aws: Aws, request: Document) -> str:
    aws.client("lambda").create_function(**request)
    return request["FunctionName"]


def _wait_for_function(aws: Aws, id_: str, _request: Document) -> None:
    aws.client("lambda").get_waiter("function_active_v2").wait(FunctionName=id_, WaiterConfig=WAIT)


def _read_function(aws: Aws, id_: str, _request: Document) -> Found:
    found = aws.client("lambda").get_function(FunctionName=id_)["Configuration"]
    arn = found["FunctionArn"]
    return Found(
        found,
        {
            "name": id_,
            "arn": arn,
            "invokeArn": f"arn:aws:apigateway:{aws.region}:lambda:path/2015-03-31/functions/{arn}/invocations",
            "codeSha256": found["CodeSha256"],
            "version": found["Version"],
        },
    )


def _update_function(aws: Aws, id_: str, change: Change) -> None:
    lambda_ = aws.client("lambda")
    updated = lambda_.get_waiter("function_updated_v2")
    if change.names - set(_CODE):
        request = {name: value for name, value in change.new.items() if name not in _CODE}
        # A request without them leaves the former variables, and the former queue.
        without = {"Environment": {"Variables": {}}, "DeadLetterConfig": {"TargetArn": ""}}
        lambda_.update_function_configuration(**{**without, **request})
        updated.wait(FunctionName=id_, WaiterConfig=WAIT)
    if change.names & set(_CODE):
        architectures = change.new.get("Architectures", ["x86_64"])
        lambda_.update_function_code(FunctionName=id_, Architectures=architectures, **change.new["Code"])
        updated.wait(FunctionName=id_, WaiterConfig=WAIT)


def _delete_function(aws: Aws, id_: str, _request: Document) -> None:
    aws.client("lambda").delete_function(FunctionName=id_)


def _publish_layer(aws: Aws, request: Document) -> str:
    return aws.client("lambda").publish_layer_version(**request)["LayerVersionArn"]


def _read_layer(aws: Aws, id_: str, _request: Document) -> Found:
    layer, _, version = id_.rpartition(":")
    found = aws.client("lambda").get_layer_version(LayerName=layer, VersionNumber=int(version))
    return Found(
        {**found, "LayerName": layer.rpartition(":")[2]},
        {
            "arn": found["LayerVersionArn"],
            "codeSha256": found["Content"]["CodeSha256"],
            "layerArn": found["LayerArn"],
            "sourceCodeSize": found["Content"]["CodeSize"],
            "version": version,
        },
    )


def _delete_layer(aws: Aws, id_: str, _request: Document) -> None:
    layer, _, version = id_.rpartition(":")
    aws.client("lambda").delete_layer_version(LayerName=layer, VersionNumber=int(version))


def _layer_arns(layers: Any) -> Any:
    """Reduce a function's layers to their ARNs: AWS describes them with their sizes."""
    return [each["Arn"] if isinstance(each, Mapping) else each for each in layers]


def _add_permission(aws: Aws, request: Document) -> str:
    aws.client("lambda").add_permission(**request)
    return request["StatementId"]


def _read_permission(aws: Aws, id_: str, request: Document) -> Found:
    policy = json.loads(aws.client("lambda").get_policy(FunctionName=request["FunctionName"])["Policy"])
    if not any(statement["Sid"] == id_ for statement in policy["Statement"]):
        raise Gone(id_)
    return Found({}, {"statementId": id_})


def _remove_permission(aws: Aws, id_: str, request: Document) -> None:
    aws.client("lambda").remove_permission(FunctionName=request["FunctionName"], StatementId=id_)


def _create_mapping(aws: Aws, request: Document) -> str:
    return aws.client("lambda").create_event_source_mapping(**request)["UUID"]


def _wait_for_mapping(aws: Aws, id_: str, _request: Document) -> None:
    deadline = time.monotonic() + _SETTLED_WITHIN_SECONDS
    while (found := aws.client("lambda").get_event_source_mapping(UUID=id_))["State"] not in ("Enabled", "Disabled"):
        if time.monotonic() > deadline:
            raise TimeoutError(f"the mapping is still {found['State']} after {_SETTLED_WITHIN_SECONDS:.0f} s")
        time.sleep(0.05)


def _read_mapping(aws: Aws, id_: str, _request: Document) -> Found:
    found = aws.client("lambda").get_event_source_mapping(UUID=id_)
    document = {**found, "Enabled": found["State"] != "Disabled", "FunctionName": found["FunctionArn"]}
    outputs = {"uuid": id_, "arn": found.get("EventSourceMappingArn"), "functionArn": found["FunctionArn"]}
    return Found(document, outputs)


def _update_mapping(aws: Aws, id_: str, change: Change) -> None:
    # A member that was given and is given no more returns to AWS's default.
    request = {name: change.new.get(name, _UNSET.get(name)) for name in change.names}
    aws.client("lambda").update_event_source_mapping(
        UUID=id_, **{name: value for name, value in request.items() if value is not None}
    )


def _delete_mapping(aws: Aws, id_: str, _request: Document) -> None:
    lambda_ = aws.client("lambda")
    lambda_.delete_event_source_mapping(UUID=id_)
    deadline = time.monotonic() + _SETTLED_WITHIN_SECONDS
    while time.monotonic() < deadline:
        try:
            lambda_.get_event_source_mapping(UUID=id_)
        except lambda_.exceptions.ResourceNotFoundException as error:
            if is_gone(error):
                return
        time.sleep(0.05)
    raise TimeoutError(f"the mapping is still there after {_SETTLED_WITHIN_SECONDS:.0f} s")


def _function_name(arn: Any) -> Any:
    """Reduce a function's ARN to its name: both name the same function."""
    return str(arn).partition(":function:")[2] or arn


#: What a mapping returns to when a member is not given any more.
_UNSET: Mapping[str, Any] = {
    "BisectBatchOnFunctionError": False,
    "DestinationConfig": {"OnFailure": {}},
    "Enabled": True,
    "FilterCriteria": {"Filters": []},
    "FunctionResponseTypes": [],
    "MaximumBatchingWindowInSeconds": 0,
    "MaximumRecordAgeInSeconds": -1,
    "MaximumRetryAttempts": -1,
    "MetricsConfig": {"Metrics": []},
    "ParallelizationFactor": 1,
    "ScalingConfig": {},
    "TumblingWindowInSeconds": 0,
}

TYPES: Mapping[str, ResourceType] = {
    "aws:lambda/eventSourceMapping:EventSourceMapping": ResourceType(
        members={
            "functionName": Member("FunctionName", key=_function_name),
            "eventSourceArn": "EventSourceArn",
            "startingPosition": "StartingPosition",
            "startingPositionTimestamp": as_time("StartingPositionTimestamp"),
            "enabled": "Enabled",
            "batchSize": "BatchSize",
            "maximumBatchingWindowInSeconds": "MaximumBatchingWindowInSeconds",
            "parallelizationFactor": "ParallelizationFactor",
            "bisectBatchOnFunctionError": "BisectBatchOnFunctionError",
            "maximumRetryAttempts": "MaximumRetryAttempts",
            "maximumRecordAgeInSeconds": "MaximumRecordAgeInSeconds",
            "tumblingWindowInSeconds": "TumblingWindowInSeconds",
            "functionResponseTypes": "FunctionResponseTypes",
            "filterCriteria": Block("FilterCriteria", {"filters": Blocks("Filters", {"pattern": "Pattern"})}),
            "metricsConfig": Block("MetricsConfig", {"metrics": "Metrics"}),
            "scalingConfig": Block("ScalingConfig", {"maximumConcurrency": "MaximumConcurrency"}),
            "destinationConfig": Block(
                "DestinationConfig", {"onFailure": Block("OnFailure", {"destinationArn": "Destination"})}
            ),
        },
        begin=_create_mapping,
        settle=_wait_for_mapping,
        read=_read_mapping,
        update=_update_mapping,
        delete=_delete_mapping,
        replaces=words(
            "eventSourceArn startingPosition startingPositionTimestamp queues topics selfManagedEventSource "
            "amazonManagedKafkaEventSourceConfig selfManagedKafkaEventSourceConfig"
        ),
        outputs=words("uuid arn functionArn"),
    ),
    "aws:lambda/function:Function": ResourceType(
        members={
            "name": "FunctionName",
            "role": "Role",
            "runtime": "Runtime",
            "handler": "Handler",
            "architectures": "Architectures",
            "timeout": "Timeout",
            "memorySize": "MemorySize",
            "code": Member("Code", encode=lambda code: {"ZipFile": zipped(code)}),
            "environment": Block("Environment", {"variables": "Variables"}),
            "layers": Member("Layers", decode=lambda layers: [each["Arn"] for each in layers], key=_layer_arns),
            "deadLetterConfig": Block("DeadLetterConfig", {"targetArn": "TargetArn"}),
            "loggingConfig": Block("LoggingConfig", {"logFormat": "LogFormat", "logGroup": "LogGroup"}),
        },
        begin=_create_function,
        settle=_wait_for_function,
        read=_read_function,
        update=_update_function,
        delete=_delete_function,
        name=Name(longest=64, allowed=r"[A-Za-z0-9_-]"),
        replaces=words("name packageType tenancyConfig"),
        outputs=words("arn invokeArn codeSha256 version"),
        renews={"code": ("codeSha256",)},
    ),
    "aws:lambda/layerVersion:LayerVersion": ResourceType(
        members={
            "layerName": "LayerName",
            "code": Member("Content", encode=lambda code: {"ZipFile": for_this_machine(code)}),
            "description": "Description",
            "compatibleRuntimes": "CompatibleRuntimes",
            "compatibleArchitectures": "CompatibleArchitectures",
        },
        begin=_publish_layer,
        read=_read_layer,
        delete=_delete_layer,
        name=Name("layerName", longest=64, allowed=r"[A-Za-z0-9_-]"),
        replaces=words("code compatibleArchitectures compatibleRuntimes description layerName licenseInfo"),
        outputs=words("arn codeSha256 layerArn sourceCodeSize version"),
    ),
    "aws:lambda/permission:Permission": ResourceType(
        members={
            "statementId": "StatementId",
            "function": "FunctionName",
            "action": "Action",
            "principal": "Principal",
            "sourceArn": "SourceArn",
        },
        begin=_add_permission,
        read=_read_permission,
        delete=_remove_permission,
        name=Name("statementId", longest=100, allowed=r"[A-Za-z0-9_-]"),
        replaces=words(
            "action eventSourceToken function functionUrlAuthType invokedViaFunctionUrl principal principalOrgId "
            "qualifier sourceAccount sourceArn statementId statementIdPrefix"
        ),
    ),
}
"""Types of the package `lambda`."""
