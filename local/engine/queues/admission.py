"""Settings that AWS refuses for reading a queue, in its words, for a mapping and a pipe alike.

https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-parameters.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from aws_semantics.limits import (
    FUNCTION_RESPONSE_TYPES,
    QUEUE_MAPPING_CONCURRENCY,
    QUEUE_MAPPING_RANGES,
    STREAM_MAPPING_METRICS,
)
from local.engine.queues.batches import CONCURRENCY, QueueSettings
from local.engine.streams.admission import filter_problems, filters_of, violation

Parameters = Mapping[str, Any]

#: Members of CreateEventSourceMapping that are for streams only.
STREAM_MEMBERS = (
    "ParallelizationFactor",
    "BisectBatchOnFunctionError",
    "MaximumRetryAttempts",
    "MaximumRecordAgeInSeconds",
    "TumblingWindowInSeconds",
    "DestinationConfig",
)

#: Above this batch size AWS wants a batching window, and FIFO queues end here.
_SIZE_WITHOUT_WINDOW = 10

#: Defaults of a mapping, as AWS answers them.
MAPPING_DEFAULTS: Mapping[str, Any] = {
    "BatchSize": 10,
    "MaximumBatchingWindowInSeconds": 0,
    "FunctionResponseTypes": [],
}


def queue_problems(parameters: Parameters, *, fifo: bool) -> Iterator[str]:
    """Yield a line for everything that is refused of batches of messages.

    Args:
        parameters: BatchSize and MaximumBatchingWindowInSeconds, within their ranges.
        fifo: Whether the queue is a FIFO queue.
    """
    size, window = parameters["BatchSize"], parameters["MaximumBatchingWindowInSeconds"]
    if fifo and window:
        yield "Batching window is not supported for FIFO queues."
    elif fifo and size > _SIZE_WITHOUT_WINDOW:
        yield f"Batch size must be at most {_SIZE_WITHOUT_WINDOW} for FIFO queues."
    elif size > _SIZE_WITHOUT_WINDOW and not window:
        yield "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10"


def mapping_problems(parameters: Parameters, *, fifo: bool) -> Iterator[str]:
    """Yield a line for everything that is refused of a queue's mapping, whose parameters are complete."""
    if "StartingPosition" in parameters or "StartingPositionTimestamp" in parameters:
        yield "StartingPosition is not valid for SQS event sources."
    for name in STREAM_MEMBERS:
        if name in parameters:
            yield f"Unsupported {name} parameter for given event source mapping type."
    ranges = {name: (parameters[name], allowed) for name, allowed in QUEUE_MAPPING_RANGES.items()}
    concurrency = (parameters.get("ScalingConfig") or {}).get("MaximumConcurrency")
    if concurrency is not None:
        ranges["ScalingConfig.MaximumConcurrency"] = concurrency, QUEUE_MAPPING_CONCURRENCY
    wrong = {name: of for name, of in ranges.items() if of[0] not in of[1]}
    for name, (value, allowed) in wrong.items():
        low = value < allowed.minimum
        path = ".".join(part[0].lower() + part[1:] for part in name.split("."))
        yield violation(
            f"Value '{value}' at '{path}'",
            f"Member must have value {'greater' if low else 'less'} than or equal to "
            f"{allowed.minimum if low else allowed.maximum}",
        )
    if not wrong:
        yield from queue_problems(parameters, fifo=fifo)
    if any(each not in FUNCTION_RESPONSE_TYPES for each in parameters["FunctionResponseTypes"]):
        yield f"Unsupported function response types: {parameters['FunctionResponseTypes']}"
    if any(each not in STREAM_MAPPING_METRICS for each in (parameters.get("MetricsConfig") or {}).get("Metrics", [])):
        yield "Unsupported metrics for this event source"
    yield from filter_problems(parameters.get("FilterCriteria") or {})


def visibility_problem(visibility: int, timeout: int) -> str | None:
    """Return AWS's message for a queue that hides messages for fewer seconds than the function may run, or `None`."""
    if visibility >= timeout:
        return None
    return f"Queue visibility timeout: {visibility} seconds is less than Function timeout: {timeout} seconds"


def mapping_settings_of(configuration: Parameters) -> QueueSettings:
    """Return the settings of a mapping without problems, whose parameters are complete."""
    return QueueSettings(
        batch_size=configuration["BatchSize"],
        batching_window=configuration["MaximumBatchingWindowInSeconds"],
        concurrency=configuration.get("ScalingConfig", {}).get("MaximumConcurrency") or CONCURRENCY,
        filters=filters_of(configuration.get("FilterCriteria") or {}),
        report_batch_item_failures="ReportBatchItemFailures" in configuration["FunctionResponseTypes"],
        event_count="EventCount" in configuration.get("MetricsConfig", {}).get("Metrics", []),
    )
