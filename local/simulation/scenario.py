"""`Scenario`: the input of `weir simulate`, and everything that can be wrong with it (docs/simulate.md)."""

from __future__ import annotations

import contextlib
import difflib
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar

import yaml
from pydantic import Field, ValidationError, field_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from local.engine.pipes.sources import EventSource, SourceKind, UnsupportedSource, as_event, source_of
from local.engine.queues import admission as queue_admission
from local.engine.streams import admission
from local.engine.streams.records import StreamRecord
from local.simulation.aws_refusals import STREAM_ARN, refusals
from local.simulation.records import (
    MOST_DIGITS,
    MOST_SECONDS,
    Attributes,
    KinesisPart,
    MessageAttribute,
    ScenarioRecord,
    StreamRecordPart,
    Strict,
)
from local.simulation.scenario_text import RepeatedKey, read
from local.simulation.sections import Destination, Function, Queue, Rule, Shard, Stream, When
from local.simulation.stream_run import Feed
from local.simulation.virtual_queue import Kept

#: The only shard of a stream whose shards are not named.
_DEFAULT_SHARDS = {
    "DynamoDB stream": "shardId-00000000000000000001-00000000",
    "Kinesis stream": "shardId-000000000000",
}
#: Virtual seconds that a scenario without `until` may take.
LONGEST_RUN_SECONDS = 7 * 24 * 60 * 60

#: Years in which a scenario can start: every time in it stays a valid date.
_FIRST_YEAR, _LAST_YEAR = 1970, 2999

#: Sequence numbers of records that have none begin here; those of DynamoDB have 21 digits and more.
_FIRST_SEQUENCE_NUMBERS = {"DynamoDB stream": 10**20, "Kinesis stream": 496 * 10**53}
T = TypeVar("T")


class InvalidScenario(ValueError):
    """Scenario that cannot be run. The message has one line per problem."""


