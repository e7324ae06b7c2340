"""Contradictions between the parts of a scenario."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TypeVar

from local.engine.pipes.sources import SourceKind, UnsupportedSource
from local.engine.pipes.targets import UnsupportedTarget, service_of
from local.engine.queues import admission as queue_admission
from local.engine.streams import admission
from local.simulation.scenario import Scenario
from local.simulation.sections import Function, Shard

T = TypeVar("T")


def contradictions(scenario: Scenario) -> Iterator[str]:
    """Yield a line for each contradiction between the parts of a scenario."""
    if (scenario.event_source_mapping is None) == (scenario.pipe is None):
        yield "a scenario has either eventSourceMapping or pipe"
    if scenario.pipe is None and scenario.enrichment:
        yield "enrichment: only a pipe has one"
    if scenario.pipe is not None and scenario.enrichment and "Enrichment" not in scenario.pipe:
        yield "enrichment: the pipe has no Enrichment"
    if scenario.pipe is not None and scenario.function is not None:
        with contextlib.suppress(UnsupportedTarget):
            kind = service_of(str(scenario.pipe.get("Target", ""))).kind
            if kind != "Lambda function":
                yield f"function: the pipe's target is no function but the {kind} of Target"
    # An unknown source was reported before.
    with contextlib.suppress(UnsupportedSource):
        yield from _of_source(scenario, scenario.source.kind)


def _of_source(scenario: Scenario, kind: SourceKind) -> Iterator[str]:
    for index, record in enumerate(scenario.records):
        yield from (f"records.{index}.{problem}" for problem in record.problems(kind))
    yield from _of_queue(scenario) if kind == "SQS queue" else _of_stream(scenario, kind)


def _of_queue(scenario: Scenario) -> Iterator[str]:
    for section in ("stream", "destination"):
        if section in scenario.model_fields_set:
            yield f"{section}: a queue has none"
    if scenario.pipe is None:
        timeout = (scenario.function or Function()).Timeout
        problem = queue_admission.visibility_problem(scenario.queue.visibility_timeout, timeout)
        if problem is not None:
            yield f"queue.visibilityTimeout: {problem}"
    fifo = scenario.source_arn.endswith(".fifo")
    for index, record in enumerate(scenario.records):
        of = record.attributes
        if fifo and of.MessageGroupId is None:
            yield f"records.{index}.attributes: a message of a FIFO queue has a MessageGroupId"
        if not fifo and (of.MessageGroupId or of.MessageDeduplicationId):
            yield f"records.{index}.attributes: groups and deduplication are those of FIFO queues"
    messages = scenario.messages()
    yield from (f"records: messageId {each} is there twice" for each in _twice([one.message_id for one in messages]))
    for each in _twice([one.deduplication_id for one in messages if one.deduplication_id is not None]):
        yield f"records: MessageDeduplicationId {each} is there twice, and SQS would drop the second message"


def _of_stream(scenario: Scenario, kind: SourceKind) -> Iterator[str]:
    if "queue" in scenario.model_fields_set:
        yield f"queue: a {kind} has none"
    if kind == "Kinesis stream" and "view_type" in scenario.stream.model_fields_set:
        yield "stream.viewType: a Kinesis stream has none"
    timestamp = scenario.given_to_source.get("StartingPositionTimestamp")
    if isinstance(timestamp, int | float) and timestamp > scenario.starts_at:
        yield f"{'eventSourceMapping' if scenario.pipe is None else 'pipe'}: {admission.IN_THE_FUTURE}"
    yield from _of_shards(scenario.shards, kind)
    shards = [shard.id for shard in scenario.shards]
    for index, record in enumerate(scenario.records):
        if record.shard is None and len(shards) > 1:
            yield f"records.{index}.shard: the stream has several shards, and the record names none"
        elif record.shard is not None and record.shard not in shards:
            yield f"records.{index}.shard: {record.shard} is not a shard of the stream"
    numbers = [(record.shard, int(number)) for record, number, _ in scenario.numbered]
    yield from (f"records: sequence number {number} is there twice in a shard" for _, number in _twice(numbers))
    ids = [
        record.event_id or (f"{index + 1:032x}" if kind == "DynamoDB stream" else f"{record.shard}:{number}")
        for record, number, index in scenario.numbered
    ]
    yield from (f"records: eventID {event_id} is there twice" for event_id in _twice(ids))


def _of_shards(shards: Sequence[Shard], kind: SourceKind) -> Iterator[str]:
    names = [shard.id for shard in shards]
    yield from (f"stream.shards: {name} is there twice" for name in _twice(names))
    for shard in shards:
        for parent in shard.parent:
            if parent not in names:
                yield f"stream.shards: {shard.id} has the parent {parent}, which is not a shard of it"
        if kind == "DynamoDB stream" and len(shard.parent) > 1:
            yield f"stream.shards: {shard.id} has two parents, and shards of a DynamoDB stream are not merged"
        yield from (f"stream.shards: {shard.id} has the parent {parent} twice" for parent in _twice(shard.parent))
    parents = {shard.id: shard.parent for shard in shards}
    for shard in shards:
        if shard.id in _ancestors(shard.id, parents):
            yield f"stream.shards: {shard.id} is among its own ancestors"


def _ancestors(shard: str, parents: dict[str, tuple[str, ...]]) -> set[str]:
    found: set[str] = set()
    left = [*parents[shard]]
    while left:
        ancestor = left.pop()
        if ancestor not in found:
            found.add(ancestor)
            left += parents.get(ancestor, ())
    return found


def _twice(values: Sequence[T]) -> Iterator[T]:
    if len(set(values)) < len(values):
        yield from (value for value, count in Counter(values).items() if count > 1)
