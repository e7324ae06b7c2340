"""The mail to a user with a paid plan and an account: the item of either table says what must have happened."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from handlers.account_ready import handler
from handlers.cdc import Image
from handlers.cdc.attribute_values import encode_item
from handlers.cdc.expectations import Expected, State

USER = {"userId": "u1", "email": "u1@example.com", "plan": "pro", "version": 2, "lastRequestId": "r1"}
ACCOUNT = {"accountId": "a1", "userId": "u1", "version": 1, "lastRequestId": "r2"}
BOTH = {"document#user": {"plan": "pro"}, "document#account": {"accountId": "a1"}}
NOW = 1_000_000.0


def expected(item: Mapping[str, Any]) -> Expected:
    (found,) = handler.expected(Image(encode_item(item)))
    return found


def state(item: Mapping[str, Any], waiting: Mapping[str, Any] | None, effect: Mapping[str, Any] | None) -> State:
    """The state of what an item implies, by the sequencer's item and the ledger's."""
    found = [None if each is None else encode_item(each) for each in (effect, waiting)]
    return expected(item).state(found, NOW)


@pytest.mark.parametrize("item", [USER, ACCOUNT])
def test_either_item_implies_the_one_effect_of_both(item: Mapping[str, Any]) -> None:
    assert expected(item).name == "account-ready#u1"
    key = {"S": "account-ready#u1"}
    assert expected(item).places == (
        ("EFFECT_LEDGER_TABLE", {"effectKey": key}),
        ("SEQUENCER_TABLE", {"sequenceKey": key}),
    )


@pytest.mark.parametrize(
    "item",
    [
        {**USER, "plan": "free"},
        {name: value for name, value in USER.items() if name != "lastRequestId"},
        {name: value for name, value in USER.items() if name != "version"},
        {name: value for name, value in ACCOUNT.items() if name != "userId"},
        {**ACCOUNT, "userId": ""},
        {**ACCOUNT, "userId": 7},
        {name: value for name, value in ACCOUNT.items() if name != "version"},
    ],
    ids=[
        "a free plan",
        "inserted with a plan",
        "no version",
        "an account of nobody",
        "an account without a user's id",
        "an account with a number for it",
        "an account without a version",
    ],
)
def test_an_item_that_the_consumer_would_not_take_implies_nothing(item: Mapping[str, Any]) -> None:
    assert handler.expected(Image(encode_item(item))) == []


@pytest.mark.parametrize("item", [USER, ACCOUNT])
def test_both_parts_without_their_effect_are_a_loss(item: Mapping[str, Any]) -> None:
    assert state(item, BOTH, None) == "missing"
    died = {"status": "claimed", "leaseUntil": int(NOW * 1000) - 1}
    assert state(item, BOTH, died) == "missing"
    assert state(item, BOTH, {**died, "leaseUntil": int(NOW * 1000) + 1}) == "there"
    assert state(item, BOTH, {"status": "uncertain"}) == "uncertain"


@pytest.mark.parametrize(("item", "part"), [(USER, "user"), (ACCOUNT, "account")])
def test_a_part_that_never_arrived_is_a_loss_and_one_that_waits_for_the_other_is_not(
    item: Mapping[str, Any], part: str
) -> None:
    own = {name: value for name, value in BOTH.items() if name.endswith(part)}
    other = {name: value for name, value in BOTH.items() if name not in own}
    assert state(item, None, None) == "missing"
    assert state(item, other, None) == "missing"
    assert state(item, own, None) == "there"


def test_an_item_that_has_expired_waits_no_longer() -> None:
    own = {"document#user": {"plan": "pro"}}
    assert state(USER, {**own, "expiresAt": int(NOW) + 1}, None) == "there"
    assert state(USER, {**own, "expiresAt": int(NOW) - 1}, None) == "missing"


def test_an_effect_that_is_done_needs_no_parts() -> None:
    """A time-out has taken its key, or the parts have expired since."""
    assert state(USER, None, {"status": "done"}) == "there"
