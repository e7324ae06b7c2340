"""`Scenario`: the input of `weir simulate` (docs/simulate.md)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Literal, NamedTuple

from pydantic import Field, PrivateAttr, field_validator
from pydantic_core import PydanticCustomError

from local.engine.pipes.sources import EventSource, as_event, source_of
from local.engine.streams.records import StreamRecord
from local.simulation.aws_refusals import STREAM_ARN
from local.simulation.records import MOST_SECONDS, ScenarioRecord, Strict
from local.simulation.sections import Destination, Function, Queue, Rule, Shard, Stream
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


class Written(NamedTuple):
    """Record or message that a scenario has written.

    Attributes:
        identifier: Its identifier in the report.
        at: Its own time, in seconds from the start.
    """

    identifier: str
    at: float


class Scenario(Strict):
    """Scenario: a source and its records, the settings of its reader, and the behaviour of the function.

    Attributes:
        skipped: A line for everything in its text that was pasted with the settings and records, and is neither.
    """

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
    _skipped: tuple[str, ...] = PrivateAttr(default=())

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
    def skipped(self) -> tuple[str, ...]:
        """Lines about pasted members that were skipped."""
        return self._skipped

    def note_skipped(self, lines: Sequence[str]) -> None:
        """Keep lines about pasted members that were skipped."""
        self._skipped = tuple(lines)

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
        parents = {parent for shard in shards for parent in shard.parent}
        of: dict[str, list[tuple[ScenarioRecord, str, int]]] = {shard.id: [] for shard in shards}
        for record, number, index in self.numbered:
            of[record.shard or shards[0].id].append((record, number, index))
        return [
            Feed(shard.id, self._in_order(of[shard.id], shard.id), parents=shard.parent, ends=shard.id in parents)
            for shard in shards
        ]

    def messages(self) -> list[Kept]:
        """Return the messages that are sent to the queue."""
        fifo = self.source_arn.endswith(".fifo")
        return [record.message(index, starts_at=self.starts_at, fifo=fifo) for index, record in enumerate(self.records)]

    def written(self) -> dict[str, list[Written]]:
        """Return the records that are read of each shard, or the messages of the queue, in order."""
        if not self.source.is_stream:
            sent = sorted(self.messages(), key=lambda message: message.sent_at)
            name = self.source_arn.rpartition(":")[2]
            return {name: [Written(each.message_id, round(each.sent_at - self.starts_at, 6)) for each in sent]}
        return {
            feed.shard_id: [Written(each.identifier, round(each.arrived - self.starts_at, 6)) for each in feed.rest()]
            for feed in self.feeds()
        }

    @cached_property
    def numbered(self) -> list[tuple[ScenarioRecord, str, int]]:
        """Each record with its sequence number and its place in the scenario."""
        numbered: list[tuple[ScenarioRecord, str, int]] = []
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
            numbered.append((record, given or str(number), index))
        return numbered

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
