"""`Sequencer`: what it is made with, and the one write that it makes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from handlers.cdc import Change, EffectLedger
from handlers.cdc.projection import GuardNotAvailable
from handlers.cdc.sequencer import Sequencer
from handlers.cdc.sequencer_table import SequencerTable
from handlers.cdc.sequencer_timer import SequencerTimer
from handlers.cdc.testing import InMemoryLedger, InMemorySequences, InMemoryTimer, change, record


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


class TestTimeOut:
    HOUR = timedelta(hours=1)

    def made(self, *, now: float = 1_000_000.0) -> tuple[Sequencer, InMemoryTimer]:
        timer = InMemoryTimer()
        made = Sequencer(
            "ready",
            parts=["user", "account"],
            ledger=EffectLedger(namespace="ready", store=InMemoryLedger()),
            store=InMemorySequences(),
            patience=self.HOUR,
            timer=timer,
            clock=lambda: now,
        )
        return made, timer

    def bring(self, waiting: Sequencer, part: str, *, seconds: float | None, **more: Any) -> None:
        item = {"id": part, "version": 1}
        told = dict(record(new=item), **more)
        told["dynamodb"] = {**told["dynamodb"], "ApproximateCreationDateTime": seconds}
        waiting.arrived(Change(told), part, "u1", {}, then=lambda _: None)

    def test_the_wait_begins_with_the_write_of_the_first_part(self) -> None:
        waiting, timer = self.made()
        self.bring(waiting, "user", seconds=999_000.0)
        self.bring(waiting, "user", seconds=999_500.0)
        assert timer.started == {"ready#u1": 999_000.0 + 3600}

    @pytest.mark.parametrize(("seconds", "over"), [(None, 1_003_600.0), (900_000.0, 1_000_060.0)])
    def test_a_part_without_a_time_or_of_long_ago_is_waited_with_from_now(self, seconds: Any, over: float) -> None:
        waiting, timer = self.made()
        self.bring(waiting, "user", seconds=seconds)
        assert timer.started == {"ready#u1": over}

    def test_nothing_is_started_for_the_last_part_nor_for_history(self) -> None:
        waiting, timer = self.made()
        self.bring(waiting, "user", seconds=None, historyUntil=2_000_000)
        assert timer.started == {}
        self.bring(waiting, "account", seconds=None)
        assert timer.started == {}

    def test_the_handler_gets_the_key_and_the_parts_that_came_and_runs_once(self) -> None:
        waiting, _ = self.made()
        found: list[Any] = []

        @waiting.timed_out
        def overdue(key: str, parts: Mapping[str, Any]) -> None:
            """Note a time-out."""
            found.append((key, {each: dict(document) for each, document in parts.items()}))

        overdue({"key": "u1"})
        assert found == []
        arrive(waiting, "user", [])
        for _ in range(2):
            overdue({"key": "u1"})
        assert found == [("u1", {"user": {"version": 1}})]
        assert overdue.entry_point == f"{__name__}.overdue"

    def test_the_effect_does_not_follow_a_time_out(self) -> None:
        waiting, _ = self.made()
        emitted, reminded = list[Any](), list[Any]()
        arrive(waiting, "user", emitted)
        assert waiting.end_wait("u1", lambda key, parts: reminded.append(key))
        assert arrive(waiting, "account", emitted)
        assert not waiting.end_wait("u1", lambda key, parts: reminded.append(key))
        assert (emitted, reminded) == ([], ["u1"])

    @pytest.mark.parametrize("patience", [timedelta(0), timedelta(days=400)])
    def test_a_patience_that_ends_at_once_or_with_the_item_is_refused(self, patience: timedelta) -> None:
        with pytest.raises(ValueError, match="must be positive, and shorter than keep"):
            Sequencer("ready", parts=["user", "account"], patience=patience)


class TestTimer:
    GIVEN = json.dumps({"group": "waiting", "function": "arn:f", "role": "arn:r", "deadLetters": "arn:q"})

    @pytest.fixture
    def scheduler(self, monkeypatch: pytest.MonkeyPatch) -> Any:
        monkeypatch.setenv("SEQUENCER_TIMER", self.GIVEN)
        client = boto3.client("scheduler", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
        monkeypatch.setattr("handlers.cdc.bounded_client.boto3_client", lambda *_: client)
        with Stubber(client) as stub:
            yield stub
            stub.assert_no_pending_responses()

    def test_a_time_out_is_a_one_time_schedule_whose_name_is_the_keys_hash(self, scheduler: Stubber) -> None:
        wanted = {
            "Name": hashlib.sha256(b"ready#u1").hexdigest(),
            "GroupName": "waiting",
            "ScheduleExpression": "at(1970-01-02T00:00:01)",
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "ActionAfterCompletion": "DELETE",
            "Target": {
                "Arn": "arn:f",
                "RoleArn": "arn:r",
                "Input": '{"key": "u1"}',
                "DeadLetterConfig": {"Arn": "arn:q"},
            },
        }
        scheduler.add_response("create_schedule", {"ScheduleArn": "arn:aws:scheduler:us-east-1:1:schedule/g/n"}, wanted)
        SequencerTimer().start("ready#u1", "u1", 86_400.2)

    def test_one_that_was_started_before_stays_as_it_is(self, scheduler: Stubber) -> None:
        scheduler.add_client_error("create_schedule", "ConflictException", http_status_code=409)
        SequencerTimer().start("ready#u1", "u1", 86_400.0)

    def test_a_consumer_without_the_variable_is_an_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("SEQUENCER_TIMER", raising=False)
        with pytest.raises(RuntimeError, match="SEQUENCER_TIMER is not set"):
            SequencerTimer().start("ready#u1", "u1", 0.0)


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

    def test_a_time_out_reads_all_parts_as_they_are_now(self, dynamodb: Stubber) -> None:
        asked = {"TableName": "waiting", "Key": {"sequenceKey": {"S": "ready#u1"}}, "ConsistentRead": True}
        dynamodb.add_response("get_item", {"Item": {"document#user": {"M": {}}, "version#user": {"N": "1"}}}, asked)
        dynamodb.add_response("get_item", {}, asked)
        table = SequencerTable("SEQUENCER_TABLE")
        assert [table.get("ready#u1") for _ in range(2)] == [{"user": {}}, {}]

    def test_a_table_that_nothing_names_is_an_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("SEQUENCER_TABLE", raising=False)
        with pytest.raises(RuntimeError, match="SEQUENCER_TABLE is not set"):
            self.put()
