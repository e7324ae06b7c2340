"""`weir tail` and `weir trace` on the whole program."""

from __future__ import annotations

from typing import Any

from tests.local.operator_world import CONSUMER, Night


def tail(night: Night, *arguments: str) -> list[Any]:
    return night.weir("tail", "--no-follow", "--since", "1h", "--json", *arguments).documents


def test_tail_merges_invocations_failures_and_effects_in_the_order_of_time(night: Night) -> None:
    night.upgrade("tail-a")
    night.endpoint.control.wait_until_idle([night.mapping])
    night.give_up("tail-b")
    lines = tail(night)
    assert [line["at"] for line in lines] == sorted(line["at"] for line in lines)
    assert {line["consumer"] for line in lines} == {CONSUMER}
    assert {"report", "failure", "metrics"} <= {line["kind"] for line in lines}
    assert any(line["kind"] == "metrics" and "1 applied" in line["text"] for line in lines)
    assert any("InternalFailure" in line["text"] for line in lines if line["kind"] == "failure")
    assert f"  {CONSUMER}  invocation " in night.weir("tail", "--no-follow", "--since", "1h").output


def test_tail_shows_the_lines_of_one_item_or_of_a_level_alone(night: Night) -> None:
    night.give_up("tail-c", "tail-d")
    of_one = tail(night, "--key", "userId=tail-c")
    assert of_one
    assert len(of_one) < len([line for line in tail(night) if line["kind"] == "failure"])
    assert tail(night, "--level", "CRITICAL", "--key", "tail-c") == []


def test_a_wrong_duration_or_level_is_one_line(night: Night) -> None:
    said = night.weir("tail", "--since", "yesterday")
    assert (said.code, said.errors) == (2, "--since yesterday is not a duration: write 30s, 10m, 2h or 1d\n")
    assert night.weir("tail", "--level", "LOUD").code == 2
