"""Plan counts: users per plan and upgrades per day, each change once."""

from __future__ import annotations

import pytest

from handlers import plan_counts
from handlers.cdc.testing import InMemoryCounters, change


@pytest.fixture(autouse=True)
def counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_counts.counts, "store", InMemoryCounters())


def count(old: str | None, new: str | None):
    made = change(
        old=None if old is None else {"userId": "u1", "plan": old},
        new=None if new is None else {"userId": "u1", "plan": new},
    )
    plan_counts.handler.function(made)
    return made


def users(plan: str):
    return plan_counts.counts.read(f"users#{plan}")


def test_a_user_moves_from_one_plan_to_another() -> None:
    count(None, "free")
    assert (users("free"), users("pro")) == (1, 0)
    count("free", "pro")
    assert (users("free"), users("pro")) == (0, 1)
    count("pro", None)
    assert (users("free"), users("pro")) == (0, 0)


def test_a_change_that_comes_again_counts_once() -> None:
    made = count("free", "pro")
    plan_counts.handler.function(made)
    assert users("pro") == 1


@pytest.mark.parametrize(
    ("old", "new", "upgrades"),
    [("free", "pro", 1), ("pro", "enterprise", 1), ("enterprise", "pro", 0), ("pro", "free", 0), (None, "pro", 0)],
)
def test_only_a_higher_plan_is_an_upgrade(old: str | None, new: str, upgrades: int) -> None:
    made = count(old, new)
    assert plan_counts.counts.read(f"upgrades#{made.approximate_creation_time:%Y-%m-%d}") == upgrades
