"""The scenario that `weir simulate` runs, and everything that can be wrong with it (docs/simulate.md)."""

from __future__ import annotations

import difflib
import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, PlainValidator, ValidationError, field_validator
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails, PydanticCustomError

from aws_limits import FUNCTION_TIMEOUT, STREAM_RETENTION_SECONDS
from local.delivery import admission
from local.delivery.records import StreamRecord, item_size
from local.pipes import admission as pipe_admission
from local.pipes.configuration import not_simulated
from local.simulation.run import Feed
from local.simulation.text import RepeatedKey, read

#: What a scenario that names no shard has.
DEFAULT_SHARD = "shardId-00000000000000000001-00000000"
#: Virtual seconds that a scenario without `until` may take.
LONGEST_RUN_SECONDS = 7 * 24 * 60 * 60

STREAM_ARN = "arn:aws:dynamodb:us-east-1:111122223333:table/table/stream/2026-01-01T00:00:00.000"

#: What a scenario can say of time, so that every moment in it is one: years that it starts in, seconds from there.
_FIRST_YEAR, _LAST_YEAR = 1970, 2999
_MOST_SECONDS = 1e9

#: Sequence numbers of records that have none begin here; AWS's have 21 digits and more.
_FIRST_SEQUENCE_NUMBER = 100_000_000_000_000_000_000
_IMAGES = {
    "KEYS_ONLY": (),
    "NEW_IMAGE": ("NewImage",),
    "OLD_IMAGE": ("OldImage",),
    "NEW_AND_OLD_IMAGES": ("NewImage", "OldImage"),
}
_DESCRIPTORS = ("S", "N", "B", "SS", "NS", "BS", "M", "L", "BOOL", "NULL")

#: Of a sequence number, which is compared as an integer: Python does not read longer ones.
_MOST_DIGITS = 4300

Item = dict[str, dict[str, Any]]
T = TypeVar("T")


class InvalidScenario(ValueError):
    """A scenario that cannot be run. One line per problem."""


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, alias_generator=to_camel, allow_inf_nan=False)


class Shard(_Strict):
    """A shard; with a parent, it is not read before that is drained."""

    id: str = Field(min_length=1)
    parent: str | None = None


class Stream(_Strict):
    """The stream that the records are in."""

    view_type: Literal["NEW_AND_OLD_IMAGES", "NEW_IMAGE", "OLD_IMAGE", "KEYS_ONLY"] = "NEW_AND_OLD_IMAGES"
    retention_seconds: int = Field(default=STREAM_RETENTION_SECONDS, ge=1)
    shards: list[Shard] = Field(default=[Shard(id=DEFAULT_SHARD)], min_length=1)


class StreamRecordPart(_Strict):
    """The member `dynamodb` of a record."""

    model_config = ConfigDict(alias_generator=None)

    ApproximateCreationDateTime: Any = None
    Keys: Item | None = None
    NewImage: Item | None = None
    OldImage: Item | None = None
    SequenceNumber: str | None = Field(default=None, pattern=f"^[0-9]{{1,{_MOST_DIGITS}}}$")
    SizeBytes: int | None = Field(default=None, ge=0)
    StreamViewType: str | None = None

    @field_validator("Keys", "NewImage", "OldImage")
    @classmethod
    def _is_an_item(cls, item: Item | None) -> Item | None:
        for name, value in (item or {}).items():
            if len(value) != 1 or next(iter(value)) not in _DESCRIPTORS:
                raise PydanticCustomError(
                    "item", "attribute {name} is not a DynamoDB value such as {S: text}", {"name": repr(name)}
                )
        try:
            item_size(item or {})
        except (ArithmeticError, AttributeError, TypeError, ValueError) as error:
            raise PydanticCustomError("item", "is not a DynamoDB item: a value does not fit its type") from error
        return item


class Record(_Strict):
    """A record as GetRecords shows it, and when; what is missing is made up."""

    shard: str | None = None
    at: float = Field(default=0, ge=-_MOST_SECONDS, le=_MOST_SECONDS)
    visible_at: float | None = Field(default=None, ge=-_MOST_SECONDS, le=_MOST_SECONDS)
    event_name: Literal["INSERT", "MODIFY", "REMOVE"] | None = None
    event_id: str | None = Field(default=None, alias="eventID", min_length=1)
    event_version: str = "1.1"
    event_source: str = "aws:dynamodb"
    aws_region: str | None = None
    event_source_arn: str | None = Field(default=None, alias="eventSourceARN")
    user_identity: dict[str, str] | None = None
    dynamodb: StreamRecordPart = StreamRecordPart()


