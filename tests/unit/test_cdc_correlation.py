"""The id of the API's request, in every log line and every effect of the change it made."""

import json
import logging
import subprocess
import sys
from typing import Any
from unittest.mock import Mock

import pytest

from handlers.cdc import Change, EffectLedger, consumer
from handlers.cdc.counters import Counters
from handlers.cdc.invocation import correlation_id, remaining_seconds
from handlers.cdc.testing import InMemoryLedger, Invocation, change, record, stream_event

ADA = {"userId": "u1", "email": "ada@example.com", "lastRequestId": "request-1"}


@pytest.mark.parametrize(
    ("images", "found"),
    [
        ({"new": ADA}, "request-1"),
        ({"old": {**ADA, "lastRequestId": "request-0"}, "new": ADA}, "request-1"),
        ({"old": {"userId": "u1"}, "new": ADA}, "request-1"),
        ({"old": ADA, "new": {**ADA, "seen": 1}}, None),
        ({"old": ADA}, None),
        ({"new": {"userId": "u1"}}, None),
        ({"new": {"userId": "u1", "lastRequestId": 7}}, None),
        ({"old": ADA, "new": {**ADA, "seen": 1}, "view_type": "KEYS_ONLY"}, None),
    ],
    ids=["insert", "modify", "first", "a write that left it", "remove", "without", "no text", "no images"],
)
def test_a_change_is_tied_to_the_request_that_wrote_it_or_else_to_itself(images: Any, found: str | None) -> None:
    it = change(**images)
    assert it.correlation_id == (found or it.event_id)


def test_every_line_logged_for_a_record_says_which_one_and_none_after_it(caplog: pytest.LogCaptureFixture) -> None:
    @consumer
    def handler(change: Change) -> None:
        logging.getLogger("some.library").warning("called")

    given = record(new=ADA)
    handler(stream_event(given), Invocation())
    logging.getLogger("some.library").warning("idle")
    during, after = caplog.records
    assert during.__dict__["correlationId"] == "request-1"
    assert during.__dict__["eventId"] == given["eventID"]
    assert during.__dict__["sequenceNumber"] == given["dynamodb"]["SequenceNumber"]
    assert (during.__dict__["table"], during.__dict__["eventName"]) == ("users", "INSERT")
    assert "correlationId" not in after.__dict__
    assert (remaining_seconds(), correlation_id()) == (None, None)
    assert ADA["email"] not in repr(during.__dict__)


def test_an_effect_remembers_the_request_that_asked_for_it() -> None:
    store = InMemoryLedger()
    mails = EffectLedger(store=store)

    @consumer
    def handler(change: Change) -> None:
        mails.once("k", lambda: None)

    handler(stream_event(record(new=ADA)), Invocation())
    mails.once("outside", lambda: None)
    assert store.items["test-cdc-correlation#k"]["correlationId"] == "request-1"
    assert store.items["outside"]["correlationId"] is None


def test_a_counted_event_remembers_the_request_that_asked_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    dynamodb = Mock()
    monkeypatch.setattr("handlers.cdc.counter_table.BoundedClient", lambda *_, **__: dynamodb)
    monkeypatch.setenv("COUNTER_TABLE", "counters")
    plans = Counters("plans")

    @consumer
    def handler(change: Change) -> None:
        plans.add(change.event_id, {"pro": 1})

    handler(stream_event(record(new=ADA)), Invocation())
    plans.add("outside", {"pro": 1})
    asked, outside = (call.kwargs["TransactItems"][0]["Put"]["Item"] for call in dynamodb.mock_calls)
    assert asked["correlationId"] == {"S": "request-1"}
    assert "correlationId" not in outside


def test_the_default_ledger_is_made_when_it_is_first_asked_for() -> None:
    script = (
        "import json, sys, handlers.cdc as cdc\n"
        "before = 'effects' in vars(cdc)\n"
        "from handlers.cdc import effects\n"
        "print(json.dumps([before, type(effects).__name__, effects is cdc.effects, 'boto3' in sys.modules]))"
    )
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert json.loads(out) == [False, "EffectLedger", True, False]


def test_a_name_that_the_package_does_not_have_is_an_attribute_error() -> None:
    import handlers.cdc

    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = handlers.cdc.nothing  # pyright: ignore[reportAttributeAccessIssue]
