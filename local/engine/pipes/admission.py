"""Settings that CreatePipe refuses (docs/aws-semantics.md §3.1 to §3.4, §3.7, §3.8), and how a pipe reads."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from aws_semantics.limits import STREAM_MAPPING_RANGES
from aws_semantics.pipe_templates import is_path
from local.engine.pipes.configuration import defaults_of
from local.engine.pipes.sources import EventSource, UnsupportedSource, source_of
from local.engine.pipes.targets import UnsupportedTarget, enrichment_of, service_of
from local.engine.pipes.templates import InputTemplate, InvalidTemplate
from local.engine.queues.admission import queue_problems
from local.engine.queues.batches import QueueSettings
from local.engine.streams.admission import filter_problems, filters_of, out_of_range, window_problem
from local.engine.streams.settings import MappingSettings

Parameters = Mapping[str, Any]

_FIFO = ".fifo"


@dataclass(frozen=True)
class Problem:
    """Setting that AWS refuses.

    Attributes:
        name: The setting's place among CreatePipe's parameters.
        message: The reason, in AWS's words where they are known.
    """

    name: str
    message: str

    def __str__(self) -> str:
        return f"{self.name}: {self.message}"


def validation_message(found: Iterable[Problem]) -> str:
    """Return the message of the ValidationException for these problems, which is JSON (PIPE-CREATE-7)."""
    fields = [{"Name": problem.name, "Message": problem.message} for problem in found]
    return json.dumps({"ValidationErrorFields": fields}, separators=(",", ":"), ensure_ascii=False)


def problems(parameters: Parameters) -> Iterator[Problem]:
    """Yield every setting of a pipe that AWS refuses; `configuration.not_simulated` yields the rest.

    Args:
        parameters: CreatePipe's, which fit the API's model (`local.api_models`).
    """
    try:
        source = source_of(parameters["Source"])
    except UnsupportedSource:
        return
    of_source = parameters.get("SourceParameters", {})
    for member in sorted(set(of_source) - {source.parameters, "FilterCriteria"}):
        yield Problem(f"SourceParameters.{member}", f"It is not for {_with_article(source.kind)}.")
    place = f"SourceParameters.{source.parameters}"
    if source.is_stream and source.parameters not in of_source:
        yield Problem(place, "Missing required parameter.")
        return
    for message in filter_problems(of_source.get("FilterCriteria", {})):
        yield Problem("SourceParameters.FilterCriteria", message)
    given = source.given(parameters)
    if source.is_stream:
        for name, message in _stream_problems(given):
            yield Problem(f"{place}.{name}", message)
    else:
        fifo = parameters["Source"].endswith(_FIFO)
        for message in queue_problems({**defaults_of(parameters), **given}, fifo=fifo):
            yield Problem(place, message)
    yield from _batch_problems(parameters, source)
    yield from _target_problems(parameters)
    to_api = parameters.get("TargetParameters", {}).get("HttpParameters", {})
    for name, value in to_api.get("HeaderParameters", {}).items():
        if is_path(value):
            place = f"TargetParameters.HttpParameters.HeaderParameters.{name}"
            yield Problem(place, f"{value!r} is a path, and a header is not read from the event.")
    log = parameters.get("LogConfiguration", {"Level": "OFF"})
    if log["Level"] != "OFF" and not any(member.endswith("LogDestination") for member in log):
        yield Problem("LogConfiguration", f"Level {log['Level']} has no destination: nothing would be logged.")
    for member in ("TargetParameters", "EnrichmentParameters"):
        try:
            InputTemplate(parameters.get(member, {}).get("InputTemplate", ""))
        except InvalidTemplate as error:
            yield Problem(f"{member}.InputTemplate", str(error))


def settings_of(parameters: Parameters, *, retention: int | None = None) -> MappingSettings:
    """Return how a pipe without problems reads a stream: as a mapping whose answers always name failed records."""
    stream = {**defaults_of(parameters), **source_of(parameters["Source"]).given(parameters)}
    return MappingSettings(
        batch_size=stream["BatchSize"],
        batching_window=stream.get("MaximumBatchingWindowInSeconds", 0),
        parallelization_factor=stream.get("ParallelizationFactor", 1),
        maximum_retry_attempts=stream.get("MaximumRetryAttempts", -1),
        maximum_record_age=stream.get("MaximumRecordAgeInSeconds", -1),
        bisect=stream.get("OnPartialBatchItemFailure") == "AUTOMATIC_BISECT",
        filters=filters_of(parameters["SourceParameters"].get("FilterCriteria", {})),
        destination=stream.get("DeadLetterConfig", {}).get("Arn"),
        retention=retention,
    )


def queue_settings_of(parameters: Parameters) -> QueueSettings:
    """Return how a pipe without problems reads a queue."""
    source = source_of(parameters["Source"])
    given = {**defaults_of(parameters), **source.given(parameters)}
    return QueueSettings(
        batch_size=given["BatchSize"],
        batching_window=given["MaximumBatchingWindowInSeconds"],
        filters=filters_of(parameters.get("SourceParameters", {}).get("FilterCriteria", {})),
    )


def _stream_problems(stream: Parameters) -> Iterator[tuple[str, str]]:
    """Yield name and message for every setting of a stream that AWS refuses."""
    position, timestamp = stream["StartingPosition"], stream.get("StartingPositionTimestamp")
    if position == "AT_TIMESTAMP" and timestamp is None:
        yield "StartingPositionTimestamp", "StartingPosition AT_TIMESTAMP needs a StartingPositionTimestamp"
    elif position != "AT_TIMESTAMP" and timestamp is not None:
        yield "StartingPositionTimestamp", "Timestamp only valid with StartingPosition AT_TIMESTAMP"
    age = stream.get("MaximumRecordAgeInSeconds", -1)
    allowed = STREAM_MAPPING_RANGES["MaximumRecordAgeInSeconds"]
    if age not in allowed:
        yield "MaximumRecordAgeInSeconds", out_of_range("MaximumRecordAgeInSeconds", age, allowed)
    above = window_problem(stream.get("MaximumBatchingWindowInSeconds", 0), age)
    if above is not None:
        yield "MaximumBatchingWindowInSeconds", above
    dead_letters = stream.get("DeadLetterConfig", {}).get("Arn")
    if dead_letters is not None and dead_letters.split(":")[2] not in ("sqs", "sns"):
        said = f"{dead_letters!r} is not a queue or topic: a pipe's dead letters can go nowhere else"
        yield "DeadLetterConfig.Arn", said
    elif dead_letters is not None and dead_letters.endswith(_FIFO):
        said = f"{dead_letters!r} is FIFO: a pipe's dead letters go to standard queues and topics only"
        yield "DeadLetterConfig.Arn", said


def _batch_problems(parameters: Parameters, source: EventSource) -> Iterator[Problem]:
    """Yield the problem of a batch size above the maximum of target or enrichment."""
    size = {**defaults_of(parameters), **source.given(parameters)}["BatchSize"]
    with contextlib.suppress(UnsupportedTarget):
        target = service_of(parameters["Target"])
        if target.batch is not None and size > target.batch:
            yield Problem(
                "BatchSize",
                f"The batch size {size} is more than the {target.batch} events that a pipe sends to "
                f"{_with_article(target.kind)} at a time.",
            )
    if not parameters.get("Enrichment"):
        return
    with contextlib.suppress(UnsupportedTarget):
        enrichment = enrichment_of(parameters["Enrichment"])
        if "HttpParameters" in parameters.get("EnrichmentParameters", {}) and enrichment.kind != "API destination":
            yield Problem("EnrichmentParameters.HttpParameters", f"It is not for {_with_article(enrichment.kind)}.")
        if enrichment.batch is not None and size > enrichment.batch:
            yield Problem(
                "BatchSize",
                f"The configured batch size {size} is greater than the max supported batch size {enrichment.batch} for "
                "enrichment api-destination.",
            )


def _target_problems(parameters: Parameters) -> Iterator[Problem]:
    try:
        target = service_of(parameters["Target"])
    except UnsupportedTarget:
        return
    if target.kind == "SNS topic" and parameters["Target"].endswith(_FIFO):
        yield Problem("Target", f"{parameters['Target']!r} is a FIFO topic: a pipe cannot send to one.")
    given = parameters.get("TargetParameters", {})
    for member in sorted(set(given) - {"InputTemplate", target.parameters}):
        yield Problem(f"TargetParameters.{member}", f"It is not for {_with_article(target.kind)}.")
    if target.kind == "SQS queue":
        to_queue, place = given.get("SqsQueueParameters", {}), "TargetParameters.SqsQueueParameters"
        if parameters["Target"].endswith(_FIFO):
            if "MessageGroupId" not in to_queue:
                yield Problem(f"{place}.MessageGroupId", "Missing required parameter.")
        elif "MessageDeduplicationId" in to_queue:
            yield Problem(f"{place}.MessageDeduplicationId", "It is for FIFO queues only.")


def _with_article(kind: str) -> str:
    return f"an {kind}" if kind[0] in "AES" and kind != "Step Functions state machine" else f"a {kind}"
