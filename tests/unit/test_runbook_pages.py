"""docs/runbook and the alarms agree."""

from __future__ import annotations

from tools import runbook


def test_the_pages_are_current_or_make_docs_must_be_run() -> None:
    assert runbook.stale() == []


def test_every_alarm_has_steps() -> None:
    assert set(runbook.alarms()) == set(runbook.STEPS)
