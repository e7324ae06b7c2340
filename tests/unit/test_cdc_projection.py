"""A projection in DynamoDB: which attributes a caller may write, and what happens when others write meanwhile."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from handlers.cdc import Change
from handlers.cdc.projection import DynamoDBProjection, ProjectionContended, guard_of
from handlers.cdc.projection_redis import RedisProjection
from handlers.cdc.projection_table import ProjectionTable
from handlers.cdc.testing import InMemoryProjection, change

POST = change(new={"id": "p1", "title": "t", "version": 3})
KEY = {"id": "p1"}
Call = Callable[[DynamoDBProjection, dict[str, Any]], bool]
CALLS: dict[str, Call] = {
    "put": lambda posts, attributes: posts.put(POST, {**KEY, **attributes}),
    "update": lambda posts, attributes: posts.update(POST, KEY, {"title": "t", **attributes}),
    "delete": lambda posts, attributes: posts.delete(POST, {**KEY, **attributes}),
}


@pytest.fixture
def view() -> InMemoryProjection:
    return InMemoryProjection(key=["id"])


@pytest.fixture
def posts(view: InMemoryProjection) -> DynamoDBProjection:
    return DynamoDBProjection("VIEW", store=view)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("version", 4),
        ("version", None),
        ("version", "3"),
        ("sequence", "1"),
        ("deleted", False),
        ("deleted", True),
        ("expiresAt", 1_900_000_000),
        ("version#", {"title"}),
        ("version#title", 3),
        ("sequence#title", "3"),
    ],
)
def test_an_attribute_of_the_projections_own_is_refused_before_it_is_written(
    posts: DynamoDBProjection, view: InMemoryProjection, call: str, name: str, value: Any
) -> None:
    with pytest.raises(ValueError, match=f"{name} is an attribute of the projection's own"):
        CALLS[call](posts, {name: value})
    assert not view.items


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("guard", ["version", "sequence"])
def test_a_guard_may_be_given_as_the_change_has_it(view: InMemoryProjection, call: str, guard: Any) -> None:
    posts = DynamoDBProjection("VIEW", guard_by=guard, store=view)
    assert CALLS[call](posts, {"version": Decimal(3), "sequence": guard_of(POST, "sequence")})


def test_a_whole_image_is_put_and_updated_as_it_is(posts: DynamoDBProjection, view: InMemoryProjection) -> None:
    assert posts.put(POST, POST.item)
    newer = change(new={"id": "p1", "title": "u", "version": 4})
    assert posts.update(newer, newer.keys, newer.item)
    assert view.items == [{"id": "p1", "title": "u"}]


def test_partial_updates_out_of_order_lose_nothing(posts: DynamoDBProjection, view: InMemoryProjection) -> None:
    def at(version: int) -> Change:
        return change(new={"id": "p1", "version": version})

    assert posts.update(at(3), KEY, {"title": "new"})
    assert posts.update(at(2), KEY, {"title": "old", "author": "ada"})
    assert not posts.update(at(2), KEY, {"title": "old"})
    assert view.items == [{"id": "p1", "title": "new", "author": "ada"}]
    assert posts.put(at(1), {**KEY, "title": "first", "likes": 1})
    assert view.items == [{"id": "p1", "title": "new", "author": "ada", "likes": 1}]
    assert posts.delete(change(old={"id": "p1", "version": 2}), KEY)
    assert view.items == [{"id": "p1", "title": "new"}]
    assert posts.delete(change(old={"id": "p1", "version": 3}), KEY)
    assert view.items == []


def test_a_key_never_changes(posts: DynamoDBProjection) -> None:
    with pytest.raises(ValueError, match="id is the item's key and has another value"):
        posts.update(POST, KEY, {"id": "p2", "title": "t"})


@pytest.mark.parametrize("attributes", [{}, {"id": "p1"}, {"version": 3}])
def test_an_update_of_nothing_is_refused(posts: DynamoDBProjection, attributes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no attribute to set"):
        posts.update(POST, KEY, attributes)


@pytest.mark.parametrize(
    ("value", "error"), [(1.5, TypeError), (set(), TypeError), (object(), TypeError), (Decimal("NaN"), ValueError)]
)
@pytest.mark.parametrize("call", ["put", "update"])
def test_a_value_that_dynamodb_cannot_store_is_refused_by_its_name(
    posts: DynamoDBProjection, call: str, value: Any, error: type[Exception]
) -> None:
    with pytest.raises(error, match="score cannot be stored: "):
        CALLS[call](posts, {"score": value})


def test_an_item_without_its_key_is_refused_in_memory(posts: DynamoDBProjection) -> None:
    with pytest.raises(ValueError, match="no key attribute id"):
        posts.put(POST, {"title": "t"})


@pytest.mark.parametrize(
    ("settings", "says"),
    [({"keep_deleted": timedelta(hours=23)}, "shorter than the 24 hours"), ({"guard_by": "time"}, "must be one of")],
)
def test_settings_that_would_bring_items_back_are_refused(settings: Any, says: str) -> None:
    for make in (DynamoDBProjection, RedisProjection):
        with pytest.raises(ValueError, match=says):
            make("VIEW", **settings)


class Refused(Exception):
    """Another writer was faster."""

    def __init__(self, version: int) -> None:
        super().__init__(version)
        self.response = {"Item": {"id": {"S": "p1"}, "version": {"N": str(version)}}}


class Contended:
    """A table in which another writer is faster, a number of times."""

    def __init__(self, times: int) -> None:
        self.exceptions = type("exceptions", (), {"ConditionalCheckFailedException": Refused})
        self.times = times
        self.calls = 0

    def put_item(self, **_: Any) -> None:
        self.calls += 1
        if self.calls <= self.times:
            raise Refused(version=-self.calls)


@pytest.mark.parametrize(("times", "contended"), [(0, False), (3, False), (10_000, True)])
def test_a_write_that_others_are_faster_than_is_tried_again_and_fails_at_last(
    monkeypatch: pytest.MonkeyPatch, times: int, contended: bool
) -> None:
    table = Contended(times)
    monkeypatch.setenv("VIEW", "view")
    monkeypatch.setattr("handlers.cdc.projection_table.BoundedClient", lambda *_, **__: table)
    posts = DynamoDBProjection("VIEW", store=ProjectionTable("VIEW"))
    if contended:
        with pytest.raises(ProjectionContended, match="was changed by others before each of 10 writes"):
            posts.put(POST, POST.item)
        assert table.calls == 10
    else:
        assert posts.put(POST, POST.item)
        assert table.calls == times + 1
