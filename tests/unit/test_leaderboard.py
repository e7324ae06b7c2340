"""The leaderboard: each upgrade once, the newest last, whatever is repeated."""

from __future__ import annotations

import random
from typing import Any

import pytest

from handlers import leaderboard
from handlers.cdc.testing import InMemoryProjection, change

NOON = 1_767_268_800.0


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> InMemoryProjection:
    made = InMemoryProjection(key=["day", "place"])
    monkeypatch.setattr(leaderboard.board, "store", made)
    return made


def upgrade(user: str, before: str, after: str, *, second: int, version: int = 2) -> Any:
    old = {"userId": user, "plan": before, "version": version - 1}
    return change(old=old, new={**old, "plan": after, "version": version}, created=NOON + second)


def test_upgrades_are_in_the_order_of_their_time(rows: InMemoryProjection) -> None:
    changes = [upgrade(f"u{second}", "free", "pro", second=second) for second in range(12)]
    random.Random(1).shuffle(changes)
    for each in changes:
        leaderboard.handler.function(each)
    places = sorted((row["day"], row["place"], row["userId"]) for row in rows.items)
    assert [user for _, _, user in places] == [f"u{second}" for second in range(12)]


def test_a_repeated_upgrade_is_one_row(rows: InMemoryProjection) -> None:
    for _ in range(3):
        leaderboard.handler.function(upgrade("ada", "free", "pro", second=0))
    assert len(rows.items) == 1


def test_two_upgrades_of_a_user_in_one_second_are_two_rows(rows: InMemoryProjection) -> None:
    leaderboard.handler.function(upgrade("ada", "free", "pro", second=0))
    leaderboard.handler.function(upgrade("ada", "pro", "enterprise", second=0, version=3))
    assert sorted(row["plan"] for row in rows.items) == ["enterprise", "pro"]


def test_a_downgrade_is_no_row(rows: InMemoryProjection) -> None:
    leaderboard.handler.function(upgrade("ada", "pro", "free", second=0))
    assert rows.items == []
