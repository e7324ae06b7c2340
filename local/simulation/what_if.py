"""Consequences of one poison record for a mapping under load.

The poison record's batch is simulated, with as many records behind it as the batch can hold. The records that pile up
behind the batch meet one blocked lane and then a working one, so their ages are computed from rate and capacity: a
simulation of them would take as long as they are many. Lanes of a shard do not wait for each other, and only the poison
record's own is looked at, with its share of the rate.
"""

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

#: When the poison record is written, in seconds; healthy ones are written before it.
_POISON_AT = 60.0
#: Healthy records before the poison at most: enough for the rhythm of batches that they would have found.
_MOST_BEFORE = 20_000
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
        healthy_given_up: Healthy records that were given up or lost with it or behind it.
        blocked_seconds: From its first invocation until its lane went past it.
        ends_as: What became of it.
        alarm_after_seconds: From its writing until the iterator age alarm fired; `None` when it never did.
        loss_after_seconds: From its writing until a record is lost for good; `None` when none is.
    """

    invocations: int
    duplicates: int
    healthy_given_up: int
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
    """Find the consequences of one record that never succeeds among healthy ones.

    Args:
        settings: The mapping's settings.
        load: The mapping's load.
        failure: How the function fails: by a crash, which names no record, or by reporting the record.
    """
    rate = load.rate / settings.parallelization_factor
    of_lane = replace(settings, parallelization_factor=1, retention=STREAM_RETENTION_SECONDS)
    before = min(math.ceil(_POISON_AT * rate), _MOST_BEFORE)
    written = _Written(rate, poison=before, count=before + of_lane.batch_size + 1)
    watch, identifiers = _Watch(str(before)), Identifiers()

    def function(invoke: Invoke, now: float) -> tuple[Outcome, float]:
        holds_poison = watch.seen(invoke, now)
        if not holds_poison:
            return Succeeded(), load.duration
        if failure == "crash" or not settings.report_batch_item_failures:
            return Failed("Unhandled"), load.duration
        answer = {"batchItemFailures": [{"itemIdentifier": str(before)}]}
        return read_answer(answer, [record.identifier for record in invoke.records]), load.duration

    Simulation(
        of_lane,
        [Feed("shard", written.records())],
        function,
        sink=watch,
        clock=VirtualClock(max(0.0, written.at(0))),
        until=2.0 * STREAM_RETENTION_SECONDS,
        new_request_id=lambda: str(identifiers.next()),
        record=watch.record,
    ).run()
    backlog = _Backlog(of_lane, rate, load.duration, since=written.at(watch.last_of_batch + 1), ends=watch.ended_at)
    alarm = _alarm_after([*watch.ages, *backlog.ages()], _POISON_AT, load)
    loss = None if watch.ends_as == "dead letter" else watch.ended_at - _POISON_AT
    return Consequences(
        invocations=watch.invocations,
        duplicates=watch.duplicates,
        healthy_given_up=watch.healthy_given_up + backlog.too_old(),
        blocked_seconds=round(watch.ended_at - watch.first_seen, 3),
        ends_as=watch.ends_as,
        alarm_after_seconds=alarm,
        loss_after_seconds=None if loss is None else round(loss, 3),
    )


class _Written:
    """Records that are written at a constant rate, the poison one at `_POISON_AT`.

    Args:
        rate: Records per second.
        poison: The number of the poison record.
        count: How many there are.
    """

    def __init__(self, rate: float, *, poison: int, count: int) -> None:
        self._rate = rate
        self._poison = poison
        self._count = count

    def at(self, number: int) -> float:
        """Return when a record is written."""
        return _POISON_AT + (number - self._poison) / self._rate

    def records(self) -> Iterator[StreamRecord]:
        """Yield the records in order."""
        for number in range(self._count):
            at = self.at(number)
            event = {"dynamodb": {"SequenceNumber": str(number), "Keys": {"pk": {"S": str(number)}}, "SizeBytes": 8}}
            yield StreamRecord(event, arrived=float(math.floor(at)), visible=at)


@dataclass(frozen=True)
class _Backlog:
    """Records that have piled up behind the poison record's batch when the lane moves on.

    Attributes:
        settings: The lane's settings.
        rate: Records written per second.
        duration: Seconds of an invocation.
        since: When the first of them was written.
        ends: When the lane moves on.
    """

    settings: MappingSettings
    rate: float
    duration: float
    since: float
    ends: float

    def too_old(self) -> int:
        """Return how many of them are given up or lost at once because of their age."""
        age = self.settings.maximum_record_age
        limit = STREAM_RETENTION_SECONDS if age == -1 else min(age, STREAM_RETENTION_SECONDS)
        # A record's own time is in whole seconds.
        until = math.floor(self.ends - limit) + 1
        return max(0, math.ceil(self.rate * (until - self.since)))

    def ages(self) -> Iterator[Datapoint]:
        """Yield the iterator age, in milliseconds, when the lane moves on and at each minute until it has caught up.

        A batch's age is that of its last record. Each second of full batches leaves as many records behind as are
        written in `gain` seconds.
        """
        first = self.since + self.too_old() / self.rate
        gain = math.inf if not self.duration else self.settings.batch_size / self.duration / self.rate
        full = (self.settings.batch_size - 1) / self.rate
        now = self.ends
        while now < self.ends + STREAM_RETENTION_SECONDS:
            position = first + full + (0.0 if now == self.ends else gain * (now - self.ends))
            if position >= now:
                return
            yield Datapoint(now, (now - position) * 1000)
            now = (now // _PERIOD + 1) * _PERIOD


class _Watch:
    """Sink that counts everything that concerns the poison record and its batch."""

    def __init__(self, poison: str) -> None:
        self._poison = poison
        self.invocations = 0
        self.duplicates = 0
        self.healthy_given_up = 0
        #: Number of the last record in the batch that held it first.
        self.last_of_batch = int(poison)
        self.first_seen = 0.0
        self.ended_at = math.inf
        self.ends_as: Literal["dead letter", "dropped", "lost"] = "lost"
        self.ages: list[Datapoint] = []

    def seen(self, invoke: Invoke, now: float) -> bool:
        """Count an invocation, and return whether it holds the poison record.

        Until it is over, its lane invokes with parts of its first batch alone: each of them is a repetition.
        """
        first, last = int(invoke.records[0].identifier), int(invoke.records[-1].identifier)
        holds_poison = first <= int(self._poison) <= last
        if self.ended_at < math.inf or not (holds_poison or self.invocations):
            return holds_poison
        if self.invocations:
            self.duplicates += len(invoke.records) - holds_poison
        elif holds_poison:
            self.first_seen, self.last_of_batch = now, last
        self.invocations += holds_poison
        return holds_poison

    def invoked(self, invoke: Invoke, outcome: Outcome, now: float) -> None:
        """Ignore an invocation: the function has seen it."""

    def gave_up(self, given_up: GiveUp, delivered: bool | None, now: float) -> None:
        """Count records that were given up."""
        self._end(given_up.records, "dead letter" if delivered else "dropped", now)

    def lost(self, lose: Lose, now: float) -> None:
        """Count records that the stream has forgotten."""
        self._end(lose.records, "lost", now)

    def filtered_out(self, records: Sequence[StreamRecord]) -> None:
        """Ignore records that no filter matched: the mapping has no filters."""

    def record(self, name: str, value: float, now: float) -> None:
        """Keep the iterator age until the poison record is over."""
        if name == "IteratorAge" and self.ended_at == math.inf:
            self.ages.append(Datapoint(now, value))

    def _end(self, records: Records, how: Literal["dead letter", "dropped", "lost"], now: float) -> None:
        holds_poison = any(record.identifier == self._poison for record in records)
        # Those behind its batch belong to the backlog.
        self.healthy_given_up += sum(int(record.identifier) <= self.last_of_batch for record in records) - holds_poison
        if holds_poison:
            self.ends_as, self.ended_at = how, now


def _alarm_after(ages: Sequence[Datapoint], written: float, load: Load) -> int | None:
    """Return the seconds from a moment until the iterator age alarm fires, looking once a minute; `None`: never."""
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
    highest: dict[int, Datapoint] = {}
    for age in ages:
        minute = int(age.at // _PERIOD)
        if minute not in highest or age.value > highest[minute].value:
            highest[minute] = age
    evaluated = load.alarm_periods + EXTRA_PERIODS
    for minute in range(1, max(highest, default=0) + 2):
        recent = [highest[each] for each in range(minute - evaluated, minute) if each in highest]
        now = float(minute * _PERIOD)
        if recent and evaluate(alarm, lambda _, found=recent: found, now=now)[0] == "ALARM":
            return math.ceil(now - written)
    return None