class When(_Strict):
    """Which invocations a rule applies to; all that is said must hold."""

    contains: list[str] | None = None
    batch: list[str] | None = None
    between: list[float] | None = Field(default=None, min_length=2, max_length=2)

    @field_validator("between")
    @classmethod
    def _is_a_span(cls, between: list[float] | None) -> list[float] | None:
        if between is not None and between[0] > between[1]:
            raise PydanticCustomError("span", "ends before it begins, so that the rule would never apply")
        return between


@dataclass(frozen=True)
class Return:
    """The function returns this."""

    value: Any


@dataclass(frozen=True)
class Report:
    """The function reports these records as failed."""

    identifiers: tuple[str, ...]


def _answer(value: Any) -> str | Return | Report:
    if isinstance(value, str) and value in ("raise", "timeout", "throttle", "succeed"):
        return value
    if isinstance(value, dict) and list(value) == ["return"]:
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise PydanticCustomError("answer", "returns what is no JSON value") from error
        return Return(value["return"])
    if isinstance(value, dict) and list(value) == ["report"] and isinstance(value["report"], list):
        named: list[Any] = value["report"]
        if all(isinstance(each, str) for each in named):
            return Report(tuple(named))
    raise PydanticCustomError(
        "answer", "is none of raise, timeout, throttle, succeed, {return: a value} and {report: [identifiers]}"
    )


class Rule(_Strict):
    """What the function does in some of its invocations."""

    when: When = When()
    times: int | None = Field(default=None, ge=1)
    then: Annotated[str | Return | Report, PlainValidator(_answer)] = "succeed"
    takes: float = Field(default=0, ge=0)


class Function(_Strict):
    """The function's configuration."""

    model_config = ConfigDict(alias_generator=None)

    Timeout: int = Field(default=3, ge=FUNCTION_TIMEOUT.minimum, le=FUNCTION_TIMEOUT.maximum)


class Destination(_Strict):
    """The on-failure destination."""

    fails: bool = False


