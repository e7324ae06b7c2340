"""Lambda functions, who may call them, and the mappings that feed them."""

from __future__ import annotations

import time
from typing import Any

from local.deploy.archives import zipped
from local.deploy.program import Created
from local.deploy.resources.aws import WAIT, Aws
from local.deploy.resources.inputs import Inputs

#: How long a mapping may take until it reads.
_ENABLED_WITHIN_SECONDS = 60.0


def function(inputs: Inputs, aws: Aws) -> Created:
    """CreateFunction, until the function is active."""
    name = inputs.name()
    code = inputs.take("code")
    request: dict[str, Any] = inputs.members(
        {
            "role": "Role",
            "runtime": "Runtime",
            "handler": "Handler",
            "architectures": "Architectures",
            "timeout": "Timeout",
            "memorySize": "MemorySize",
        }
    )
    if environment := inputs.block("environment"):
        request["Environment"] = environment.members({"variables": "Variables"})
    if logging := inputs.block("loggingConfig"):
        request["LoggingConfig"] = logging.members({"logFormat": "LogFormat", "logGroup": "LogGroup"})
    inputs.finish()

    lambda_ = aws.client("lambda")
    made = lambda_.create_function(FunctionName=name, Code={"ZipFile": zipped(code)}, **request)
    lambda_.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig=WAIT)
    arn = made["FunctionArn"]
    return Created(
        name,
        {
            "name": name,
            "arn": arn,
            "invokeArn": f"arn:aws:apigateway:{aws.region}:lambda:path/2015-03-31/functions/{arn}/invocations",
            "codeSha256": made["CodeSha256"],
            "version": made["Version"],
        },
    )


def permission(inputs: Inputs, aws: Aws) -> Created:
    """AddPermission."""
    statement_id = inputs.name("statementId")
    request = inputs.members(
        {"function": "FunctionName", "action": "Action", "principal": "Principal", "sourceArn": "SourceArn"}
    )
    inputs.finish()
    aws.client("lambda").add_permission(StatementId=statement_id, **request)
    return Created(statement_id, {"statementId": statement_id})


def event_source_mapping(inputs: Inputs, aws: Aws) -> Created:
    """CreateEventSourceMapping, until the mapping reads."""
    request: dict[str, Any] = inputs.members(
        {
            "functionName": "FunctionName",
            "eventSourceArn": "EventSourceArn",
            "startingPosition": "StartingPosition",
            "batchSize": "BatchSize",
            "maximumBatchingWindowInSeconds": "MaximumBatchingWindowInSeconds",
            "parallelizationFactor": "ParallelizationFactor",
            "bisectBatchOnFunctionError": "BisectBatchOnFunctionError",
            "maximumRetryAttempts": "MaximumRetryAttempts",
            "maximumRecordAgeInSeconds": "MaximumRecordAgeInSeconds",
            "tumblingWindowInSeconds": "TumblingWindowInSeconds",
            "functionResponseTypes": "FunctionResponseTypes",
        }
    )
    if criteria := inputs.block("filterCriteria"):
        filters = [each.members({"pattern": "Pattern"}) for each in criteria.blocks("filters")]
        request["FilterCriteria"] = {"Filters": filters}
    if metrics := inputs.block("metricsConfig"):
        request["MetricsConfig"] = metrics.members({"metrics": "Metrics"})
    if destinations := inputs.block("destinationConfig"):
        on_failure = destinations.block("onFailure")
        request["DestinationConfig"] = (
            {"OnFailure": on_failure.members({"destinationArn": "Destination"})} if on_failure else {}
        )
    inputs.finish()

    lambda_ = aws.client("lambda")
    made = lambda_.create_event_source_mapping(**request)
    deadline = time.monotonic() + _ENABLED_WITHIN_SECONDS
    while made["State"] != "Enabled":
        if time.monotonic() > deadline:
            raise TimeoutError(f"the mapping is still {made['State']} after {_ENABLED_WITHIN_SECONDS:.0f} s")
        time.sleep(0.05)
        made = lambda_.get_event_source_mapping(UUID=made["UUID"])
    return Created(
        made["UUID"],
        {"uuid": made["UUID"], "arn": made.get("EventSourceMappingArn"), "functionArn": made["FunctionArn"]},
    )
