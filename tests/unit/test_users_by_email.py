"""Users by e-mail: the rows of the table, under another key, after any history and any deliveries."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers import users_by_email
from handlers.cdc import Change, Image
from handlers.cdc.attribute_values import encode_item
from handlers.cdc.testing import InMemoryProjection, change

ADA = {"userId": "u1", "email": "ada@example.com", "plan": "free", "version": 7}


@pytest.fixture(autouse=True)
def store(monkeypatch: pytest.MonkeyPatch) -> InMemoryProjection:
    return projected_into(monkeypatch)


def projected_into(patch: pytest.MonkeyPatch) -> InMemoryProjection:
    store = InMemoryProjection(key=["email", "userId"])
    patch.setattr(users_by_email.users, "store", store)
    return store


def apply(*changes: Change) -> None:
    for each in changes:
        if users_by_email.handler.condition is None or users_by_email.handler.condition(each):
            users_by_email.handler.function(each)


def moved(email: str | None, version: int = 8) -> Change:
    new = {name: value for name, value in {**ADA, "email": email, "version": version}.items() if value is not None}
    return change(old=ADA, new=new)


def test_a_user_has_a_row_under_the_address(store: InMemoryProjection) -> None:
    apply(change(new=ADA))
    assert store.items == [{"email": "ada@example.com", "userId": "u1", "plan": "free"}]


def test_a_new_address_moves_the_row(store: InMemoryProjection) -> None:
    apply(change(new=ADA), moved("countess@example.com"))
    assert [row["email"] for row in store.items] == ["countess@example.com"]


def test_a_move_that_arrives_first_is_not_undone(store: InMemoryProjection) -> None:
    apply(moved("countess@example.com"), change(new=ADA))
    assert [row["email"] for row in store.items] == ["countess@example.com"]


def test_an_address_that_passes_to_another_user_with_a_smaller_version_is_that_users(store: InMemoryProjection) -> None:
    grace = {"userId": "u2", "email": ADA["email"], "plan": "pro", "version": 1}
    apply(change(new=ADA), moved("countess@example.com"), change(new=grace))
    assert [(row["email"], row["userId"]) for row in store.items] == [
        ("countess@example.com", "u1"),
        ("ada@example.com", "u2"),
    ]


@pytest.mark.parametrize("email", [None, "", 7])
def test_a_user_without_an_address_has_no_row(store: InMemoryProjection, email: Any) -> None:
    apply(change(new=ADA), moved(email))
    assert store.items == []
    apply(change(old={**ADA, "email": email, "version": 8}, new={**ADA, "version": 9}))
    assert [row["email"] for row in store.items] == ["ada@example.com"]


def test_a_deleted_user_has_no_row_even_if_an_older_change_comes_late(store: InMemoryProjection) -> None:
    apply(change(old={**ADA, "version": 8}), change(new=ADA))
    assert store.items == []


def test_a_user_is_expected_under_the_present_address_with_the_plan() -> None:
    (expected,) = users_by_email.handler.expected(Image(encode_item(ADA)))
    assert expected.name == "email=ada@example.com, userId=u1"
    row = {"email": ADA["email"], "userId": "u1", "version": 6}
    assert expected.state([None], now=0) == "missing"
    assert expected.state([encode_item({**row, "plan": "pro"})], now=0) == "missing"
    # The consumer does not read changes of other attributes, which advance the version too.
    assert expected.state([encode_item({**row, "plan": ADA["plan"]})], now=0) == "there"


@pytest.mark.parametrize("without", ["email", "version"])
def test_a_user_without_an_address_or_a_version_is_expected_nowhere(without: str) -> None:
    user = {name: value for name, value in ADA.items() if name != without}
    assert users_by_email.handler.expected(Image(encode_item(user))) == []


#: Writes of two users who may swap their addresses: the user, the address or `None` for none, and the plan; a plan of
#: `None` is a delete.
writes = st.lists(
    st.tuples(
        st.sampled_from(["u1", "u2"]),
        st.sampled_from(["a@example.com", "b@example.com", None]),
        st.sampled_from(["free", "pro", None]),
    ),
    min_size=1,
    max_size=8,
)


@given(writes, st.data())
def test_the_rows_are_the_tables_after_any_history_and_any_deliveries(
    done: list[tuple[str, str | None, str | None]], data: st.DataObject
) -> None:
    table: dict[str, dict[str, Any]] = {}
    changes: list[Change] = []
    for version, (user, email, plan) in enumerate(done, start=1):
        old = table.pop(user, None)
        if plan is not None:
            table[user] = {"userId": user, "plan": plan, "version": version} | ({"email": email} if email else {})
        if old or user in table:
            changes.append(change(old=old, new=table.get(user)))
    with pytest.MonkeyPatch.context() as patch:
        store = projected_into(patch)
        for _ in range(2):
            apply(*data.draw(st.permutations(changes)))
    expected = {(item["email"], item["userId"], item["plan"]) for item in table.values() if "email" in item}
    assert {(row["email"], row["userId"], row["plan"]) for row in store.items} == expected
