"""`topology`: the sources of changes, their readers, and each reader's limits, failure paths and alarms.

Everything is joined by what AWS is given: ARNs of sources and destinations, names in dimensions. So it also works for
programs that use none of Weir's components.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

_MAPPING = "aws:lambda/eventSourceMapping:EventSourceMapping"
_PIPE = "aws:pipes/pipe:Pipe"
_TABLE = "aws:dynamodb/table:Table"
_TOPIC = "aws:sns/topic:Topic"
_KINESIS = "aws:kinesis/stream:Stream"
_DESTINATION = "aws:dynamodb/kinesisStreamingDestination:KinesisStreamingDestination"
_SUBSCRIPTION = "aws:sns/topicSubscription:TopicSubscription"
_QUEUE = "aws:sqs/queue:Queue"
_FUNCTION = "aws:lambda/function:Function"
_ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"


@dataclass(frozen=True)
class Resource:
    """A resource of a stack.

    Attributes:
        type: Type token, e.g. `aws:sqs/queue:Queue`.
        name: The name in the program.
        values: Inputs and outputs, in wire names.
    """

    type: str
    name: str
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Reader:
    """A consumer of a source.

    Attributes:
        name: Name in the program.
        kind: `function`, `pipe` or `stream`: a Kinesis stream that DynamoDB writes to.
        feeds: Names of the sources that it fills: a forwarder's topic, a replicated table's Kinesis stream.
        delivery: Limits and numbers of its batches, retries and concurrency.
        filters: The filters that AWS evaluates, in words; empty for every change.
        failures: The ways of a change that is given up.
        alarms: Its alarms, each with threshold and periods.
    """

    name: str
    kind: str
    feeds: tuple[str, ...] = ()
    delivery: tuple[str, ...] = ()
    filters: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()
    alarms: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source:
    """A stream, topic or queue that is read.

    Attributes:
        name: Name in the program.
        kind: The kind in AWS's words, e.g. `DynamoDB stream`.
        limits: Readers it serves, retention, archive.
        readers: Its readers, by name.
    """

    name: str
    kind: str
    limits: tuple[str, ...]
    readers: tuple[Reader, ...]


def ways_to(names: Collection[str], sources: Sequence[Source]) -> list[Source]:
    """Leave of a topology the readers of these names, and those that bring them their changes.

    Args:
        names: Names of readers.
        sources: The whole topology.

    Raises:
        LookupError: There is no reader of a name.
    """
    known = {reader.name: reader for source in sources for reader in source.readers}
    if unknown := sorted(set(names) - set(known)):
        raise LookupError(f"there is no consumer or pipe {unknown[0]!r}: there are {', '.join(sorted(known))}")
    wanted = set(names)
    while True:
        read = {source.name for source in sources for reader in source.readers if reader.name in wanted}
        feeding = {name for name, reader in known.items() if read & set(reader.feeds)}
        if feeding <= wanted:
            break
        wanted |= feeding
    kept = (
        replace(source, readers=tuple(each for each in source.readers if each.name in wanted)) for source in sources
    )
    return [source for source in kept if source.readers]


def topology(resources: Iterable[Resource]) -> list[Source]:
    """Find the sources of a stack that something reads, tables' streams first.

    Args:
        resources: The stack's resources.
    """
    return list(_Stack(list(resources)).sources())


class _Stack:
    def __init__(self, resources: list[Resource]) -> None:
        self._resources = resources
        self._by_arn = {
            str(each.values[name]): each for each in resources for name in ("streamArn", "arn") if each.values.get(name)
        }

    def sources(self) -> Iterator[Source]:
        found: dict[tuple[str, str, tuple[str, ...]], list[Reader]] = {}
        for source, reader in self._reads():
            found.setdefault(source, []).append(reader)
        order = ["DynamoDB stream", "SNS FIFO topic", "Kinesis stream"]
        for (name, kind, limits), readers in sorted(
            found.items(), key=lambda each: (order.index(each[0][1]) if each[0][1] in order else len(order), each[0])
        ):
            yield Source(name, kind, limits, tuple(sorted(readers, key=lambda each: _by_number(each.name))))

    def _all(self, type_: str) -> Iterator[Resource]:
        return (each for each in self._resources if each.type == type_)

    def _reads(self) -> Iterator[tuple[tuple[str, str, tuple[str, ...]], Reader]]:
        for mapping in self._all(_MAPPING):
            yield self._source(mapping.values.get("eventSourceArn")), self._mapping(mapping)
        for pipe in self._all(_PIPE):
            yield self._source(pipe.values.get("source")), self._pipe(pipe)
        for each in self._all(_DESTINATION):
            stream = self._by_arn.get(str(each.values.get("streamArn")))
            table = next((t for t in self._all(_TABLE) if t.values.get("name") == each.values.get("tableName")), None)
            name = stream.name if stream else each.name
            limits = ("one Kinesis stream", "apart from the two readers of its stream")
            source = (table.name if table else str(each.values.get("tableName")), "DynamoDB table", limits)
            yield source, Reader(name, "stream", (name,), alarms=self._alarms(str(each.values.get("tableName"))))

    def _source(self, arn: Any) -> tuple[str, str, tuple[str, ...]]:
        """Name the source behind an ARN; a queue that a topic fills stands for the topic."""
        resource = self._by_arn.get(str(arn))
        if resource is None:
            return _last(str(arn)), _kind_of(str(arn)), ()
        values = resource.values
        if resource.type == _TABLE:
            return resource.name, "DynamoDB stream", (str(values.get("streamViewType")), "24 h", "two readers")
        if resource.type == _KINESIS:
            return resource.name, "Kinesis stream", (f"{values.get('retentionPeriod', 24)} h", "5 shared readers")
        for subscription in self._all(_SUBSCRIPTION):
            topic = self._by_arn.get(str(subscription.values.get("topic")))
            if subscription.values.get("endpoint") == arn and topic is not None and topic.type == _TOPIC:
                return topic.name, "SNS FIFO topic" if topic.values.get("fifoTopic") else "SNS topic", _topic(topic)
        return resource.name, _kind_of(str(arn)), ()

    def _mapping(self, mapping: Resource) -> Reader:
        values = mapping.values
        function = self._by_arn.get(str(values.get("functionName"))) or self._function_named(values.get("functionName"))
        variables = _at(function.values, "environment", "variables") if function else {}
        queue = self._by_arn.get(str(values.get("eventSourceArn")))
        names = [function.values.get("name") if function else None, values.get("uuid")]
        failures = list(self._to("given up", _at(values, "destinationConfig", "onFailure", "destinationArn")))
        attempts = variables.get("QUEUE_ATTEMPTS")
        if attempts:
            failures += self._to(f"parked after {attempts} attempts", variables.get("FAILURE_DESTINATION"))
        if queue is not None and queue.type == _QUEUE:
            failures += self._queue_failures(queue)
            names += self._queue_names(queue)
        feeds = tuple(
            found.name for each in variables.values() if (found := self._by_arn.get(str(each))) and found.type == _TOPIC
        )
        numbers = [*_numbers(values, _MAPPING_NUMBERS)]
        if function and function.values.get("timeout"):
            numbers.append(f"time-out {int(function.values['timeout'])} s")
        name = mapping.name
        return Reader(name, "function", feeds, tuple(numbers), _filters(values), tuple(failures), self._alarms(*names))

    def _pipe(self, pipe: Resource) -> Reader:
        parameters = _at(pipe.values, "sourceParameters")
        stream = _at(parameters, "dynamodbStreamParameters") or _at(parameters, "kinesisStreamParameters")
        queue = self._by_arn.get(str(pipe.values.get("source")))
        failures = list(self._to("given up", _at(stream, "deadLetterConfig", "arn")))
        names = [pipe.values.get("name")]
        if queue is not None and queue.type == _QUEUE:
            failures += self._queue_failures(queue)
            names += self._queue_names(queue)
        numbers = [*_numbers(stream or _at(parameters, "sqsQueueParameters"), _MAPPING_NUMBERS)]
        target = str(pipe.values.get("target", ""))
        found = self._by_arn.get(target)
        numbers.append(f"to {_kind_of(target)} {found.name if found else _last(target)}")
        return Reader(
            pipe.name, "pipe", (), tuple(numbers), _filters(parameters), tuple(failures), self._alarms(*names)
        )

    def _function_named(self, name: Any) -> Resource | None:
        return next((each for each in self._all(_FUNCTION) if each.values.get("name") == name), None)

    def _to(self, why: str, arn: Any) -> Iterator[str]:
        if arn:
            found = self._by_arn.get(str(arn))
            yield f"{why}: {_kind_of(str(arn))} {found.name if found else _last(str(arn))}"

    def _queue_failures(self, queue: Resource) -> Iterator[str]:
        redrive = _json(queue.values.get("redrivePolicy"))
        if redrive:
            yield from self._to(f"after {redrive.get('maxReceiveCount')} receives", redrive.get("deadLetterTargetArn"))
        for arn in self._undelivered(queue):
            yield from self._to("not delivered by the topic", arn)

    def _undelivered(self, queue: Resource) -> Iterator[str]:
        for each in self._all(_SUBSCRIPTION):
            if each.values.get("endpoint") == queue.values.get("arn"):
                yield from filter(None, [_json(each.values.get("redrivePolicy")).get("deadLetterTargetArn")])

    def _queue_names(self, queue: Resource) -> Iterator[Any]:
        yield queue.values.get("name")
        redrive = _json(queue.values.get("redrivePolicy")).get("deadLetterTargetArn")
        for arn in filter(None, [redrive, *self._undelivered(queue)]):
            yield _last(arn)

    def _alarms(self, *names: Any) -> tuple[str, ...]:
        wanted = {str(each) for each in names if each}
        return tuple(
            f"{each.name}: {_unit(each.values)}, "
            f"{int(each.values.get('evaluationPeriods', 1))} x {int(each.values.get('period', 60))} s"
            for each in sorted(self._all(_ALARM), key=lambda alarm: alarm.name)
            if wanted & {str(value) for value in _at(each.values, "dimensions").values()}
        )


#: Settings by their wire names, in the words of a picture; `{}` is the value.
_MAPPING_NUMBERS: Mapping[str, str] = {
    "batchSize": "batch {}",
    "maximumBatchingWindowInSeconds": "window {} s",
    "parallelizationFactor": "parallel {}",
    "maximumRetryAttempts": "retries {}",
    "maximumRecordAgeInSeconds": "age {} s",
    "tumblingWindowInSeconds": "tumbling window {} s",
    "maximumConcurrency": "concurrency {}",
}


def _numbers(values: Mapping[str, Any], words: Mapping[str, str]) -> Iterator[str]:
    values = {**values, **_at(values, "scalingConfig")}
    for name, text in words.items():
        number = values.get(name)
        if number is not None:
            yield text.format("unlimited" if int(number) == -1 else int(number))
    if values.get("bisectBatchOnFunctionError") or values.get("onPartialBatchItemFailure"):
        yield "bisect"


def _topic(topic: Resource) -> tuple[str, ...]:
    days = _json(topic.values.get("archivePolicy")).get("MessageRetentionPeriod")
    return ("100 consumers", f"archive {days} days" if days else "no archive")


def _filters(values: Mapping[str, Any]) -> tuple[str, ...]:
    filters = _at(values, "filterCriteria").get("filters") or []
    return tuple(in_words(_json(each.get("pattern"))) for each in filters)


def in_words(pattern: Mapping[str, Any]) -> str:
    """Write an event pattern as a line.

    Example:
        >>> in_words({"eventName": ["MODIFY"], "dynamodb": {"NewImage": {"plan": {"S": ["pro"]}}}})
        'eventName: MODIFY; NewImage.plan: pro'
    """
    return "; ".join(f"{path}: {values}" for path, values in _leaves(pattern, ())) or "everything"


def _leaves(pattern: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for name, member in pattern.items():
        if isinstance(member, Mapping):
            yield from _leaves(member, (*path, name))
        else:
            at = [each for each in (*path, name) if each not in _PLUMBING]
            yield ".".join(at), ", ".join(each if isinstance(each, str) else _words(each) for each in member)


def _words(test: Any) -> str:
    match test:
        case {"exists": False}:
            return "absent"
        case {"exists": True}:
            return "present"
        case _:
            return json.dumps(test)


#: Parts of a path that say nothing of the item: envelopes and type descriptors.
_PLUMBING = frozenset({"body", "data", "dynamodb", "S", "N", "B", "BOOL", "NULL", "L", "M", "SS", "NS", "BS"})


def _at(values: Mapping[str, Any], *path: str) -> Any:
    """Return a nested value, or an empty mapping; a block may be a list of one."""
    found: Any = values
    for name in path:
        if isinstance(found, list):
            found = found[0] if found else {}
        found = found.get(name) if isinstance(found, Mapping) else None
    if isinstance(found, list) and found and isinstance(found[0], Mapping):
        found = found[0]
    return {} if found is None else found


def _json(text: Any) -> Mapping[str, Any]:
    try:
        found = json.loads(text) if isinstance(text, str) else text
    except ValueError:
        found = None
    return found if isinstance(found, Mapping) else {}


def _by_number(name: str) -> list[tuple[int, str]]:
    """Return a key that sorts consumer-2 before consumer-10.

    >>> sorted(["consumer-10", "consumer-2", "audit"], key=_by_number)
    ['audit', 'consumer-2', 'consumer-10']
    """
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"([0-9]+)", name)]


def _last(arn: str) -> str:
    return arn.rpartition(":")[2].rpartition("/")[2] or arn


def _kind_of(arn: str) -> str:
    service = arn.split(":")[2] if arn.startswith("arn:") else ""
    if service == "dynamodb":
        return "DynamoDB stream"
    return {"sqs": "SQS", "s3": "S3", "sns": "SNS", "kinesis": "Kinesis stream", "events": "EventBridge"}.get(
        service, {"states": "Step Functions", "lambda": "Lambda"}.get(service, service or "unknown")
    )


def _unit(alarm: Mapping[str, Any]) -> str:
    threshold, metric = int(alarm.get("threshold", 0)), str(alarm.get("metricName"))
    if metric == "IteratorAge":
        return f"{threshold // 1000} s"
    return f"{threshold} s" if "Age" in metric else str(threshold)
