"""Consequences of one poison record for a mapping under load, found by simulating it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from aws_semantics import retries
from aws_semantics.limits import STREAM_RETENTION_SECONDS
from local.engine.actions import GiveUp, Invoke, Lose
from local.engine.alarms.evaluation import EXTRA_PERIODS, evaluate
from local.engine.alarms.metrics import Datapoint
from local.engine.clock import VirtualClock
from local.engine.outcomes import Failed, Outcome, Succeeded, read_answer
from local.engine.streams.lane import Records
from local.engine.streams.records import StreamRecord
from local.engine.streams.settings import MappingSettings
from local.simulation.report import Identifiers
from local.simulation.stream_run import Feed, Simulation

#: When the poison record is written, so that healthy ones are before it in its batch, in seconds.
_POISON_AT = 60.0
#: Length of the alarm's periods, in seconds.
_PERIOD = 60

Failure = Literal["crash", "report"]


@dataclass(frozen=True, kw_only=True)
class Load:
    """Load of a mapping.

    Attributes:
        rate: Records written per second to one shard.
        duration: Seconds that one invocation takes.
        alarm_age: Iterator age in seconds at which the alarm breaches.
        alarm_periods: Minutes in a row that must breach.
    """

    rate: float
    duration: float
    alarm_age: int
    alarm_periods: int


@dataclass(frozen=True, kw_only=True)
class Consequences:
    """Consequences of one poison record.

    Attributes:
        invocations: Invocations that contained it.
        duplicates: Healthy records that were processed again, each time counted.
        blocked_seconds: From its first invocation until its lane went past it.
        ends_as: What became of it.
        alarm_after_seconds: From its writing until the iterator age alarm fired; `None` when it never did.
        loss_after_seconds: From its writing until a record is lost for good; `None` when none is.
    """

    invocations: int
    duplicates: int
    blocked_seconds: float
    ends_as: Literal["dead letter", "dropped", "lost"]
    alarm_after_seconds: int | None
    loss_after_seconds: float | None


def capacity(settings: MappingSettings, load: Load) -> float:
    """Return the records per second that one shard's lanes can process, with full batches and no failure."""
    if not load.duration:
        return math.inf
    return settings.parallelization_factor * settings.batch_size / load.duration


def behind_after(settings: MappingSettings, load: Load) -> float | None:
    """Return the seconds until records are lost because the mapping is too slow; `None` if it keeps up."""
    able = capacity(settings, load)
    return None if able >= load.rate else STREAM_RETENTION_SECONDS / (1 - able / load.rate)


def retry_horizon(settings: MappingSettings) -> float:
    """Compute the seconds that the waits between the retries of one record take in all."""
    return retries.retry_horizon(settings.maximum_retry_attempts, settings.maximum_record_age).shortest


def poison(settings: MappingSettings, load: Load, failure: Failure) -> Consequences:
    """Simulate one record that never succeeds among healthy ones.

    Args:
        settings: The mapping's settings.
        load: The mapping's load.
        failure: How the function fails: by a crash, which names no record, or by reporting the record.
    """
    settings = replace(settings, retention=STREAM_RETENTION_SECONDS)
    number = math.ceil(_POISON_AT * load.rate)
    watch, identifiers = _Watch(str(number)), Identifiers()

    def function(invoke: Invoke, now: float) -> tuple[Outcome, float]:
        watch.seen(invoke, now)
        identifiers = [record.identifier for record in invoke.records]
        if str(number) not in identifiers:
            return Succeeded(), load.duration
        if failure == "crash" or not settings.report_batch_item_failures:
            return Failed("Unhandled"), load.duration
        return read_answer({"batchItemFailures": [{"itemIdentifier": str(number)}]}, identifiers), load.duration

    simulation = Simulation(
        settings,
        [Feed("shard", _records(load.rate, watch))],
        function,
        sink=watch,
        clock=VirtualClock(0.0),
        until=2.0 * STREAM_RETENTION_SECONDS,
        new_request_id=lambda: str(identifiers.next()),
        record=watch.record,
    )
    simulation.run()
    written = number / load.rate
    blocked = watch.ended_at - watch.first_seen
    alarm = watch.alarm_after(written, load)
    loss = None if watch.ends_as == "dead letter" else watch.ended_at - written
    return Consequences(
        invocations=watch.invocations,
        duplicates=watch.duplicates,
        blocked_seconds=round(blocked, 3),
        ends_as=watch.ends_as,
        alarm_after_seconds=alarm,
        loss_after_seconds=None if loss is None else round(loss, 3),
    )


