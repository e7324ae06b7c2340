"""Entitlements: the features of each user's plan, whatever order changes arrive in."""

from __future__ import annotations

import pytest

from handlers import entitlements
from handlers.cdc.testing import InMemoryProjection, change
from handlers.plans import FEATURES

ADA = {"userId": "u1", "version": 7}


@pytest.fixture(autouse=True)
def store(monkeypatch: pytest.MonkeyPatch) -> InMemoryProjection:
    store = InMemoryProjection(key=["userId"])
    monkeypatch.setattr(entitlements.entitlements, "store", store)
    return store


def features(store: InMemoryProjection) -> object:
    (item,) = store.items
    return item["features"]


def to(plan: str, version: int = 7):
    return change(old={**ADA, "plan": "free", "version": version - 1}, new={**ADA, "plan": plan, "version": version})


@pytest.mark.parametrize("plan", FEATURES)
def test_a_plan_gives_its_features(store: InMemoryProjection, plan: str) -> None:
    entitlements.handler.function(to(plan))
    assert features(store) == FEATURES[plan]


def test_a_plan_that_nobody_sells_gives_none(store: InMemoryProjection) -> None:
    entitlements.handler.function(to("platinum"))
    assert features(store) == []


def test_a_late_change_does_not_undo_a_newer_one(store: InMemoryProjection) -> None:
    entitlements.handler.function(to("enterprise", version=9))
    entitlements.handler.function(to("pro", version=8))
    assert features(store) == FEATURES["enterprise"]


def test_a_deleted_user_has_none_even_if_an_older_change_comes_late(store: InMemoryProjection) -> None:
    entitlements.handler.function(change(old={**ADA, "plan": "pro", "version": 9}))
    entitlements.handler.function(to("pro", version=8))
    assert store.items == []


def test_users_that_the_api_never_wrote_are_left_out() -> None:
    assert not entitlements.handler.condition(change(new={"userId": "u1", "plan": "free"}))
    assert entitlements.handler.condition(change(new={**ADA, "plan": "free"}))
