"""SQS queues as the source of event source mappings.

https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from aws_limits import FUNCTION_RESPONSE_TYPES, QUEUE_MAPPING_CONCURRENCY, QUEUE_MAPPING_RANGES, STREAM_MAPPING_METRICS
from local.delivery.admission import filter_problems, filters_of
from local.errors import invalid_parameter
from local.queue_batches import CONCURRENCY, QueueSettings
from local.queue_mappings import QueueRunner, QueueSurroundings, QueueTarget
from local.role_actions import reading
from local.roles import role_of
from local.services.event_source_mappings import EventSourceMapping, Parameters, Runner

#: What is for streams only.
_OF_STREAMS = (
    "ParallelizationFactor",
    "BisectBatchOnFunctionError",
    "MaximumRetryAttempts",
    "MaximumRecordAgeInSeconds",
    "TumblingWindowInSeconds",
    "DestinationConfig",
)

#: Above this batch size AWS wants a batching window, and FIFO queues end here.
_SIZE_WITHOUT_WINDOW = 10


class QueueSource:
    """`Source` of SQS queues."""

    defaults: Mapping[str, Any] = {"BatchSize": 10, "MaximumBatchingWindowInSeconds": 0, "FunctionResponseTypes": []}
    fixed: Sequence[str] = ()
    updatable: Sequence[str] = (*defaults, "FilterCriteria", "MetricsConfig", "ScalingConfig")
    #: A queue's mapping has no LastProcessingResult.
    described: Mapping[str, Any] = {"StateTransitionReason": "USER_INITIATED"}

    def __init__(self, surroundings: QueueSurroundings) -> None:
        self._with = surroundings

    def reads(self, arn: str) -> bool:
        """Whether it is the ARN of a queue."""
        return arn.startswith("arn:aws:sqs:")

    def check(self, arn: str, parameters: Parameters) -> None:
        """Refuse what AWS refuses, in its words."""
        if "StartingPosition" in parameters or "StartingPositionTimestamp" in parameters:
            raise invalid_parameter("StartingPosition is not valid for SQS event sources.")
        _check(parameters, fifo=arn.endswith(".fifo"))

    def conflict(self, arn: str, function_arn: str, mapping_uuid: str) -> str:
        """What AWS says when function and queue have a mapping already."""
        return (
            f'An event source mapping with SQS arn (" {arn} ") and function (" {function_arn.split(":", 6)[6]} ") '
            f"already exists. Please update or delete the existing mapping with UUID {mapping_uuid}"
        )

    def connect(self, parameters: Parameters, function: Mapping[str, Any]) -> Callable[[EventSourceMapping], Runner]:
        """The queue's URL. Its visibility timeout must not be shorter than the function's timeout."""
        arn = parameters["EventSourceArn"]
        role = role_of(function)
        refused = self._with.roles.refusal(role, reading(arn))
        if refused is not None:
            raise refused.error(
                "InvalidParameterValueException",
                f"The provided execution role does not have permissions to call {refused.operation} on SQS",
            )
        url, attributes = self._queue(arn)
        visibility, timeout = int(attributes["VisibilityTimeout"]), function["Timeout"]
        if visibility < timeout:
            raise invalid_parameter(
                f"Queue visibility timeout: {visibility} seconds is less than Function timeout: {timeout} seconds"
            )

        def runner(mapping: EventSourceMapping) -> Runner:
            return QueueRunner(
                QueueTarget(mapping.uuid, function["FunctionArn"], arn, url, role),
                _settings(mapping.configuration),
                surroundings=self._with,
                history=mapping.history,
            )

        return runner

    def _queue(self, arn: str) -> tuple[str, dict[str, str]]:
        try:
            url = self._with.queues.get_queue_url(QueueName=arn.rpartition(":")[2])["QueueUrl"]
            return url, self._with.queues.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        except ClientError as missing:
            raise invalid_parameter(
                "Error occurred while ReceiveMessage. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue. "
                "SQS Error Message: The specified queue does not exist."
            ) from missing


def _settings(configuration: Mapping[str, Any]) -> QueueSettings:
    return QueueSettings(
        batch_size=configuration["BatchSize"],
        batching_window=configuration["MaximumBatchingWindowInSeconds"],
        concurrency=configuration.get("ScalingConfig", {}).get("MaximumConcurrency") or CONCURRENCY,
        filters=filters_of(configuration.get("FilterCriteria") or {}),
        report_batch_item_failures="ReportBatchItemFailures" in configuration["FunctionResponseTypes"],
        event_count="EventCount" in configuration.get("MetricsConfig", {}).get("Metrics", []),
    )


def _check(parameters: Parameters, *, fifo: bool) -> None:
    for name in _OF_STREAMS:
        if name in parameters:
            raise invalid_parameter(f"Unsupported {name} parameter for given event source mapping type.")
    ranges = {name: (parameters[name], allowed) for name, allowed in QUEUE_MAPPING_RANGES.items()}
    concurrency = (parameters.get("ScalingConfig") or {}).get("MaximumConcurrency")
    if concurrency is not None:
        ranges["ScalingConfig.MaximumConcurrency"] = concurrency, QUEUE_MAPPING_CONCURRENCY
    for name, (value, allowed) in ranges.items():
        if value not in allowed:
            low = value < allowed.minimum
            path = ".".join(part[0].lower() + part[1:] for part in name.split("."))
            raise invalid_parameter(
                f"1 validation error detected: Value '{value}' at '{path}' failed to satisfy constraint: Member must "
                f"have value {'greater' if low else 'less'} than or equal to "
                f"{allowed.minimum if low else allowed.maximum}"
            )
    size, window = parameters["BatchSize"], parameters["MaximumBatchingWindowInSeconds"]
    if fifo and window:
        raise invalid_parameter("Batching window is not supported for FIFO queues.")
    if fifo and size > _SIZE_WITHOUT_WINDOW:
        raise invalid_parameter(f"Batch size must be at most {_SIZE_WITHOUT_WINDOW} for FIFO queues.")
    if size > _SIZE_WITHOUT_WINDOW and not window:
        raise invalid_parameter(
            "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10"
        )
    if any(each not in FUNCTION_RESPONSE_TYPES for each in parameters["FunctionResponseTypes"]):
        raise invalid_parameter(f"Unsupported function response types: {parameters['FunctionResponseTypes']}")
    if any(each not in STREAM_MAPPING_METRICS for each in (parameters.get("MetricsConfig") or {}).get("Metrics", [])):
        raise invalid_parameter("Unsupported metrics for this event source")
    for problem in filter_problems(parameters.get("FilterCriteria") or {}):
        raise invalid_parameter(problem)
