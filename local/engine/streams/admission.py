"""Settings that CreateEventSourceMapping refuses for a stream, in AWS's words (docs/aws-semantics.md §2.1)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from aws_semantics.event_patterns import InvalidPattern, validate
from aws_semantics.limits import (
    FILTER_PATTERN_CHARACTERS,
    FILTERS_PER_MAPPING,
    FUNCTION_RESPONSE_TYPES,
    STREAM_MAPPING_METRICS,
    STREAM_MAPPING_RANGES,
    STREAM_STARTING_POSITIONS,
    Range,
)
from local.engine.spelling import suggestion
from local.engine.streams.settings import MappingSettings

Parameters = Mapping[str, Any]

#: Members that the API has for other sources.
_FOR_OTHER_SOURCES = (
    "AmazonManagedKafkaEventSourceConfig",
    "DocumentDBEventSourceConfig",
    "LoggingConfig",
    "ProvisionedPollerConfig",
    "Queues",
    "ScalingConfig",
    "SelfManagedEventSource",
    "SelfManagedKafkaEventSourceConfig",
    "SourceAccessConfigurations",
    "Topics",
)
#: Our words for a starting position in the future; AWS's are not recorded.
IN_THE_FUTURE = "StartingPositionTimestamp must not be in the future"

_TYPES: Mapping[str, type] = {
    **dict.fromkeys(STREAM_MAPPING_RANGES, int),
    "BisectBatchOnFunctionError": bool,
    "DestinationConfig": Mapping,
    "Enabled": bool,
    "EventSourceArn": str,
    "FilterCriteria": Mapping,
    "FunctionName": str,
    "FunctionResponseTypes": list,
    "MetricsConfig": Mapping,
    "StartingPosition": str,
    "Tags": Mapping,
}


def problems(parameters: Parameters) -> Iterator[str]:
    """Yield a line for everything that AWS refuses of a mapping's parameters.

    The messages are AWS's where one was recorded.
    """
    for name, value in parameters.items():
        if name in _FOR_OTHER_SOURCES:
            yield f"Unsupported {name} parameter for given event source mapping type."
        elif name == "StartingPositionTimestamp":
            if parameters.get("StartingPosition") != "AT_TIMESTAMP":
                yield "Timestamp only valid with StartingPosition AT_TIMESTAMP"
            elif isinstance(value, bool) or not isinstance(value, int | float):
                yield f"StartingPositionTimestamp={value!r} is not a time, in seconds since 1970"
        elif name == "KMSKeyArn":
            yield "KMSKeyArn is not simulated: nothing is encrypted here, the filter criteria neither: leave it out"
        elif name not in _TYPES:
            yield f"{name} is not a parameter of CreateEventSourceMapping{suggestion(name, _TYPES)}"
        elif not isinstance(value, _TYPES[name]) or (_TYPES[name] is int and isinstance(value, bool)):
            yield f"{name}={value!r} is not {_named(_TYPES[name])}"
        elif name in STREAM_MAPPING_RANGES and value not in STREAM_MAPPING_RANGES[name]:
            yield out_of_range(name, value, STREAM_MAPPING_RANGES[name])
    # A member of the wrong type has its line already.
    typed = {name: value for name, value in parameters.items() if isinstance(value, _TYPES.get(name, object))}
    if "StartingPosition" in typed or "StartingPosition" not in parameters:
        yield from _starting_position(typed)
    yield from _function_response_types(typed.get("FunctionResponseTypes", []))
    yield from _metrics(typed.get("MetricsConfig", {}))
    yield from destination_problems(typed.get("DestinationConfig", {}))
    yield from filter_problems(typed.get("FilterCriteria", {}))
    above = window_problem(typed.get("MaximumBatchingWindowInSeconds", 0), typed.get("MaximumRecordAgeInSeconds", -1))
    if above is not None:
        yield above
    window = typed.get("TumblingWindowInSeconds", 0)
    if window and typed.get("ParallelizationFactor", 1) != 1:
        yield "Parallelization factor must be equal to 1 when tumbling window period is configured"
    if window and typed.get("FilterCriteria", {}).get("Filters"):
        yield "FilterCriteria and TumblingWindowInSeconds exclude each other: filter inside the function"


def settings_of(parameters: Parameters, *, retention: int | None = None) -> MappingSettings:
    """Return the settings of a mapping whose parameters have no problems; missing ones have AWS's default."""
    return MappingSettings(
        batch_size=parameters.get("BatchSize", 100),
        batching_window=parameters.get("MaximumBatchingWindowInSeconds", 0),
        parallelization_factor=parameters.get("ParallelizationFactor", 1),
        maximum_retry_attempts=parameters.get("MaximumRetryAttempts", -1),
        maximum_record_age=parameters.get("MaximumRecordAgeInSeconds", -1),
        bisect=parameters.get("BisectBatchOnFunctionError", False),
        report_batch_item_failures="ReportBatchItemFailures" in parameters.get("FunctionResponseTypes", []),
        tumbling_window=parameters.get("TumblingWindowInSeconds", 0),
        filters=filters_of(parameters.get("FilterCriteria", {})),
        destination=parameters.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination") or None,
        event_count="EventCount" in parameters.get("MetricsConfig", {}).get("Metrics", []),
        retention=retention,
    )


