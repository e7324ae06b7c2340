"""Settings of a scenario that AWS refuses, and those that are not simulated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from local.api_models import violations
from local.engine.pipes import admission as pipe_admission
from local.engine.pipes.configuration import not_simulated
from local.engine.pipes.sources import UnsupportedSource, source_of
from local.engine.queues import admission as queue_admission
from local.engine.streams import admission as stream_admission

#: The source of a mapping that names none.
STREAM_ARN = "arn:aws:dynamodb:us-east-1:111122223333:table/table/stream/2026-01-01T00:00:00.000"

#: Members of CreateEventSourceMapping that are simulated for a queue.
_QUEUE_MEMBERS = (
    "EventSourceArn",
    "FunctionName",
    "Enabled",
    "Tags",
    "BatchSize",
    "MaximumBatchingWindowInSeconds",
    "FunctionResponseTypes",
    "FilterCriteria",
    "MetricsConfig",
    "ScalingConfig",
    "StartingPosition",
    "StartingPositionTimestamp",
    *queue_admission.STREAM_MEMBERS,
)


def refusals(mapping: Any, pipe: Any) -> Iterator[str]:
    """Yield a line for each problem of a scenario's `eventSourceMapping` and `pipe`; only objects are looked at."""
    if isinstance(mapping, Mapping):
        yield from (f"eventSourceMapping: {problem}" for problem in _of_mapping(mapping))
    if isinstance(pipe, Mapping):
        yield from (f"pipe: {problem}" for problem in _of_pipe(pipe))


def _of_mapping(mapping: Mapping[str, Any]) -> Iterator[str]:
    named = {"EventSourceArn": STREAM_ARN, **mapping}
    try:
        source = source_of(str(named["EventSourceArn"]))
    except UnsupportedSource as unsupported:
        yield from stream_admission.problems(named)
        yield f"EventSourceArn: {unsupported}"
        return
    yield from stream_admission.problems(named) if source.is_stream else _of_queue_mapping(named)


def _of_queue_mapping(mapping: Mapping[str, Any]) -> Iterator[str]:
    given = {"FunctionName": "function", **mapping}
    unfit = [*violations("lambda", "CreateEventSourceMapping", given)]
    yield from unfit
    yield from (f"{name} is not simulated for a queue: leave it out" for name in given if name not in _QUEUE_MEMBERS)
    if not unfit:
        fifo = given["EventSourceArn"].endswith(".fifo")
        yield from queue_admission.mapping_problems({**queue_admission.MAPPING_DEFAULTS, **given}, fifo=fifo)


def _of_pipe(pipe: Mapping[str, Any]) -> Iterator[str]:
    yield from not_simulated(pipe)
    unfit = [*violations("pipes", "CreatePipe", pipe)]
    yield from unfit or map(str, pipe_admission.problems(pipe))