class _Watch:
    """A sink that counts what concerns the poison record, and lets the stream end when it is over."""

    def __init__(self, poison: str) -> None:
        self._poison = poison
        self.invocations = 0
        self.duplicates = 0
        self.first_seen = 0.0
        self.ended_at = math.inf
        self.ends_as: Literal["dead letter", "dropped", "lost"] = "lost"
        self._delivered: set[str] = set()
        self._ages: list[Datapoint] = []

    @property
    def over(self) -> bool:
        return self.ended_at < math.inf

    def seen(self, invoke: Invoke, now: float) -> None:
        """Count an invocation; healthy records around the poison are duplicates the second time."""
        if self.over:
            return
        identifiers = {record.identifier for record in invoke.records}
        if self._poison in identifiers:
            if not self.invocations:
                self.first_seen = now
            self.invocations += 1
        if self.invocations:
            identifiers.discard(self._poison)
            self.duplicates += len(identifiers & self._delivered)
            self._delivered |= identifiers

    def invoked(self, invoke: Invoke, outcome: Outcome, now: float) -> None:
        """As `Sink.invoked`."""

    def gave_up(self, given_up: GiveUp, delivered: bool | None, now: float) -> None:
        """As `Sink.gave_up`."""
        self._end(given_up.records, "dead letter" if delivered else "dropped", now)

    def lost(self, lose: Lose, now: float) -> None:
        """As `Sink.lost`."""
        self._end(lose.records, "lost", now)

    def filtered_out(self, records: Sequence[StreamRecord]) -> None:
        """As `Sink.filtered_out`."""

    def record(self, name: str, value: float, now: float) -> None:
        """Keep the iterator age."""
        if name == "IteratorAge":
            self._ages.append(Datapoint(now, value))

    def alarm_after(self, written: float, load: Load) -> int | None:
        """Seconds from a moment until the alarm fired, looking once a minute."""
        alarm = {
            "Namespace": "AWS/Lambda",
            "MetricName": "IteratorAge",
            "Period": _PERIOD,
            "EvaluationPeriods": load.alarm_periods,
            "Threshold": load.alarm_age * 1000,
            "ComparisonOperator": "GreaterThanOrEqualToThreshold",
            "Statistic": "Maximum",
            "TreatMissingData": "missing",
        }
        last = self._ages[-1].at if self._ages else 0.0
        for minute in range(1, math.ceil(last / _PERIOD) + 2):
            now = float(minute * _PERIOD)
            first = now - _PERIOD * (load.alarm_periods + EXTRA_PERIODS)
            recent = [each for each in self._ages if first <= each.at < now]
            if evaluate(alarm, lambda _, found=recent: found, now=now)[0] == "ALARM":
                return math.ceil(now - written)
        return None

    def _end(self, records: Records, how: Literal["dead letter", "dropped", "lost"], now: float) -> None:
        if not self.over and any(record.identifier == self._poison for record in records):
            self.ends_as, self.ended_at = how, now


def _records(rate: float, watch: _Watch) -> Iterator[StreamRecord]:
    number = 0
    while not watch.over:
        at = number / rate
        event = {"dynamodb": {"SequenceNumber": str(number), "Keys": {"pk": {"S": str(number)}}, "SizeBytes": 8}}
        yield StreamRecord(event, arrived=float(math.floor(at)), visible=at)
        number += 1