class Scenario(Strict):
    """Scenario that was checked."""

    version: Literal[1] = 1
    start: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    until: float | None = Field(default=None, ge=0, le=MOST_SECONDS)
    event_source_mapping: dict[str, Any] | None = None
    pipe: dict[str, Any] | None = None
    function: Function | None = None
    stream: Stream = Stream()
    queue: Queue = Queue()
    records: list[ScenarioRecord] = Field(default=[])
    handler: list[Rule] = Field(default=[])
    enrichment: list[Rule] = Field(default=[])
    destination: Destination = Destination()

    @field_validator("start", mode="before")
    @classmethod
    def _is_a_moment(cls, value: Any) -> Any:
        if isinstance(value, str):
            try:
                value = datetime.fromisoformat(value)
            except ValueError as error:
                raise PydanticCustomError("moment", "is not a time; write one like 2026-01-01T00:00:00Z") from error
        if isinstance(value, datetime) and not _FIRST_YEAR <= value.year <= _LAST_YEAR:
            years = {"first": _FIRST_YEAR, "last": _LAST_YEAR}
            raise PydanticCustomError("moment", "is not in the years {first} to {last}", years)
        return value.replace(tzinfo=UTC) if isinstance(value, datetime) and value.tzinfo is None else value

    @property
    def starts_at(self) -> float:
        """The start, in seconds since 1970."""
        return round(self.start.timestamp(), 6)

    @property
    def ends_at(self) -> float:
        """The end of the run at the latest, in seconds since 1970."""
        return self.starts_at + (LONGEST_RUN_SECONDS if self.until is None else self.until)

    @property
    def source_arn(self) -> str:
        """The ARN of the stream or queue."""
        given = (self.pipe or {}).get("Source") or (self.event_source_mapping or {}).get("EventSourceArn")
        return given or STREAM_ARN

    @property
    def source(self) -> EventSource:
        """The kind of its source."""
        return source_of(str(self.source_arn))

    @property
    def given_to_source(self) -> Mapping[str, Any]:
        """The settings of its reader, by AWS's names."""
        return (self.event_source_mapping or {}) if self.pipe is None else self.source.given(self.pipe)

    @property
    def shards(self) -> list[Shard]:
        """The shards of the stream."""
        return self.stream.shards or [Shard(id=_DEFAULT_SHARDS[self.source.kind])]

    @property
    def function_arn(self) -> str:
        """The ARN of the mapping's function, by default in the source's region and account."""
        name = (self.event_source_mapping or {}).get("FunctionName", "function")
        if name.startswith("arn:"):
            return name
        if ":function:" in name:
            return f"arn:aws:lambda:{self.source_arn.split(':')[3]}:{name}"
        return self.beside_source("lambda", f"function:{name}")

    def beside_source(self, service: str, resource: str) -> str:
        """Return an ARN in the source's region and account."""
        _, partition, _, region, account, *_ = self.source_arn.split(":")
        return f"arn:{partition}:{service}:{region}:{account}:{resource}"

    @property
    def starts_reading_at(self) -> float:
        """The time of the first records that are read, in seconds since 1970."""
        match self.given_to_source["StartingPosition"]:
            case "LATEST":
                return self.starts_at
            case "AT_TIMESTAMP":
                return self.given_to_source["StartingPositionTimestamp"]
            case _:
                return -math.inf

    def feeds(self) -> list[Feed]:
        """Return the shards of the stream, each with the records that are read."""
        shards = self.shards
        parents = {shard.parent for shard in shards}
        of: dict[str, list[tuple[ScenarioRecord, str, int]]] = {shard.id: [] for shard in shards}
        for record, number, index in self.numbered():
            of[record.shard or shards[0].id].append((record, number, index))
        return [
            Feed(shard.id, self._in_order(of[shard.id], shard.id), parent=shard.parent, ends=shard.id in parents)
            for shard in shards
        ]

    def messages(self) -> list[Kept]:
        """Return the messages that are sent to the queue."""
        fifo = self.source_arn.endswith(".fifo")
        return [record.message(index, starts_at=self.starts_at, fifo=fifo) for index, record in enumerate(self.records)]

    def identifiers(self) -> dict[str, list[str]]:
        """Return the identifiers of the records that are read of each shard, or of a queue's messages, in order."""
        if not self.source.is_stream:
            sent = sorted(self.messages(), key=lambda message: message.sent_at)
            return {self.source_arn.rpartition(":")[2]: [message.message_id for message in sent]}
        return {feed.shard_id: [record.identifier for record in feed.rest()] for feed in self.feeds()}

    def numbered(self) -> Iterator[tuple[ScenarioRecord, str, int]]:
        """Yield each record with its sequence number and its place in the scenario."""
        latest: dict[str, int] = {}
        kind, first_shard = self.source.kind, self.shards[0].id
        for index, record in enumerate(self.records):
            shard = record.shard or first_shard
            given = record.sequence_number(kind)
            if given is None:
                number = latest[shard] + 1 if shard in latest else _FIRST_SEQUENCE_NUMBERS[kind] + index
            else:
                number = int(given)
            latest[shard] = number
            yield record, given or str(number), index

    def _in_order(self, numbered: Sequence[tuple[ScenarioRecord, str, int]], shard_id: str) -> Iterator[StreamRecord]:
        kind, stream_arn, begins = self.source.kind, self.source_arn, self.starts_reading_at
        role_arn = (self.pipe or {}).get("RoleArn") or self.beside_source("iam", "role/function")
        visible = -math.inf
        for record, number, index in sorted(numbered, key=lambda each: int(each[1])):
            written = round(self.starts_at + record.at, 6)
            if written < begins:
                continue
            shown = self.starts_at + (record.at if record.visible_at is None else record.visible_at)
            # A shard shows its records in order.
            visible = max(visible, round(shown, 6), self.starts_at)
            if kind == "Kinesis stream":
                arrived = math.floor(written * 1000) / 1000
                event = record.kinesis_event(
                    number, index, arrived=arrived, stream_arn=stream_arn, shard_id=shard_id, role_arn=role_arn
                )
            else:
                arrived = float(math.floor(written))
                event = record.dynamodb_event(
                    number, index, arrived=arrived, stream_arn=stream_arn, view_type=self.stream.view_type
                )
            made = StreamRecord(event, arrived=arrived, visible=visible, sequence=number)
            yield made if self.pipe is None else as_event(made)


_MODELS = (
    *(Scenario, Stream, Shard, Queue, Rule, When, Function, Destination),
    *(ScenarioRecord, StreamRecordPart, KinesisPart, MessageAttribute, Attributes),
)


def parse(text: str) -> Scenario:
    """Read and check the scenario in a YAML or JSON text.

    Raises:
        InvalidScenario: The text is neither, or something in it is wrong: every problem has a line.
    """
    try:
        return _parsed(text)
    except RecursionError as error:
        raise InvalidScenario("the scenario is nested too deeply") from error


