"""What CreatePipe accepts for a pipe that reads a DynamoDB stream (docs/aws-semantics.md §3.1 to §3.4)."""

from __future__ import annotations

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
from local.pipes.targets import UnsupportedTarget, enrichment_of, service_of
from local.pipes.templates import InputTemplate, InvalidTemplate, is_path

Parameters = Mapping[str, Any]

_FIFO = ".fifo"


def problems(parameters: Parameters) -> Iterator[str]:
    """What AWS refuses of a pipe, or what is not simulated of it, one line each."""
    found = [*violations("CreatePipe", parameters)]
    yield from found
    if found:
        return
    source = parameters.get("SourceParameters", {})
    stream = source.get("DynamoDBStreamParameters")
    if ":dynamodb:" not in parameters["Source"] or "/stream/" not in parameters["Source"]:
        yield f"Source={parameters['Source']!r} is no DynamoDB stream, and a pipe from another source is not simulated"
    if stream is None:
        yield "SourceParameters has no DynamoDBStreamParameters, which say where to start to read"
        return
    for member in sorted(set(source) - {"DynamoDBStreamParameters", "FilterCriteria"}):
        yield f"SourceParameters.{member} is not for a DynamoDB stream"
    yield from filter_problems(source.get("FilterCriteria", {}))
    age = stream.get("MaximumRecordAgeInSeconds", -1)
    if age not in STREAM_MAPPING_RANGES["MaximumRecordAgeInSeconds"]:
        yield out_of_range("MaximumRecordAgeInSeconds", age, STREAM_MAPPING_RANGES["MaximumRecordAgeInSeconds"])
    yield from _dead_letter_problems(stream.get("DeadLetterConfig", {}).get("Arn"))
    yield from _target_problems(parameters, stream.get("BatchSize", 100))
    yield from _enrichment_problems(parameters, stream.get("BatchSize", 100))
    for member in ("TargetParameters", "EnrichmentParameters"):
        for name, value in parameters.get(member, {}).get("HttpParameters", {}).get("HeaderParameters", {}).items():
            if is_path(value):
                yield f"{member}.HttpParameters.HeaderParameters.{name}={value!r}: a header is not read from the event"
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
    """How a pipe without problems reads its stream: as a mapping whose answers always name failed records."""
    source = parameters["SourceParameters"]
    stream = source["DynamoDBStreamParameters"]
    return MappingSettings(
        batch_size=stream.get("BatchSize", 100),
        batching_window=stream.get("MaximumBatchingWindowInSeconds", 0),
        parallelization_factor=stream.get("ParallelizationFactor", 1),
        maximum_retry_attempts=stream.get("MaximumRetryAttempts", -1),
        maximum_record_age=stream.get("MaximumRecordAgeInSeconds", -1),
        bisect=stream.get("OnPartialBatchItemFailure") == "AUTOMATIC_BISECT",
        report_batch_item_failures=True,
        filters=filters_of(source.get("FilterCriteria", {})),
        destination=stream.get("DeadLetterConfig", {}).get("Arn"),
        retention=retention,
    )


def _dead_letter_problems(arn: str | None) -> Iterator[str]:
    if arn is None:
        return
    if arn.split(":")[2] not in ("sqs", "sns"):
        yield f"DeadLetterConfig.Arn={arn!r} is no queue or topic: a pipe's dead letters can go nowhere else"
    elif arn.endswith(_FIFO):
        yield f"DeadLetterConfig.Arn={arn!r} is FIFO: a pipe's dead letters go to standard queues and topics only"


def _target_problems(parameters: Parameters, batch_size: int) -> Iterator[str]:
    try:
        target = service_of(parameters["Target"])
    except UnsupportedTarget as unsupported:
        yield f"Target: {unsupported}"
        return
    if target.kind == "SNS topic" and parameters["Target"].endswith(_FIFO):
        yield f"Target={parameters['Target']!r} is a FIFO topic: a pipe cannot send to one"
    if target.batch is not None and batch_size > target.batch:
        yield (
            f"SourceParameters.DynamoDBStreamParameters.BatchSize={batch_size} is more than the {target.batch} events "
            f"that a pipe sends to {_with_article(target.kind)} at a time: AWS refuses the pipe"
        )
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


def _enrichment_problems(parameters: Parameters, batch_size: int) -> Iterator[str]:
    if not parameters.get("Enrichment"):
        return
    try:
        enrichment = enrichment_of(parameters["Enrichment"])
    except UnsupportedTarget as unsupported:
        yield f"Enrichment: {unsupported}"
        return
    if "HttpParameters" in parameters.get("EnrichmentParameters", {}) and enrichment.kind != "API destination":
        yield f"EnrichmentParameters.HttpParameters is not for {_with_article(enrichment.kind)}"
    if enrichment.batch is not None and batch_size > enrichment.batch:
        yield f"Enrichment by {_with_article(enrichment.kind)} needs a BatchSize of 1, and it is {batch_size}"


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
