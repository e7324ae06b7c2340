"""Settings that CreatePipe refuses (docs/aws-semantics.md §3.1 to §3.4, §3.7, §3.8), and how a pipe reads."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from aws_semantics.limits import STREAM_MAPPING_RANGES
from local.engine.pipes.configuration import defaults_of
from local.engine.pipes.sources import EventSource, UnsupportedSource, source_of
from local.engine.pipes.targets import UnsupportedTarget, enrichment_of, service_of
from local.engine.pipes.templates import InputTemplate, InvalidTemplate, is_path
from local.engine.queues.admission import queue_problems
from local.engine.queues.batches import QueueSettings
from local.engine.streams.admission import filter_problems, filters_of, out_of_range
from local.engine.streams.settings import MappingSettings

Parameters = Mapping[str, Any]

_FIFO = ".fifo"


def problems(parameters: Parameters) -> Iterator[str]:
    """Yield a line for everything that AWS refuses of a pipe; `configuration.not_simulated` yields the rest.

    Args:
        parameters: CreatePipe's, which fit the API's model (`local.api_models`).
    """
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
        yield f"DeadLetterConfig.Arn={arn!r} is not a queue or topic: a pipe's dead letters can go nowhere else"
    elif arn.endswith(_FIFO):
        yield f"DeadLetterConfig.Arn={arn!r} is FIFO: a pipe's dead letters go to standard queues and topics only"


def _batch_problems(parameters: Parameters, source: EventSource) -> Iterator[str]:
    """Yield a line for a batch size above the maximum of target or enrichment."""
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