def filters_of(criteria: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the patterns of a FilterCriteria."""
    return tuple(each.get("Pattern", "{}") for each in criteria.get("Filters") or ())


def filter_problems(criteria: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for everything that AWS refuses of a FilterCriteria, a mapping's or a pipe's."""
    filters = criteria.get("Filters") or []
    if set(criteria) - {"Filters"} or not isinstance(filters, list):
        yield "FilterCriteria holds a list of Filters and nothing else"
        return
    if len(filters) > FILTERS_PER_MAPPING:
        yield f"FilterCriteria has {len(filters)} filters and AWS takes {FILTERS_PER_MAPPING}"
    for index, each in enumerate(filters):
        if not isinstance(each, Mapping) or set(each) - {"Pattern"} or not isinstance(each.get("Pattern", ""), str):
            yield f"FilterCriteria.Filters[{index}] is not an object with a Pattern, a JSON text"
        elif len(each.get("Pattern", "")) > FILTER_PATTERN_CHARACTERS:
            yield (
                f"FilterCriteria.Filters[{index}].Pattern has {len(each['Pattern'])} characters "
                f"and AWS takes {FILTER_PATTERN_CHARACTERS}"
            )
        elif not _is_pattern(each.get("Pattern", "{}")):
            yield "Invalid filter pattern definition."


def destination_problems(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for everything that AWS refuses of a stream mapping's DestinationConfig."""
    if config.get("OnSuccess"):
        yield "OnSuccess configuration is not supported for event source mappings."
    unknown = set(config) - {"OnSuccess", "OnFailure"}
    on_failure = config.get("OnFailure", {})
    if unknown or not isinstance(on_failure, Mapping) or set(on_failure) - {"Destination"}:
        yield "DestinationConfig holds OnFailure, and that a Destination, and nothing else"
        return
    destination = on_failure.get("Destination", "")
    if not isinstance(destination, str):
        yield f"DestinationConfig.OnFailure.Destination={destination!r} is not an ARN"
    elif destination:
        yield from _on_failure(destination)


def window_problem(window: int, age: int) -> str | None:
    """Return AWS's message for a batching window that is not below the record age, or `None` (ESM-REFUSE-16).

    >>> window_problem(300, 90)
    'MaximumBatchingWindowInSeconds must be less than MaximumRecordAgeInSeconds.'
    >>> window_problem(300, -1)
    """
    if age < 0 or window < age:
        return None
    return "MaximumBatchingWindowInSeconds must be less than MaximumRecordAgeInSeconds."


def out_of_range(name: str, value: int, allowed: Range) -> str:
    """Return AWS's message for a number outside a member's range."""
    if name == "MaximumRecordAgeInSeconds" and 0 <= value < allowed.minimum:
        return "MaximumRecordAgeInSeconds must be either -1 (forever) or between 60 and 604800 (inclusive)"
    least = min(allowed.minimum, *allowed.also) if allowed.also else allowed.minimum
    bound, limit = ("greater", least) if value < least else ("less", allowed.maximum)
    return violation(
        f"Value '{value}' at '{name[0].lower()}{name[1:]}'", f"Member must have value {bound} than or equal to {limit}"
    )


def violation(what: str, constraint: str) -> str:
    """Return a message in the form of AWS's validation errors."""
    return f"1 validation error detected: {what} failed to satisfy constraint: {constraint}"


def _starting_position(parameters: Parameters) -> Iterator[str]:
    position = parameters.get("StartingPosition")
    if position is None:
        yield violation("Value null at 'startingPosition'", "Member must not be null.")
    elif position == "AT_TIMESTAMP" and ":kinesis:" in parameters.get("EventSourceArn", ""):
        if "StartingPositionTimestamp" not in parameters:
            yield "StartingPosition AT_TIMESTAMP needs a StartingPositionTimestamp"
    elif position == "AT_TIMESTAMP":
        yield f"Unsupported starting position for arn type: {parameters.get('EventSourceArn', '')}"
    elif position not in STREAM_STARTING_POSITIONS:
        yield violation(
            f"Value '{position}' at 'startingPosition'",
            "Member must satisfy enum value set: [LATEST, AT_TIMESTAMP, TRIM_HORIZON]",
        )


def _function_response_types(types: list[Any]) -> Iterator[str]:
    if any(each not in FUNCTION_RESPONSE_TYPES for each in types):
        yield violation(
            f"Value '[{', '.join(map(str, types))}]' at 'functionResponseTypes'",
            "Member must satisfy constraint: [Member must satisfy enum value set: [ReportBatchItemFailures], "
            "Member must not be null]",
        )
    elif len(types) > len(FUNCTION_RESPONSE_TYPES):
        yield violation(
            f"Value '[{', '.join(map(str, types))}]' at 'functionResponseTypes'",
            f"Member must have length less than or equal to {len(FUNCTION_RESPONSE_TYPES)}",
        )


def _metrics(config: Mapping[str, Any]) -> Iterator[str]:
    metrics = config.get("Metrics", [])
    known = isinstance(metrics, list) and all(each in STREAM_MAPPING_METRICS for each in metrics)
    if set(config) - {"Metrics"} or not known:
        yield f"MetricsConfig holds Metrics, of which a stream has {', '.join(STREAM_MAPPING_METRICS)}"


def _on_failure(destination: str) -> Iterator[str]:
    parts = destination.split(":")
    service = parts[2] if len(parts) >= 6 and parts[0] == "arn" else ""
    if service not in ("s3", "sqs", "sns"):
        yield (
            f"DestinationConfig.OnFailure.Destination={destination!r} is not the ARN of a queue, a topic or a bucket: "
            "the failed batches of a stream can go nowhere else"
        )
    elif service != "s3" and destination.endswith(".fifo"):
        yield (
            f"DestinationConfig.OnFailure.Destination={destination!r} is FIFO: AWS delivers the failed batches of a "
            "stream to standard queues and topics only"
        )


def _is_pattern(text: str) -> bool:
    try:
        validate(text)
    except InvalidPattern:
        return False
    return True


def _named(kind: type) -> str:
    return {int: "a whole number", bool: "true or false", str: "a text", list: "a list"}.get(kind, "an object")
