"""What CreatePipe accepts (docs/aws-semantics.md §3.1 to §3.4, §3.7, §3.8)."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import botocore.loaders
from botocore.model import ListShape, MapShape, Shape, StringShape, StructureShape
from botocore.model import ServiceModel as Model

from aws_limits import STREAM_MAPPING_RANGES
from local.delivery.admission import filter_problems, filters_of, out_of_range, violation
from local.delivery.settings import MappingSettings
from local.pipes.configuration import defaults_of
from local.pipes.sources import Source, UnsupportedSource, source_of
from local.pipes.targets import UnsupportedTarget, enrichment_of, service_of
from local.pipes.templates import InputTemplate, InvalidTemplate, is_path
from local.queue_admission import queue_problems
from local.queue_batches import QueueSettings

Parameters = Mapping[str, Any]

_FIFO = ".fifo"


def problems(parameters: Parameters) -> Iterator[str]:
    """What AWS refuses of a pipe, one line each; `local.pipes.configuration` says what is not simulated."""
    found = [*violations("CreatePipe", parameters)]
    yield from found
    if found:
        return
    try:
        source = source_of(parameters["Source"])
    except UnsupportedSource:
        return
    of_source = parameters.get("SourceParameters", {})
    for member in sorted(set(of_source) - {source.parameters, "FilterCriteria"}):
        yield f"SourceParameters.{member} is not for {_with_article(source.kind)}"
    if source.is_stream and source.parameters not in of_source:
        yield f"SourceParameters has no {source.parameters}, which say where to start to read"
        return
    yield from filter_problems(of_source.get("FilterCriteria", {}))
    given = source.given(parameters)
    if source.is_stream:
        yield from _stream_problems(given)
    else:
        yield from queue_problems({**defaults_of(parameters), **given}, fifo=parameters["Source"].endswith(_FIFO))
    yield from _batch_problems(parameters, source)
    yield from _target_problems(parameters)
    to_api = parameters.get("TargetParameters", {}).get("HttpParameters", {})
    for name, value in to_api.get("HeaderParameters", {}).items():
        if is_path(value):
            place = f"TargetParameters.HttpParameters.HeaderParameters.{name}"
            yield f"{place}={value!r}: a header is not read from the event"
    log = parameters.get("LogConfiguration", {"Level": "OFF"})
    if log["Level"] != "OFF" and not any(member.endswith("LogDestination") for member in log):
        yield f"LogConfiguration.Level={log['Level']} has no destination: nothing would be logged"
    for member in ("TargetParameters", "EnrichmentParameters"):
        try:
            InputTemplate(parameters.get(member, {}).get("InputTemplate", ""))
        except InvalidTemplate as error:
            yield f"{member}.InputTemplate: {error}"


def violations(operation: str, parameters: Parameters) -> Iterator[str]:
    """Where an operation's parameters do not fit the API's model of them, one line each."""
    return _violations(_input_of(operation), parameters, "", operation)


def settings_of(parameters: Parameters, *, retention: int | None = None) -> MappingSettings:
    """How a pipe without problems reads a stream: as a mapping whose answers always name failed records."""
    stream = {**defaults_of(parameters), **source_of(parameters["Source"]).given(parameters)}
    return MappingSettings(
        batch_size=stream["BatchSize"],
        batching_window=stream.get("MaximumBatchingWindowInSeconds", 0),
        parallelization_factor=stream.get("ParallelizationFactor", 1),
        maximum_retry_attempts=stream.get("MaximumRetryAttempts", -1),
        maximum_record_age=stream.get("MaximumRecordAgeInSeconds", -1),
        bisect=stream.get("OnPartialBatchItemFailure") == "AUTOMATIC_BISECT",
        report_batch_item_failures=True,
        filters=filters_of(parameters["SourceParameters"].get("FilterCriteria", {})),
        destination=stream.get("DeadLetterConfig", {}).get("Arn"),
        retention=retention,
    )


def queue_settings_of(parameters: Parameters) -> QueueSettings:
    """How a pipe without problems takes messages of a queue."""
    source = source_of(parameters["Source"])
    given = {**defaults_of(parameters), **source.given(parameters)}
    return QueueSettings(
        batch_size=given["BatchSize"],
        batching_window=given["MaximumBatchingWindowInSeconds"],
        filters=filters_of(parameters.get("SourceParameters", {}).get("FilterCriteria", {})),
        report_batch_item_failures=True,
    )


def _stream_problems(stream: Parameters) -> Iterator[str]:
    position, timestamp = stream["StartingPosition"], stream.get("StartingPositionTimestamp")
    if position == "AT_TIMESTAMP" and timestamp is None:
        yield "StartingPosition AT_TIMESTAMP needs a StartingPositionTimestamp"
    elif position != "AT_TIMESTAMP" and timestamp is not None:
        yield "Timestamp only valid with StartingPosition AT_TIMESTAMP"
    age = stream.get("MaximumRecordAgeInSeconds", -1)
    if age not in STREAM_MAPPING_RANGES["MaximumRecordAgeInSeconds"]:
        yield out_of_range("MaximumRecordAgeInSeconds", age, STREAM_MAPPING_RANGES["MaximumRecordAgeInSeconds"])
    yield from _dead_letter_problems(stream.get("DeadLetterConfig", {}).get("Arn"))


def _dead_letter_problems(arn: str | None) -> Iterator[str]:
    if arn is None:
        return
    if arn.split(":")[2] not in ("sqs", "sns"):
        yield f"DeadLetterConfig.Arn={arn!r} is no queue or topic: a pipe's dead letters can go nowhere else"
    elif arn.endswith(_FIFO):
        yield f"DeadLetterConfig.Arn={arn!r} is FIFO: a pipe's dead letters go to standard queues and topics only"


def _batch_problems(parameters: Parameters, source: Source) -> Iterator[str]:
    """A batch that is larger than what target and enrichment take at a time."""
    size = {**defaults_of(parameters), **source.given(parameters)}["BatchSize"]
    with contextlib.suppress(UnsupportedTarget):
        target = service_of(parameters["Target"])
        if target.batch is not None and size > target.batch:
            yield (
                f"SourceParameters.{source.parameters}.BatchSize={size} is more than the {target.batch} events that a "
                f"pipe sends to {_with_article(target.kind)} at a time: AWS refuses the pipe"
            )
    if not parameters.get("Enrichment"):
        return
    with contextlib.suppress(UnsupportedTarget):
        enrichment = enrichment_of(parameters["Enrichment"])
        if "HttpParameters" in parameters.get("EnrichmentParameters", {}) and enrichment.kind != "API destination":
            yield f"EnrichmentParameters.HttpParameters is not for {_with_article(enrichment.kind)}"
        if enrichment.batch is not None and size > enrichment.batch:
            yield (
                f"The configured batch size {size} is greater than the max supported batch size {enrichment.batch} for "
                "enrichment api-destination."
            )


def _target_problems(parameters: Parameters) -> Iterator[str]:
    try:
        target = service_of(parameters["Target"])
    except UnsupportedTarget:
        return
    if target.kind == "SNS topic" and parameters["Target"].endswith(_FIFO):
        yield f"Target={parameters['Target']!r} is a FIFO topic: a pipe cannot send to one"
    given = parameters.get("TargetParameters", {})
    for member in set(given) - {"InputTemplate", target.parameters}:
        yield f"TargetParameters.{member} is not for {_with_article(target.kind)}"
    if target.kind == "SQS queue":
        to_queue = given.get("SqsQueueParameters", {})
        if parameters["Target"].endswith(_FIFO):
            if "MessageGroupId" not in to_queue:
                yield "TargetParameters.SqsQueueParameters.MessageGroupId is missing: a FIFO queue needs one"
        elif "MessageDeduplicationId" in to_queue:
            yield "TargetParameters.SqsQueueParameters.MessageDeduplicationId is for FIFO queues only"


def _with_article(kind: str) -> str:
    return f"an {kind}" if kind[0] in "AES" and kind != "Step Functions state machine" else f"a {kind}"


@cache
def _input_of(operation: str) -> Shape:
    model = Model(botocore.loaders.create_loader().load_service_model("pipes", "service-2"), "pipes")
    return model.shape_for(f"{operation}Request")


def _violations(shape: Shape, value: Any, place: str, operation: str) -> Iterator[str]:
    """Where a value does not fit botocore's model of it, in the form of AWS's messages."""
    match shape:
        case StructureShape():
            if not isinstance(value, Mapping):
                yield f"{place} is not an object"
                return
            for name in shape.required_members:
                if value.get(name) is None:
                    yield violation(f"Value null at '{_member(place, name)}'", "Member must not be null")
            for name, content in value.items():
                if name not in shape.members:
                    yield f"{_dotted(place, name)} is no parameter of {operation}"
                elif content is not None:
                    yield from _violations(shape.members[name], content, _dotted(place, name), operation)
        case ListShape():
            if not isinstance(value, list):
                yield f"{place} is not a list"
                return
            if "max" in shape.metadata and len(value) > shape.metadata["max"]:
                limit = shape.metadata["max"]
                yield _refused(value, place, f"Member must have length less than or equal to {limit}")
            for index, each in enumerate(value):
                yield from _violations(shape.member, each, f"{place}.{index + 1}", operation)
        case MapShape():
            if not isinstance(value, Mapping):
                yield f"{place} is not an object"
                return
            for name, content in value.items():
                yield from _violations(shape.value, content, _dotted(place, name), operation)
        case _:
            yield from _scalar_violations(shape, value, place)


def _scalar_violations(shape: Shape, value: Any, place: str) -> Iterator[str]:
    of = shape.metadata
    if shape.type_name == "integer":
        if isinstance(value, bool) or not isinstance(value, int):
            yield f"{place}={value!r} is not a whole number"
        elif "min" in of and value < of["min"]:
            yield _refused(value, place, f"Member must have value greater than or equal to {of['min']}")
        elif "max" in of and value > of["max"]:
            yield _refused(value, place, f"Member must have value less than or equal to {of['max']}")
    elif shape.type_name == "timestamp":
        if isinstance(value, bool) or not isinstance(value, int | float):
            yield f"{place}={value!r} is not a time, in seconds since 1970"
    elif isinstance(shape, StringShape):
        if not isinstance(value, str):
            yield f"{place}={value!r} is not a text"
        elif shape.enum and value not in shape.enum:
            yield _refused(value, place, f"Member must satisfy enum value set: [{', '.join(sorted(shape.enum))}]")
        elif "max" in of and len(value) > of["max"]:
            yield _refused(value, place, f"Member must have length less than or equal to {of['max']}")
        elif "min" in of and len(value) < of["min"]:
            yield _refused(value, place, f"Member must have length greater than or equal to {of['min']}")
        elif "pattern" in of and not re.fullmatch(of["pattern"], value):
            yield _refused(value, place, f"Member must satisfy regular expression pattern: {of['pattern']}")


def _refused(value: Any, place: str, constraint: str) -> str:
    return violation(f"Value '{value}' at '{_member('', place)}'", constraint)


def _dotted(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name


def _member(place: str, name: str) -> str:
    """A member's place as AWS's messages write it, each name beginning with a small letter."""
    return ".".join(step[:1].lower() + step[1:] for step in _dotted(place, name).split("."))
