"""`weir reread` on the whole program, where its consumer reads the stream."""

from __future__ import annotations

import json
import time

import pytest

from tests.local.operator_world import CONSUMER, Night, calls


def test_a_range_of_time_goes_through_the_consumer_again_and_nothing_happens_twice(night: Night) -> None:
    began = _iso(time.time())
    night.give_up("reread-a", "reread-b")
    night.empty()  # as if no destination had them
    before = len(night.mails())
    dry = night.weir("reread", CONSUMER, "--from", began, "--json")
    counted = json.loads(dry.output)["counts"]
    assert (dry.code, counted["planned"] >= 2, counted["filtered out"] >= 2) == (1, True, True)
    assert len(night.mails()) == before

    for _ in range(2):
        said = night.weir("reread", CONSUMER, "--from", began, "--yes", "--rate", "1000", "--json")
        assert (said.code, json.loads(said.output)["counts"].get("failed", 0)) == (0, 0)
        assert sorted(night.mails()[before:]) == ["reread-a@example.com", "reread-b@example.com"]


def test_the_hint_after_a_dry_run_covers_the_range_that_was_counted_and_no_more(night: Night) -> None:
    began = _iso(time.time())
    night.upgrade("reread-d")
    night.endpoint.control.wait_until_idle([night.mapping])
    until = _iso(time.time() + 1)
    said = night.weir("reread", CONSUMER, "--from", began, "--to", until, "--stale", "skip", "--rate", "2.0")
    assert f"weir reread {CONSUMER} --from {began} --to {until} --stale skip --rate 2.0 --yes" in said.output


def test_records_outside_the_range_are_left_alone(night: Night) -> None:
    night.upgrade("reread-c")
    time_after = time.time() + 60
    said = night.weir("reread", CONSUMER, "--from", f"{_iso(time_after)}", "--to", f"{_iso(time_after + 60)}", "--json")
    assert (said.code, sum(json.loads(said.output)["counts"].values())) == (0, 0)


def test_a_range_that_begins_before_the_stream_does_is_said(night: Night) -> None:
    said = night.weir("reread", CONSUMER, "--from", "2d", "--to", "25h")
    assert said.code == 1
    assert "The stream keeps 24 hours" in said.output


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--from", "yesterday"], "yesterday is not a time: write 2h, 30min or 2026-01-31T08:30:00Z"),
        (["--from", "1h", "--to", "2h"], "--to 2h is not after --from 1h"),
    ],
)
def test_a_wrong_range_is_one_line(night: Night, arguments: list[str], problem: str) -> None:
    said = night.weir("reread", CONSUMER, *arguments)
    assert (said.code, said.errors) == (2, f"{problem}\n")


def test_the_printed_policy_allows_every_call(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    printed = json.loads(night.weir("reread", CONSUMER, "--from", "1h", "--iam").output)
    allowed = {action for statement in printed["Statement"] for action in statement["Action"]}
    with monkeypatch.context() as patch:
        called = calls(patch)
        night.weir("reread", CONSUMER, "--from", "1h", "--yes", "--stale", "skip")
    assert called <= allowed


def _iso(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
