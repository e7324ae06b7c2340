"""The outputs by which the operator's commands know a program, of whatever routes it is made."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.aws_checks.programs import run_of


@pytest.fixture(scope="module")
def outputs() -> Any:
    return run_of("every component").outputs


def test_every_consumer_of_every_route_is_named_with_the_table_that_its_changes_are_of(outputs: Any) -> None:
    tables = {name: each["stream"].split("/")[1].partition("-")[0] for name, each in outputs["consumers"].items()}
    assert tables == {
        "welcome-0": "users",
        "welcome-1": "users",
        "expected": "users",
        "plans-per-window": "orders",
        "order-mail": "orders",
        "existing-mail": "existing",
        "late-mail": "orders",
    }
    assert {name for name, each in outputs["consumers"].items() if not each["guarded"]} == {"plans-per-window"}


def test_only_what_reads_a_queue_has_dead_letter_queues_and_an_archive(outputs: Any) -> None:
    behind_a_queue = {"welcome-0", "welcome-1", "expected"}
    for member in ("deadLetterQueues", "archive"):
        assert {name for name, each in outputs["consumers"].items() if each.get(member)} == behind_a_queue


def test_the_alarm_of_a_queue_with_dead_letters_is_among_those_of_its_consumer(outputs: Any) -> None:
    waiting = {name: each["alarms"].get("waiting", "") for name, each in outputs["consumers"].items()}
    assert {name for name, alarm in waiting.items() if alarm} == {"plans-per-window"}
    assert waiting["plans-per-window"].startswith("plans-per-window-failures-waiting")


def test_pipes_of_a_fan_out_and_pipes_of_their_own_are_named_alike(outputs: Any) -> None:
    assert {*outputs["pipes"]} == {
        *("to-partners", "to-bus", "to-topic", "to-function", "to-workflow"),
        *("wanted", "jobs-to-bus"),
    }
    assert all(each["pipe"] and each["alarms"] for each in outputs["pipes"].values())


def test_functions_of_an_api_are_named_beside_those_of_consumers(outputs: Any) -> None:
    assert {*outputs["functionNames"]} == {"GET /users", *outputs["consumers"]}


def test_what_is_neither_consumer_nor_pipe_is_named_with_its_alarms(outputs: Any) -> None:
    assert {name: sorted(alarms) for name, alarms in outputs["otherAlarms"].items()} == {
        "history": ["replication-age-page", "replication-age-warn", "replication-failed", "replication-throttled"],
        "onboarding": ["executions-failed", "executions-timed-out"],
        "waiting": ["time-outs-failed"],
        "webhooks-acme": ["webhooks-undelivered"],
        "webhooks-globex": ["webhooks-undelivered"],
        "reconciliation": ["effects-missing", "walk-failed", "walk-not-started"],
        "backfill": ["walk-failed"],
    }


def test_each_fan_out_names_its_forwarder(outputs: Any) -> None:
    assert outputs["forwarders"] == {"changes-forwarder": outputs["forwarder"]}


def test_the_alarms_of_a_forwarder_and_of_its_topic_are_known_by_its_name(outputs: Any) -> None:
    alarms = outputs["forwarderAlarms"]["changes-forwarder"]
    assert {"dropped", "destination-failures", "notifications-lost"} <= {*alarms}
    assert alarms["dropped"].startswith("changes-forwarder-dropped")
