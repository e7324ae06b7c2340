"""`Sequencer`: a table whose items wait, expire and are protected, and the permission to bring a part."""

from __future__ import annotations

import json
from typing import Any

import pytest

from components import Access, ChangeTable, EffectLedgerTable, FanOut, Refused, Sequencer
from handlers.cdc.sequencer import TABLE_VARIABLE
from handlers.cdc.sequencer_timer import TIMER_VARIABLE
from tests.reference import in_time, together


def test_an_item_expires_and_the_table_can_be_restored(mocked: Any) -> None:
    table = mocked(lambda: Sequencer("waiting")).one("Table").inputs
    assert table["hashKey"] == "sequenceKey"
    assert table["ttl"] == {"attributeName": "expiresAt", "enabled": True}
    assert table["pointInTimeRecovery"] == {"enabled": True}
    assert table["deletionProtectionEnabled"] is True
    assert "streamEnabled" not in table


def subscribe(*access: Access) -> None:
    changes = FanOut("changes", source=ChangeTable("users", hash_key="userId").stream)
    changes.subscribe(together.handler, access=access)


def test_a_consumer_that_brings_a_part_may_update_items_and_nothing_else(mocked: Any) -> None:
    done = mocked(lambda: subscribe(Sequencer("waiting").access(), EffectLedgerTable("effects").access()))
    found = [each for each in done.statements("together") if str(each["Resource"]).endswith("table/waiting")]
    assert [each["Action"] for each in found] == [["dynamodb:UpdateItem"]]
    assert done.one("Function", "together").inputs["environment"]["variables"][TABLE_VARIABLE] == "waiting"


def test_a_consumer_without_the_table_or_the_ledger_is_refused(mocked: Any) -> None:
    with pytest.raises(Refused, match=r"nothing sets SEQUENCER_TABLE.*access=\[waiting.access"):
        mocked(lambda: subscribe(EffectLedgerTable("effects").access()))
    with pytest.raises(Refused, match=r"nothing sets EFFECT_LEDGER_TABLE.*access=\[ledger.access"):
        mocked(lambda: subscribe(Sequencer("waiting").access()))


def patient() -> None:
    ledger = EffectLedgerTable("effects")
    waiting = Sequencer("waiting", timed_out=in_time.overdue, access=[ledger.access()], alarm_actions=["arn:alarms"])
    changes = FanOut("changes", source=ChangeTable("users", hash_key="userId").stream)
    changes.subscribe(in_time.handler, access=[waiting.access(), ledger.access()])


def test_a_time_out_calls_a_function_that_reads_the_item_and_what_it_gave_up_is_an_alarm(mocked: Any) -> None:
    done = mocked(patient)
    function = done.one("Function", "waiting-time-out").inputs
    assert function["handler"] == "tests.reference.in_time.overdue"
    assert function["deadLetterConfig"]["targetArn"].endswith(":waiting-time-out-dead-letters")
    allowed = [(each["Action"], each["Resource"].rpartition(":")[2]) for each in done.statements("waiting-time-out")]
    assert (["dynamodb:GetItem"], "table/waiting") in allowed
    assert (["sqs:SendMessage"], "waiting-time-out-dead-letters") in allowed
    assert "scheduler:CreateSchedule" not in str(allowed)
    assert TIMER_VARIABLE not in function["environment"]["variables"]
    alarm = done.one("MetricAlarm", "waiting-time-outs-failed").inputs
    assert (alarm["dimensions"], alarm["alarmActions"]) == (
        {"QueueName": "waiting-time-out-dead-letters"},
        ["arn:alarms"],
    )


def test_a_consumer_starts_time_outs_in_the_group_with_the_role_that_may_call_the_function(mocked: Any) -> None:
    done = mocked(patient)
    found = {each["Action"][0]: each for each in done.statements("in-time")}
    assert found["scheduler:CreateSchedule"]["Resource"].endswith(":schedule/waiting/*")
    assert found["iam:PassRole"]["Resource"].endswith("role/waiting-time-out-schedule")
    assert found["iam:PassRole"]["Condition"] == {"StringEquals": {"iam:PassedToService": "scheduler.amazonaws.com"}}
    calls = [each["Action"] for each in done.statements("waiting-time-out-schedule")]
    assert calls == [["lambda:InvokeFunction"], ["sqs:SendMessage"]]
    given = json.loads(done.one("Function", "in-time").inputs["environment"]["variables"][TIMER_VARIABLE])
    assert {name: value.rpartition(":")[2] for name, value in given.items()} == {
        "group": "waiting",
        "function": "waiting-time-out",
        "role": "role/waiting-time-out-schedule",
        "deadLetters": "waiting-time-out-dead-letters",
    }


def test_a_consumer_that_waits_with_patience_and_cannot_end_the_wait_is_refused(mocked: Any) -> None:
    def impatient() -> None:
        ledger = EffectLedgerTable("effects")
        changes = FanOut("changes", source=ChangeTable("users", hash_key="userId").stream)
        changes.subscribe(in_time.handler, access=[Sequencer("waiting").access(), ledger.access()])

    with pytest.raises(Refused, match=r"nothing sets SEQUENCER_TIMER.*timed_out= to the Sequencer"):
        mocked(impatient)


def test_a_time_out_of_a_sequencer_without_patience_is_refused(mocked: Any) -> None:
    with pytest.raises(Refused, match=r"together has no patience.*patience=timedelta"):
        mocked(lambda: Sequencer("waiting", timed_out=together.ready.timed_out(lambda key, parts: None)))