def _parsed(text: str) -> Scenario:
    try:
        document = read(text)
    except RepeatedKey as error:
        raise InvalidScenario(str(error)) from error
    except (ValueError, yaml.YAMLError) as error:
        raise InvalidScenario(f"the scenario is neither YAML nor JSON: {_unreadable(error)}") from error
    if not isinstance(document, dict):
        raise InvalidScenario("the scenario is not an object with members such as eventSourceMapping and records")
    for name in ("eventSourceMapping", "pipe"):
        if name in document:
            document[name] = _as_aws_takes(document[name])
    try:
        scenario = Scenario.model_validate(document)
    except ValidationError as error:
        # Report what AWS refuses at the same time, so that one look is enough.
        refused = [*refusals(document.get("eventSourceMapping"), document.get("pipe"))]
        raise InvalidScenario("\n".join([*map(_line, error.errors()), *refused])) from error
    found = [*refusals(scenario.event_source_mapping, scenario.pipe), *_contradictions(scenario)]
    if found:
        raise InvalidScenario("\n".join(found))
    return scenario


def _as_aws_takes(value: Any) -> Any:
    """Return parameters as AWS takes them: members that are null are missing, and times are seconds since 1970."""
    if isinstance(value, dict):
        taken = {name: _as_aws_takes(content) for name, content in value.items() if content is not None}
        moment = taken.get("StartingPositionTimestamp")
        if isinstance(moment, str):
            with contextlib.suppress(ValueError):
                at = datetime.fromisoformat(moment)
                taken["StartingPositionTimestamp"] = (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
        return taken
    return [_as_aws_takes(each) for each in value] if isinstance(value, list) else value


def _unreadable(error: Exception) -> str:
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    if mark is None or problem is None:
        return " ".join(str(error).split())
    return f"line {mark.line + 1}, column {mark.column + 1}: {problem}"


#: Our words where pydantic's name types of Python.
_PROBLEMS = {
    "dict_type": "is not an object with members",
    "model_type": "is not an object with members",
    "dataclass_type": "is not an object with members",
    "list_type": "is not a list",
    "string_pattern_mismatch": f"is not a sequence number, which has 1 to {MOST_DIGITS} digits",
    "datetime_type": "is not a time; write one like 2026-01-01T00:00:00Z",
}


def _line(error: ErrorDetails) -> str:
    *way, last = error["loc"]
    problem = _PROBLEMS.get(error["type"], error["msg"])
    if error["type"] == "extra_forbidden":
        known = {field.alias or name for model in _MODELS for name, field in model.model_fields.items()}
        meant = difflib.get_close_matches(str(last), known, n=1, cutoff=0.75)
        problem = "unknown key" + (f", did you mean {meant[0]}?" if meant else "")
    elif error["type"] == "string_type" and isinstance(error["input"], int):
        problem = "is a number, and a text is wanted: put it in quotes"
    return ".".join(map(str, (*way, last))) + f": {problem[0].lower()}{problem[1:]}"


def _contradictions(scenario: Scenario) -> Iterator[str]:
    if (scenario.event_source_mapping is None) == (scenario.pipe is None):
        yield "a scenario has either eventSourceMapping or pipe"
    if scenario.pipe is None and scenario.enrichment:
        yield "enrichment: only a pipe has one"
    if scenario.pipe is not None and scenario.enrichment and "Enrichment" not in scenario.pipe:
        yield "enrichment: the pipe has no Enrichment"
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
    shards = [shard.id for shard in scenario.shards]
    yield from (f"stream.shards: {shard} is there twice" for shard in _twice(shards))
    for shard in scenario.shards:
        if shard.parent is not None and shard.parent not in shards:
            yield f"stream.shards: {shard.id} has the parent {shard.parent}, which is not a shard of it"
    yield from _cycles(scenario.shards)
    for index, record in enumerate(scenario.records):
        if record.shard is None and len(shards) > 1:
            yield f"records.{index}.shard: the stream has several shards, and the record names none"
        elif record.shard is not None and record.shard not in shards:
            yield f"records.{index}.shard: {record.shard} is not a shard of the stream"
    numbers = [(record.shard, int(number)) for record, number, _ in scenario.numbered()]
    yield from (f"records: sequence number {number} is there twice in a shard" for _, number in _twice(numbers))
    ids = [
        record.event_id or (f"{index + 1:032x}" if kind == "DynamoDB stream" else f"{record.shard}:{number}")
        for record, number, index in scenario.numbered()
    ]
    yield from (f"records: eventID {event_id} is there twice" for event_id in _twice(ids))


def _cycles(shards: Sequence[Shard]) -> Iterator[str]:
    parents = {shard.id: shard.parent for shard in shards}
    for shard in shards:
        seen: set[str] = set()
        at: str | None = shard.id
        while at is not None and at not in seen:
            seen.add(at)
            at = parents.get(at)
        if at == shard.id:
            yield f"stream.shards: {shard.id} is among its own ancestors"


def _twice(values: Sequence[T]) -> Iterator[T]:
    return (value for value, count in Counter(values).items() if count > 1)