class Scenario(_Strict):
    """A scenario, checked."""

    version: Literal[1] = 1
    start: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    until: float | None = Field(default=None, ge=0, le=_MOST_SECONDS)
    event_source_mapping: dict[str, Any] | None = None
    pipe: dict[str, Any] | None = None
    function: Function | None = None
    stream: Stream = Stream()
    records: list[Record] = []
    handler: list[Rule] = []
    enrichment: list[Rule] = []
    destination: Destination = Destination()

    @field_validator("start", mode="before")
    @classmethod
    def _is_a_moment(cls, value: Any) -> Any:
        if isinstance(value, str):
            try:
                value = datetime.fromisoformat(value)
            except ValueError as error:
                raise PydanticCustomError("moment", "is no time such as 2026-01-01T00:00:00Z") from error
        if isinstance(value, datetime) and not _FIRST_YEAR <= value.year <= _LAST_YEAR:
            years = {"first": _FIRST_YEAR, "last": _LAST_YEAR}
            raise PydanticCustomError("moment", "is not in the years {first} to {last}", years)
        return value.replace(tzinfo=UTC) if isinstance(value, datetime) and value.tzinfo is None else value

    @property
    def starts_at(self) -> float:
        """In seconds since 1970."""
        return round(self.start.timestamp(), 6)

    @property
    def ends_at(self) -> float:
        """When to stop at the latest, in seconds since 1970."""
        return self.starts_at + (LONGEST_RUN_SECONDS if self.until is None else self.until)

    @property
    def stream_arn(self) -> str:
        """Of the stream that is read."""
        given = (self.pipe or {}).get("Source") or (self.event_source_mapping or {}).get("EventSourceArn")
        return given or STREAM_ARN

    @property
    def function_arn(self) -> str:
        """Of the mapping's function, with its version or alias; beside the stream unless it is given in full."""
        name = (self.event_source_mapping or {}).get("FunctionName", "function")
        if name.startswith("arn:"):
            return name
        if ":function:" in name:
            return f"arn:aws:lambda:{self.stream_arn.split(':')[3]}:{name}"
        return self.beside_stream("lambda", f"function:{name}")

    def beside_stream(self, service: str, resource: str) -> str:
        """The ARN of something in the stream's region and account."""
        _, partition, _, region, account, *_ = self.stream_arn.split(":")
        return f"arn:{partition}:{service}:{region}:{account}:{resource}"

    @property
    def starting_position(self) -> str:
        """Of the mapping or the pipe."""
        if self.pipe is not None:
            return self.pipe["SourceParameters"]["DynamoDBStreamParameters"]["StartingPosition"]
        return (self.event_source_mapping or {})["StartingPosition"]

    def feeds(self) -> list[Feed]:
        """The stream: its shards, each with the records that are read of it."""
        parents = {shard.parent for shard in self.stream.shards}
        of: dict[str, list[tuple[Record, str, int]]] = {shard.id: [] for shard in self.stream.shards}
        for record, number, index in self.numbered():
            of[record.shard or self.stream.shards[0].id].append((record, number, index))
        return [
            Feed(shard.id, self._in_order(of[shard.id]), parent=shard.parent, ends=shard.id in parents)
            for shard in self.stream.shards
        ]

    def identifiers(self) -> dict[str, list[str]]:
        """Identifiers of the records that are read of each shard, in stream order."""
        return {feed.shard_id: [record.identifier for record in feed.rest()] for feed in self.feeds()}

    def numbered(self) -> Iterator[tuple[Record, str, int]]:
        """Each record with its sequence number and its place in the scenario."""
        latest: dict[str, int] = {}
        for index, record in enumerate(self.records):
            shard = record.shard or self.stream.shards[0].id
            given = record.dynamodb.SequenceNumber
            if given is None:
                number = latest[shard] + 1 if shard in latest else _FIRST_SEQUENCE_NUMBER + index
            else:
                number = int(given)
            latest[shard] = number
            yield record, given or str(number), index

    def _in_order(self, numbered: Sequence[tuple[Record, str, int]]) -> Iterator[StreamRecord]:
        visible = -math.inf
        for record, number, index in sorted(numbered, key=lambda each: int(each[1])):
            if record.at < 0 and self.starting_position == "LATEST":
                continue
            shown = self.starts_at + (record.at if record.visible_at is None else record.visible_at)
            # A shard shows its records in order.
            visible = max(visible, round(shown, 6), self.starts_at)
            arrived = math.floor(round(self.starts_at + record.at, 6))
            event = self._event(record, number, index, float(arrived))
            identifier = event["eventID"] if self.pipe is not None else None
            yield StreamRecord(event, arrived=float(arrived), visible=visible, identifier=identifier)

    def _event(self, record: Record, number: str, index: int, arrived: float) -> dict[str, Any]:
        part = record.dynamodb
        keys: Item = part.Keys if part.Keys is not None else {"pk": {"S": f"item-{index + 1}"}}
        images = {
            name: image
            for name, image in (("NewImage", part.NewImage), ("OldImage", part.OldImage))
            if image is not None and name in _IMAGES[self.stream.view_type]
        }
        size = sum(map(item_size, (keys, *images.values()))) if part.SizeBytes is None else part.SizeBytes
        inferred = "INSERT" if part.OldImage is None else "REMOVE" if part.NewImage is None else "MODIFY"
        event: dict[str, Any] = {
            "eventID": record.event_id or f"{index + 1:032x}",
            "eventName": record.event_name or inferred,
            "eventVersion": record.event_version,
            "eventSource": record.event_source,
            "awsRegion": record.aws_region or self.stream_arn.split(":")[3],
            "dynamodb": {
                "ApproximateCreationDateTime": arrived,
                "Keys": keys,
                **images,
                "SequenceNumber": number,
                "SizeBytes": size,
                "StreamViewType": self.stream.view_type,
            },
            "eventSourceARN": self.stream_arn,
        }
        if record.user_identity is not None:
            event["userIdentity"] = {name[0].lower() + name[1:]: value for name, value in record.user_identity.items()}
        return event


_MODELS = (Scenario, Stream, Shard, Record, StreamRecordPart, Rule, When, Function, Destination)


