"""Deployments while users upgrade: no change is lost, and none has its effect twice."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.engine.lab import Lab
from tests.engine.test_safe_changes import NEW_VIEW_TYPE, SUBSCRIBED
from tests.engine.writes import Writes, mails, once_each, upgraded_in

CONSUMER = "welcome-email"


@pytest.fixture(scope="module")
def deployed(engine: Lab) -> dict[str, Any]:
    """The program with a consumer that reads the stream itself, and whose mappings may be replaced."""
    engine.config("fanOut", "false")
    engine.config("protect", "false")
    engine.config("functionTimeout", "20")  # a slow machine must not look like a failing consumer
    engine.config("retryAttempts", "10")
    engine.up()
    return engine.outputs()


def settle(engine: Lab, *mappings: str) -> None:
    engine.aws.control.wait_until_idle(list(mappings), timeout=120)


def urn(engine: Lab, type_: str, name: str) -> str:
    """The URN of a resource of the stack."""
    resources = json.loads(engine.state())["deployment"]["resources"]
    (found,) = [each["urn"] for each in resources if each["type"] == type_ and each["urn"].endswith(f"::{name}")]
    return found


def test_new_code_takes_over_and_every_change_has_one_effect(deployed: dict[str, Any], engine: Lab) -> None:
    with (
        Writes(engine, deployed["usersTable"], "code") as writes,
        engine.edited("handlers/welcome_email.py", ("Thank you", "Thanks")),
    ):
        assert engine.up().steps == {f"Function {CONSUMER}": "update"}
    settle(engine, deployed["consumers"][CONSUMER]["eventSourceMapping"])
    assert mails(engine, "code") == once_each(writes.users)
    engine.up()


def test_a_mapping_that_is_replaced_reads_everything_again_and_repeats_no_effect(
    deployed: dict[str, Any], engine: Lab
) -> None:
    mapping = urn(engine, "aws:lambda/eventSourceMapping:EventSourceMapping", CONSUMER)
    with Writes(engine, deployed["usersTable"], "replaced") as writes:
        replaced = engine.up("--replace", mapping)
    assert replaced.steps[f"EventSourceMapping {CONSUMER}"] in ("replace", "create-replacement", "delete-replaced")
    after = engine.outputs()["consumers"][CONSUMER]["eventSourceMapping"]
    assert after != deployed["consumers"][CONSUMER]["eventSourceMapping"]
    settle(engine, after)
    assert mails(engine, "replaced") == once_each(writes.users)
    assert set(mails(engine, "code").values()) == {1}


def test_another_starting_position_is_refused_and_the_consumer_goes_on(deployed: dict[str, Any], engine: Lab) -> None:
    with (
        Writes(engine, deployed["usersTable"], "position") as writes,
        engine.edited("__main__.py", ("=StreamDelivery(", '=StreamDelivery(starting_position="LATEST", ')),
    ):
        assert "startingPosition from TRIM_HORIZON to LATEST" in engine.up(status=1).errors
    settle(engine, engine.outputs()["consumers"][CONSUMER]["eventSourceMapping"])
    assert mails(engine, "position") == once_each(writes.users)


def test_a_new_view_type_that_was_asked_for_loses_only_what_was_written_while_the_stream_was_off(
    deployed: dict[str, Any], engine: Lab
) -> None:
    old = deployed["streamArn"]
    (main, in_main), (handler, in_handler) = NEW_VIEW_TYPE
    asked = (in_main[0], f"{in_main[1]}, allow_stream_change=True")
    drained = (SUBSCRIBED, f"{SUBSCRIBED}drain=[{old!r}], ")
    with engine.edited(main, asked, drained), engine.edited(handler, in_handler):
        with Writes(engine, deployed["usersTable"], "view") as writes:
            engine.up()
        after = engine.outputs()
        (drain,) = [
            each["UUID"]
            for each in engine.aws.client("lambda").list_event_source_mappings(EventSourceArn=old)[
                "EventSourceMappings"
            ]
        ]
        settle(engine, drain, after["consumers"][CONSUMER]["eventSourceMapping"])
    recorded = upgraded_in(engine, old) | upgraded_in(engine, after["streamArn"])
    assert after["streamArn"] != old
    assert mails(engine, "view") == once_each([user for user in writes.users if user in recorded])
    # What has no record at all was written in one piece of time.
    unrecorded = [index for index, user in enumerate(writes.users) if user not in recorded]
    assert unrecorded == list(range(unrecorded[0], unrecorded[-1] + 1)) if unrecorded else True
