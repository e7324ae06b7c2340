"""`weir tail` and `weir trace` on the whole program."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.local.operator_world import CONSUMER, Night, calls


def tail(night: Night, *arguments: str) -> list[Any]:
    return night.weir("tail", "--no-follow", "--since", "1h", "--json", *arguments).documents


def test_tail_merges_invocations_failures_and_effects_in_the_order_of_time(night: Night) -> None:
    night.upgrade("tail-a")
    night.endpoint.control.wait_until_idle([night.mapping])
    night.give_up("tail-b")
    lines = tail(night)
    assert [line["at"] for line in lines] == sorted(line["at"] for line in lines)
    assert {line["consumer"] for line in lines} == {CONSUMER, "POST /users/{userId}/plan", "SES"}
    assert {line["consumer"] for line in tail(night, CONSUMER)} == {CONSUMER}
    assert {"report", "failure", "metrics", "dead letter"} <= {line["kind"] for line in lines}
    assert [line["text"].startswith("mail to tail-a@example.com: ") for line in lines if line["kind"] == "mail"][-1]
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


def test_a_change_is_traced_from_its_request_to_the_effect(night: Night) -> None:
    night.upgrade("trace-a")
    night.endpoint.control.wait_until_idle([night.mapping])
    inserted, changed = night.weir("trace", "userId=trace-a", "--json").documents
    assert [step["kind"] for step in inserted["steps"][CONSUMER]] == ["filtered out"]
    assert changed["eventName"] == "MODIFY"
    assert changed["steps"][CONSUMER] == [
        {"at": None, "kind": "effect", "text": "welcome-email#welcome-email:trace-a#plan-pro is done"}
    ]
    answered = changed["answered"]
    assert (answered["request"], answered["key"], answered["outcome"]) == (
        changed["request"],
        "userId=trace-a",
        "written",
    )
    assert answered["at"] >= changed["at"] - 1  # DynamoDB has whole seconds
    assert inserted["answered"] is None
    (again,) = night.weir("trace", changed["request"], "--json").documents
    assert again == changed
    tree = night.weir("trace", "trace-a").output
    assert "welcome-email:trace-a#plan-pro is done" in tree
    assert "POST /users/{userId}/plan userId=trace-a: written (invocation " in tree


def test_a_request_that_wrote_nothing_is_traced_too(night: Night) -> None:
    night.upgrade("trace-idle")
    night.set_plan("trace-idle", "pro")
    idle, _, changed = night.weir("trace", "userId=trace-idle", "--json").documents
    assert (idle["outcome"], changed["answered"]["outcome"]) == ("unchanged", "written")
    (alone,) = night.weir("trace", idle["request"], "--json").documents
    assert alone == idle


def test_a_failed_change_is_traced_to_its_dead_letter_and_its_redrive(night: Night) -> None:
    night.give_up("trace-b")
    night.weir("dead-letters", "redrive", CONSUMER, "--yes")
    *_, changed = night.weir("trace", "userId=trace-b", "--json").documents
    kinds = [step["kind"] for step in changed["steps"][CONSUMER]]
    assert sorted(kinds) == ["dead letter", "effect", "failure", "failure", "redrive"]
    assert kinds[-1] == "dead letter"  # those with a time are in its order


def test_a_key_without_changes_is_said(night: Night) -> None:
    said = night.weir("trace", "userId=nobody")
    assert (said.code, said.output) == (1, "no change of the last 24 hours has the key or id userId=nobody\n")


def test_the_printed_policies_allow_every_call_that_a_command_makes(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    night.upgrade("trace-c")
    for command in (["tail", "--no-follow", "--key", "trace-c"], ["trace", "trace-c"]):
        printed = json.loads(night.weir(*command, "--iam").output)
        allowed = {action for statement in printed["Statement"] for action in statement["Action"]}
        with monkeypatch.context() as patch:
            called = calls(patch)
            night.weir(*command)
        assert called
        assert called <= allowed, command