def parse(text: str) -> Scenario:
    """The scenario that a YAML or JSON text describes.

    Raises:
        InvalidScenario: It is neither, or something in it is wrong: every problem has a line.
    """
    try:
        return _parsed(text)
    except RecursionError as error:
        raise InvalidScenario("the scenario is nested too deeply, or a YAML alias stands inside its anchor") from error


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
            document[name] = _without_nulls(document[name])
    try:
        scenario = Scenario.model_validate(document)
    except ValidationError as error:
        # What the services refuse is said in the same go, so that one look is enough.
        refused = [*_refusals(document.get("eventSourceMapping"), document.get("pipe"))]
        raise InvalidScenario("\n".join([*map(_line, error.errors()), *refused])) from error
    found = [*_refusals(scenario.event_source_mapping, scenario.pipe), *_contradictions(scenario)]
    if found:
        raise InvalidScenario("\n".join(found))
    return scenario


def _without_nulls(value: Any) -> Any:
    """Parameters as AWS takes them: a member that is null is as good as missing."""
    if isinstance(value, dict):
        return {name: _without_nulls(content) for name, content in value.items() if content is not None}
    return [_without_nulls(each) for each in value] if isinstance(value, list) else value


def _unreadable(error: Exception) -> str:
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    if mark is None or problem is None:
        return " ".join(str(error).split())
    return f"line {mark.line + 1}, column {mark.column + 1}: {problem}"


#: What is wrong, where pydantic would speak of Python.
_PROBLEMS = {
    "dict_type": "is not an object with members",
    "model_type": "is not an object with members",
    "dataclass_type": "is not an object with members",
    "list_type": "is not a list",
    "string_pattern_mismatch": f"is no sequence number, which has 1 to {_MOST_DIGITS} digits",
    "datetime_type": "is no time such as 2026-01-01T00:00:00Z",
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


def _refusals(mapping: Any, pipe: Any) -> Iterator[str]:
    if isinstance(mapping, Mapping):
        of_made_up_stream = {"EventSourceArn": STREAM_ARN, **mapping}
        yield from (f"eventSourceMapping: {problem}" for problem in admission.problems(of_made_up_stream))
        yield from _arn_problems(mapping)
    if isinstance(pipe, Mapping):
        yield from (f"pipe: {problem}" for problem in (*not_simulated(pipe), *pipe_admission.problems(pipe)))
        if ":dynamodb:" not in str(pipe.get("Source", ":dynamodb:")):
            yield f"pipe: Source={pipe['Source']!r} is no DynamoDB stream, and no other source is simulated"


def _arn_problems(mapping: Mapping[str, Any]) -> Iterator[str]:
    arn = mapping.get("EventSourceArn", STREAM_ARN)
    if isinstance(arn, str) and not re.fullmatch(r"arn:[^:]+:dynamodb:[^:]+:\d{12}:table/[^/]+/stream/.+", arn):
        yield f"eventSourceMapping: EventSourceArn={arn!r} is no DynamoDB stream, and no other source is simulated"


def _contradictions(scenario: Scenario) -> Iterator[str]:
    if (scenario.event_source_mapping is None) == (scenario.pipe is None):
        yield "a scenario has either eventSourceMapping or pipe"
    if scenario.pipe is None and scenario.enrichment:
        yield "enrichment: only a pipe has one"
    if scenario.pipe is not None and scenario.enrichment and "Enrichment" not in scenario.pipe:
        yield "enrichment: the pipe has no Enrichment"
    shards = [shard.id for shard in scenario.stream.shards]
    yield from (f"stream.shards: {shard} is there twice" for shard in _twice(shards))
    for shard in scenario.stream.shards:
        if shard.parent is not None and shard.parent not in shards:
            yield f"stream.shards: {shard.id} has the parent {shard.parent}, which is no shard"
    yield from _cycles(scenario.stream.shards)
    for index, record in enumerate(scenario.records):
        if record.shard is None and len(shards) > 1:
            yield f"records.{index}.shard: the stream has several shards, and the record names none"
        elif record.shard is not None and record.shard not in shards:
            yield f"records.{index}.shard: {record.shard} is no shard of the stream"
    numbers = [(record.shard, int(number)) for record, number, _ in scenario.numbered()]
    yield from (f"records: sequence number {number} is there twice in a shard" for _, number in _twice(numbers))
    ids = [record.event_id or f"{index + 1:032x}" for index, record in enumerate(scenario.records)]
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
