"""A walk's progress, while `weir backfill` and `weir reconcile` wait for it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ops.operator import reconcile

EXECUTION = "arn:aws:states:us-east-1:111122223333:execution:backfill:one"


class Machines:
    """An execution whose map begins at the second look, and has a segment more at some of the later ones."""

    def __init__(self, read: list[int | None]) -> None:
        self._read = iter(read)
        self._now: int | None = None

    def describe_execution(self, **_: str) -> dict[str, Any]:
        try:
            self._now = next(self._read)
        except StopIteration:
            return {"status": "SUCCEEDED", "output": json.dumps([{"checked": 3}])}
        return {"status": "RUNNING"}

    def list_map_runs(self, **asked: str) -> dict[str, Any]:
        assert asked == {"executionArn": EXECUTION}
        return {"mapRuns": [] if self._now is None else [{"mapRunArn": "run"}]}

    def describe_map_run(self, **asked: str) -> dict[str, Any]:
        assert asked == {"mapRunArn": "run"}
        return {"itemCounts": {"total": 16, "succeeded": self._now, "running": 4}}


def test_segments_that_are_read_are_told_when_there_are_more(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(reconcile, "POLL_SECONDS", 0)
    results = reconcile.results_of(Machines([None, 0, 0, 3, 3, 16]), EXECUTION)
    assert results == [{"checked": 3}]
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines() == [f"backfill: {read} of 16 segments read" for read in (0, 3, 16)]


@pytest.mark.parametrize(
    ("ended", "said"),
    [
        ({"cause": json.dumps({"errorMessage": "export again", "errorType": "ExportRefused"})}, "export again"),
        ({"cause": "the tolerated failures were exceeded"}, "the tolerated failures were exceeded"),
        ({"cause": "[1]"}, "[1]"),
        ({"error": "States.Timeout"}, "States.Timeout"),
        ({}, "no cause"),
    ],
)
def test_the_cause_of_a_failed_walk_is_told_in_the_functions_words(ended: dict[str, str], said: str) -> None:
    assert reconcile.cause_of(ended) == said
