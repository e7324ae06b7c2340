"""`Sequencer`: what it is made with, and the one write that it makes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from handlers.cdc import EffectLedger
from handlers.cdc.projection import GuardNotAvailable
from handlers.cdc.sequencer import Sequencer
from handlers.cdc.sequencer_table import SequencerTable
from handlers.cdc.testing import InMemoryLedger, InMemorySequences, change


def sequencer(entries: InMemoryLedger | None = None) -> Sequencer:
    ledger = EffectLedger(namespace="ready", store=entries or InMemoryLedger())
    return Sequencer("ready", parts=["user", "account"], ledger=ledger, store=InMemorySequences())


def arrive(
    waiting: Sequencer, part: str, emitted: list[Any], *, key: str = "u1", version: int = 1, **more: Any
) -> bool:
    document = {"version": version, **more}
    return waiting.arrived(change(new={"id": part, **document}), part, key, document, then=emitted.append)


@pytest.mark.parametrize("order", [("user", "account"), ("account", "user")])
def test_the_effect_gets_the_documents_of_all_parts_in_whatever_order_they_came(order: tuple[str, str]) -> None:
    waiting, emitted = sequencer(), list[Mapping[str, Any]]()
    assert [arrive(waiting, part, emitted, seats=Decimal(3)) for part in order] == [False, True]
    assert emitted == [{part: {"version": 1, "seats": 3} for part in ("user", "account")}]


def test_parts_of_other_keys_do_not_complete_each_other() -> None:
    waiting, emitted = sequencer(), list[Any]()
    assert not arrive(waiting, "user", emitted, key="u1")
    assert not arrive(waiting, "account", emitted, key="u2")
    assert emitted == []


def test_an_older_change_that_comes_late_does_not_replace_a_newer_document() -> None:
    waiting, emitted = sequencer(), list[Any]()
    arrive(waiting, "user", emitted, version=7)
    arrive(waiting, "user", emitted, version=6)
    arrive(waiting, "account", emitted)
    assert emitted[0]["user"] == {"version": 7}


def test_the_effect_is_one_of_the_sequencer_whichever_consumer_runs_it() -> None:
    ledger = InMemoryLedger()
    waiting, emitted = sequencer(ledger), list[Any]()
    arrive(waiting, "user", emitted)
    arrive(waiting, "account", emitted)
    assert list(ledger.items) == ["ready#u1"]
    assert Sequencer("ready", parts=["a", "b"]).ledger.namespace == "ready"


def test_an_effect_that_fails_is_run_by_the_next_delivery() -> None:
    waiting, emitted = sequencer(), list[Any]()
    arrive(waiting, "user", emitted)

    def fails(parts: Mapping[str, Any]) -> None:
        raise OSError("the mail server is down")

    it = change(new={"id": "a1", "version": 1})
    with pytest.raises(OSError, match="down"):
        waiting.arrived(it, "account", "u1", {"version": 1}, then=fails)
    assert arrive(waiting, "user", emitted)  # either part's
    assert len(emitted) == 1


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"parts": ["user"]}, "two or more different things"),
        ({"parts": ["user", "user"]}, "two or more different things"),
        ({"parts": ["user", ""]}, "two or more different things"),
        ({"parts": ["user", "account"], "keep": timedelta(hours=23)}, "shorter than the 24 hours"),
    ],
)
def test_a_sequencer_that_could_not_work_is_refused(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Sequencer("ready", **settings)


def test_an_arrival_that_means_nothing_is_refused() -> None:
    waiting = sequencer()
    with pytest.raises(ValueError, match="ready waits for user, account, and not for 'order'"):
        arrive(waiting, "order", [])
    with pytest.raises(ValueError, match="the key of ready is empty"):
        arrive(waiting, "user", [], key="")
    with pytest.raises(GuardNotAvailable):
        waiting.arrived(change(new={"id": "u1"}), "user", "u1", {}, then=lambda _: None)


class TestTable:
    @pytest.fixture
    def dynamodb(self, monkeypatch: pytest.MonkeyPatch) -> Any:
        monkeypatch.setenv("SEQUENCER_TABLE", "waiting")
        client = boto3.client("dynamodb", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
        monkeypatch.setattr("handlers.cdc.bounded_client.boto3_client", lambda *_: client)
        with Stubber(client) as stub:
            yield stub
            stub.assert_no_pending_responses()

    def put(self, *, expires_at: int | None = None) -> Any:
        table = SequencerTable("SEQUENCER_TABLE")
        return table.put("ready#u1", "user", 7, {"name": {"S": "Ada"}}, expires_at=expires_at)

    def test_an_arrival_is_one_conditional_write_that_returns_all_parts(self, dynamodb: Stubber) -> None:
        written = {
            "TableName": "waiting",
            "Key": {"sequenceKey": {"S": "ready#u1"}},
            "UpdateExpression": "SET #document = :document, #version = :version, expiresAt = :expires",
            "ConditionExpression": "attribute_not_exists(#version) OR #version < :version",
            "ExpressionAttributeNames": {"#document": "document#user", "#version": "version#user"},
            "ExpressionAttributeValues": {
                ":document": {"M": {"name": {"S": "Ada"}}},
                ":version": {"N": "7"},
                ":expires": {"N": "99"},
            },
            "ReturnValues": "ALL_NEW",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        item = {
            "sequenceKey": {"S": "ready#u1"},
            "document#user": {"M": {"name": {"S": "Ada"}}},
            "version#user": {"N": "7"},
            "document#account": {"M": {}},
            "version#account": {"N": "1"},
            "expiresAt": {"N": "99"},
        }
        dynamodb.add_response("update_item", {"Attributes": item}, written)
        assert self.put(expires_at=99) == {"user": {"name": {"S": "Ada"}}, "account": {}}

    def test_an_item_for_ever_has_no_expiry(self, dynamodb: Stubber) -> None:
        dynamodb.add_response("update_item", {"Attributes": {}})
        assert self.put() == {}

    def test_a_table_that_nothing_names_is_an_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("SEQUENCER_TABLE", raising=False)
        with pytest.raises(RuntimeError, match="SEQUENCER_TABLE is not set"):
            self.put()
