"""The forwarders of a stack's fan-outs, by the names that alarms give them."""

from __future__ import annotations

from typing import Any

import pytest

from ops.operator.consumers import consumers_of
from ops.operator.stack import NoStack, Stack

STREAM = "arn:aws:dynamodb:us-east-1:111122223333:table/{table}/stream/2026-01-01T00:00:00.000"
SOURCES = {"one": STREAM.format(table="users"), "two": STREAM.format(table="accounts")}
SECOND = "account-changes-forwarder"
OUTPUTS = {
    "streamArn": SOURCES["one"],
    "consumers": {},
    "forwarder": "one",
    "forwarders": {"changes-forwarder": "one", "account-changes-forwarder": "two"},
    "forwarderAlarms": {name: {"dropped": f"{name}-dropped-4f"} for name in ("changes-forwarder", SECOND)},
}


class Functions:
    """A client of Lambda that knows the forwarders' mappings."""

    def get_event_source_mapping(self, **named: str) -> Any:
        uuid = named["UUID"]
        return {"UUID": uuid, "FunctionArn": f"arn:{uuid}", "EventSourceArn": SOURCES[uuid]}

    def get_function_configuration(self, **named: str) -> Any:
        return {"FunctionName": named["FunctionName"]}


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> Stack:
    monkeypatch.setattr(Stack, "client", lambda *_: Functions())
    return Stack("prod", OUTPUTS)


@pytest.mark.parametrize(
    ("name", "known_as", "uuid"),
    [
        ("forwarder", "forwarder", "one"),
        ("changes-forwarder", "forwarder", "one"),
        ("account-changes-forwarder", "account-changes-forwarder", "two"),
    ],
)
def test_a_forwarder_is_known_by_the_name_in_its_alarms(stack: Stack, name: str, known_as: str, uuid: str) -> None:
    (found,) = consumers_of(stack, name)
    assert (found.name, found.uuid, found.source, found.guarded) == (known_as, uuid, SOURCES[uuid], True)


def test_a_forwarders_alarms_are_known_since_all_consumers_lose_what_it_loses(stack: Stack) -> None:
    assert {each.name: each.alarms for each in consumers_of(stack)} == {
        "forwarder": {"dropped": "changes-forwarder-dropped-4f"},
        SECOND: {"dropped": f"{SECOND}-dropped-4f"},
    }


def test_the_outputs_of_an_older_program_name_no_alarms_of_forwarders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Stack, "client", lambda *_: Functions())
    older = {name: value for name, value in OUTPUTS.items() if name != "forwarderAlarms"}
    assert [each.alarms for each in consumers_of(Stack("prod", older))] == [{}, {}]


def test_each_forwarder_is_listed_once(stack: Stack) -> None:
    assert [each.name for each in consumers_of(stack)] == ["forwarder", "account-changes-forwarder"]


def test_an_unknown_forwarder_is_answered_with_those_that_there_are(stack: Stack) -> None:
    with pytest.raises(NoStack, match="the stack has account-changes-forwarder, forwarder"):
        consumers_of(stack, "orders-forwarder")
