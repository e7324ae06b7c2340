"""`Sequencer`: a table whose items wait, expire and are protected, and the permission to bring a part."""

from __future__ import annotations

from typing import Any

import pytest

from components import Access, ChangeTable, EffectLedgerTable, FanOut, Refused, Sequencer
from handlers.cdc.sequencer import TABLE_VARIABLE
from tests.reference import together


def test_an_item_expires_and_the_table_can_be_restored(run: Any) -> None:
    table = run(lambda: Sequencer("waiting")).one("Table").inputs
    assert table["hashKey"] == "sequenceKey"
    assert table["ttl"] == {"attributeName": "expiresAt", "enabled": True}
    assert table["pointInTimeRecovery"] == {"enabled": True}
    assert table["deletionProtectionEnabled"] is True
    assert "streamEnabled" not in table


def subscribe(*access: Access) -> None:
    changes = FanOut("changes", source=ChangeTable("users", hash_key="userId").stream)
    changes.subscribe(together.handler, access=access)


def test_a_consumer_that_brings_a_part_may_update_items_and_nothing_else(run: Any) -> None:
    done = run(lambda: subscribe(Sequencer("waiting").access(), EffectLedgerTable("effects").access()))
    found = [each for each in done.statements("together") if str(each["Resource"]).endswith("table/waiting")]
    assert [each["Action"] for each in found] == [["dynamodb:UpdateItem"]]
    assert done.one("Function", "together").inputs["environment"]["variables"][TABLE_VARIABLE] == "waiting"


def test_a_consumer_without_the_table_or_the_ledger_is_refused(run: Any) -> None:
    with pytest.raises(Refused, match=r"nothing sets SEQUENCER_TABLE.*access=\[waiting.access"):
        run(lambda: subscribe(EffectLedgerTable("effects").access()))
    with pytest.raises(Refused, match=r"nothing sets EFFECT_LEDGER_TABLE.*access=\[ledger.access"):
        run(lambda: subscribe(Sequencer("waiting").access()))
