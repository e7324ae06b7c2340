"""`weir status`, `weir pause` and `weir resume` on the whole program."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ops.cli import app
from tests.local.operator_world import CONSUMER, Night, calls
from tests.local.world import wait_until


def status(night: Night) -> tuple[int, Any]:
    said = night.weir("status", "--json")
    return said.code, json.loads(said.output)


def reasons(document: Any) -> list[str]:
    return [advice["command"] for each in document["consumers"] for advice in each["advice"]]


@pytest.fixture
def settings(night: Night) -> Iterator[None]:
    """Restores the settings of the mapping."""
    functions = night.client("lambda")
    before = functions.get_event_source_mapping(UUID=night.mapping)
    yield
    functions.update_event_source_mapping(
        UUID=night.mapping, Enabled=True, MaximumRecordAgeInSeconds=before["MaximumRecordAgeInSeconds"]
    )
    wait_until(lambda: night.endpoint.control.mapping(night.mapping).state == "Enabled")


def test_a_quiet_stack_needs_nobody(night: Night) -> None:
    night.endpoint.control.evaluate_alarms(at=time.time() + 600)  # as if whatever went wrong before were long over
    code, document = status(night)
    (consumer,) = document["consumers"]
    assert (code, consumer["name"], consumer["state"], consumer["advice"]) == (0, CONSUMER, "Enabled", [])
    (readers,) = document["readers"]
    assert (readers["stream"], len(readers["readers"]), readers["limit"]) == (night.outputs["streamArn"], 1, 2)


def test_dead_letters_are_counted_with_their_deadline_until_they_are_redriven(night: Night) -> None:
    night.give_up("status-a", "status-b")
    code, document = status(night)
    (consumer,) = document["consumers"]
    assert code == 1
    assert consumer["deadLetters"]["waiting"] >= 1
    assert consumer["deadLetters"]["deadline"] - consumer["deadLetters"]["oldest"] == 365 * 86400
    assert consumer["failures"] >= 2
    assert consumer["retries"] >= 1
    assert reasons(document)[0] == f"weir dead-letters list {CONSUMER}"
    assert f"weir dead-letters list {CONSUMER}" in night.weir("status").output

    night.weir("dead-letters", "redrive", CONSUMER, "--yes", "--rate", "1000")
    _, document = status(night)
    assert document["consumers"][0]["deadLetters"]["waiting"] == 0


def test_a_paused_consumer_is_named_with_the_time_of_its_first_loss_and_resumes_where_it_was(
    night: Night, settings: None
) -> None:
    before = len(night.mails())
    paused = night.weir("pause", CONSUMER, "--json")
    assert (paused.code, json.loads(paused.output)["givesUpInSeconds"] > 17 * 3600) == (0, True)
    wait_until(lambda: night.endpoint.control.mapping(night.mapping).state == "Disabled")
    night.upgrade("while-paused")
    code, document = status(night)
    (consumer,) = document["consumers"]
    assert (code, consumer["state"]) == (1, "Disabled")
    assert 17 * 3600 < consumer["losesAt"] - document["at"] < 18 * 3600 + 1
    assert f"weir resume {CONSUMER}" in reasons(document)

    assert night.weir("resume", CONSUMER).code == 0
    wait_until(lambda: night.mails()[before:] == ["while-paused@example.com"])
    assert night.weir("resume", CONSUMER).code == 2


def test_a_pause_is_refused_shortly_before_records_would_be_lost(night: Night, settings: None) -> None:
    night.client("lambda").update_event_source_mapping(UUID=night.mapping, MaximumRecordAgeInSeconds=600)
    refused = night.weir("pause", CONSUMER)
    assert refused.code == 1
    assert "begins to lose records in" in refused.errors
    assert night.endpoint.control.mapping(night.mapping).state == "Enabled"
    assert night.weir("pause", CONSUMER, "--force").code == 0


def test_a_stack_or_consumer_that_is_not_there_is_one_line(night: Night) -> None:
    said = night.weir("pause", "nobody")
    assert (said.code, said.errors) == (2, f"there is no consumer 'nobody': the stack has {CONSUMER}\n")


def test_a_local_stack_that_runs_no_more_is_one_line(tmp_path: Path) -> None:
    gone = tmp_path / "gone.json"
    keys = {"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "s"}
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        environment = {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{listening.getsockname()[1]}", **keys}
    outputs = {"consumers": {"a": {"eventSourceMapping": "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"}}}
    gone.write_text(json.dumps({"environment": environment, "outputs": outputs}))
    said = CliRunner().invoke(app, ["status", "--state", str(gone)])
    assert said.exit_code == 2
    assert "`weir local up` no longer runs" in said.stderr


def test_the_printed_policies_allow_every_call_that_a_command_makes(
    night: Night, settings: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for command in (["status"], ["pause", CONSUMER], ["resume", CONSUMER]):
        printed = json.loads(night.weir(*command, "--iam").output)
        allowed = {action for statement in printed["Statement"] for action in statement["Action"]}
        with monkeypatch.context() as patch:
            called = calls(patch)
            night.weir(*command)
        assert called
        assert called <= allowed, command
