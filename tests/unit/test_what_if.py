"""`weir what-if` against a simulation of every record, and its bounded cost."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from typer.testing import CliRunner

from aws_semantics.limits import STREAM_RETENTION_SECONDS
from local.engine.actions import GiveUp, Invoke, Lose
from local.engine.clock import VirtualClock
from local.engine.outcomes import Failed, Outcome, Succeeded, read_answer
from local.engine.streams.records import StreamRecord
from local.engine.streams.settings import MappingSettings
from local.simulation import what_if
from local.simulation.stream_run import Feed, Simulation
from local.simulation.what_if import Failure, Load, poison
from ops.cli import app

cli = CliRunner()

DEFAULTS = MappingSettings(
    batching_window=1,
    maximum_retry_attempts=12,
    maximum_record_age=64_800,
    bisect=True,
    report_batch_item_failures=True,
    destination="arn:aws:s3:::failures",
)
AWS = MappingSettings()


class EveryRecord:
    """The same question, answered by a simulation in which every record exists."""

    def __init__(self, settings: MappingSettings, load: Load, failure: Failure) -> None:
        self.poison = str(math.ceil(60 * load.rate))
        self.invocations = self.given_up = 0
        self.blocked: list[float] = []
        self._load = load
        Simulation(
            replace(settings, retention=STREAM_RETENTION_SECONDS),
            [Feed("shard", self._records())],
            lambda invoke, now: self._function(invoke, now, settings, failure),
            sink=self,
            clock=VirtualClock(0.0),
            until=2.0 * STREAM_RETENTION_SECONDS,
            new_request_id=lambda: "",
        ).run()

    def _records(self) -> Iterator[StreamRecord]:
        number = 0
        while len(self.blocked) < 2:
            at = number / self._load.rate
            event = {"dynamodb": {"SequenceNumber": str(number), "Keys": {"pk": {"S": "x"}}, "SizeBytes": 8}}
            yield StreamRecord(event, arrived=float(math.floor(at)), visible=at)
            number += 1

    def _function(
        self, invoke: Invoke, now: float, settings: MappingSettings, failure: Failure
    ) -> tuple[Outcome, float]:
        identifiers = [record.identifier for record in invoke.records]
        if self.poison not in identifiers:
            return Succeeded(), self._load.duration
        self.blocked = self.blocked or [now]
        self.invocations += 1
        if failure == "crash" or not settings.report_batch_item_failures:
            return Failed("Unhandled"), self._load.duration
        answer = {"batchItemFailures": [{"itemIdentifier": self.poison}]}
        return read_answer(answer, identifiers), self._load.duration

    def invoked(self, *_: Any) -> None: ...

    def filtered_out(self, *_: Any) -> None: ...

    def gave_up(self, given_up: GiveUp, _: bool | None, now: float) -> None:
        self._end(given_up, now)

    def lost(self, lose: Lose, now: float) -> None:
        self._end(lose, now)

    def _end(self, ended: GiveUp | Lose, now: float) -> None:
        self.given_up += len(ended.records)
        if any(record.identifier == self.poison for record in ended.records):
            self.blocked.append(now)


@pytest.mark.parametrize("failure", ["crash", "report"])
@pytest.mark.parametrize(
    ("settings", "rate", "duration"),
    [
        (DEFAULTS, 10, 0.2),
        (
            replace(DEFAULTS, bisect=False, report_batch_item_failures=False, batch_size=40, maximum_retry_attempts=3),
            10,
            0.2,
        ),
        (replace(DEFAULTS, maximum_retry_attempts=-1, maximum_record_age=600), 50, 0.2),
        (replace(DEFAULTS, maximum_retry_attempts=-1, maximum_record_age=60, bisect=False), 7, 0),
        (replace(DEFAULTS, batching_window=30, batch_size=7, maximum_retry_attempts=2), 3, 0.1),
        (AWS, 0.5, 0.2),
    ],
)
def test_what_is_computed_is_what_a_simulation_of_every_record_finds(
    settings: MappingSettings, rate: float, duration: float, failure: Failure
):
    load = Load(rate=rate, duration=duration, alarm_age=300, alarm_periods=3)
    found, every = poison(settings, load, failure), EveryRecord(settings, load, failure)
    assert found.invocations == every.invocations
    assert found.healthy_given_up == every.given_up - 1
    assert found.blocked_seconds == round(every.blocked[1] - every.blocked[0], 3)


def test_a_batch_without_bisect_and_partial_responses_is_given_up_whole():
    arguments = "--batch-size 40 --retries 3 --no-bisect --no-partial-responses"
    found = json.loads(cli.invoke(app, ["what-if", *arguments.split(), "--json"]).stdout)
    assert [found[failure]["healthyGivenUp"] for failure in ("crash", "report")] == [11, 11]
    shown = cli.invoke(app, ["what-if", *arguments.split()]).stdout
    assert "healthy records given up with it" in shown
    assert json.loads(cli.invoke(app, ["what-if", "--json"]).stdout)["crash"]["healthyGivenUp"] == 0


def test_a_large_rate_costs_no_more_records_than_a_batch_and_its_lead(monkeypatch: pytest.MonkeyPatch):
    made: list[str] = []

    def record(event: dict[str, Any], **times: float) -> StreamRecord:
        made.append(event["dynamodb"]["SequenceNumber"])
        return StreamRecord(event, **times)

    monkeypatch.setattr(what_if, "StreamRecord", record)
    settings = replace(AWS, batch_size=10_000, batching_window=300)
    found = poison(settings, Load(rate=1000, duration=0.2, alarm_age=300, alarm_periods=3), "crash")
    assert len(made) <= 20_000 + 10_000 + 1
    assert (found.ends_as, found.invocations > 1400) == ("lost", True)


def test_what_is_extrapolated_is_said():
    assert "are extrapolated" in cli.invoke(app, ["what-if"]).stdout
    found = json.loads(cli.invoke(app, ["what-if", "--json"]).stdout)
    assert found["extrapolated"] == ["healthyGivenUp", "alarmAfterSeconds"]
