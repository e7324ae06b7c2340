"""The runtime's metrics: all of them, or those alone that an alarm watches."""

from __future__ import annotations

import json

import pytest

from components import alarms, reconciliation
from components.alarms import AlarmOpinion
from handlers.cdc import metrics


def named(text: str) -> list[str]:
    return [
        metric["Name"]
        for line in text.splitlines()
        for metric in json.loads(line)["_aws"]["CloudWatchMetrics"][0]["Metrics"]
    ]


def test_every_metric_of_an_invocation_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    metrics.emit({"Records": 3, "Discarded": 1})
    assert named(capsys.readouterr().out) == ["Records", "Discarded"]


def test_switched_off_only_what_an_alarm_watches_is_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEIR_METRICS", "alarms")
    metrics.emit({"Records": 3, "Discarded": 1})
    metrics.emit({"Records": 3})
    assert named(capsys.readouterr().out) == ["Discarded"]


def test_every_alarm_on_a_metric_of_the_runtime_is_of_one_that_is_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    opinions = [each for module in (alarms, reconciliation) for value in vars(module).values() for each in found(value)]
    watched = {each.metric for each in opinions if each.namespace == metrics.NAMESPACE}
    assert watched
    monkeypatch.setenv("WEIR_METRICS", "alarms")
    metrics.emit(dict.fromkeys(sorted(watched), 1))
    assert named(capsys.readouterr().out) == sorted(watched)


def found(value: object) -> list[AlarmOpinion]:
    return [each for each in value if isinstance(each, AlarmOpinion)] if isinstance(value, tuple) else []
