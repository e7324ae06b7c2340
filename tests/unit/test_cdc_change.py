"""`Change`: what a stream record says."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from handlers.cdc import ABSENT, Change, ImageNotAvailable
from handlers.cdc.attribute_values import decode, encode, same
from handlers.cdc.testing import change, record

ADA = {"userId": "u1", "plan": "free", "profile": {"address": {"city": "Bern"}}, "tags": ["a", "b"], "x.y": 1}


def test_an_insert_has_no_old_image_and_a_remove_no_new_one() -> None:
    insert, remove = change(new=ADA), change(old=ADA)
    assert (insert.event_name, insert.old, insert.new) == ("INSERT", None, ADA)
    assert (remove.event_name, remove.old, remove.new) == ("REMOVE", ADA, None)


def test_a_record_says_where_it_comes_from() -> None:
    raw = record(new=ADA, table="users", created=1_700_000_000.0)
    it = Change(raw)
    assert it.event_id == raw["eventID"]
    assert it.sequence_number == raw["dynamodb"]["SequenceNumber"]
    assert it.table_name == "users"
    assert it.keys == {"userId": "u1"}
    assert it.approximate_creation_time == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)


def test_a_record_that_was_never_written_to_a_stream_has_no_creation_time() -> None:
    raw = record(new=ADA)
    del raw["dynamodb"]["ApproximateCreationDateTime"]
    assert Change({**raw, "origin": "snapshot"}).approximate_creation_time is None


@pytest.mark.parametrize(
    ("view_type", "old", "new"),
    [
        ("KEYS_ONLY", False, False),
        ("NEW_IMAGE", False, True),
        ("OLD_IMAGE", True, False),
        ("NEW_AND_OLD_IMAGES", True, True),
    ],
)
def test_an_image_that_the_stream_does_not_carry_is_an_error_and_never_none(
    view_type: str, old: bool, new: bool
) -> None:
    it = change(old=ADA, new={**ADA, "plan": "pro"}, view_type=view_type)
    for available, read in ((old, lambda: it.old), (new, lambda: it.new)):
        if available:
            assert read()["userId"] == "u1"
        else:
            with pytest.raises(ImageNotAvailable, match=f"view type is {view_type}.*NEW_AND_OLD_IMAGES carries both"):
                read()
    if not (old and new):
        with pytest.raises(ImageNotAvailable):
            it.changed("plan")
        with pytest.raises(ImageNotAvailable):
            it.diff()


def test_an_insert_into_a_stream_without_old_images_still_says_so() -> None:
    with pytest.raises(ImageNotAvailable):
        _ = change(new=ADA, view_type="NEW_IMAGE").old


@pytest.mark.parametrize(
    ("path", "new", "changed"),
    [
        ("plan", {"plan": "pro"}, True),
        ("plan", {"seen": 1}, False),
        ("profile.address.city", {"profile": {"address": {"city": "Basel"}}}, True),
        ("profile.address.city", {"profile": {"address": {"city": "Bern", "zip": 3000}}}, False),
        ("profile.address", {"profile": {"address": {"city": "Bern", "zip": 3000}}}, True),
        (("profile", "address", "city"), {"profile": {"address": {"city": "Basel"}}}, True),
        ("profile.address.city", {"profile": "gone"}, True),
        (("tags", 0), {"tags": ["z", "b"]}, True),
        (("tags", 1), {"tags": ["z", "b"]}, False),
        ("tags.0", {"tags": ["z", "b"]}, True),
        (("tags", 2), {"tags": ["a", "b", "c"]}, True),
        (("tags", 9), {"tags": ["z"]}, False),
        ("nowhere", {"plan": "pro"}, False),
        ("nowhere.at.all", {"plan": "pro"}, False),
        ("plan.length", {"plan": "pro"}, False),
        ("x.y", {"x.y": 2}, False),
        (("x.y",), {"x.y": 2}, True),
    ],
)
def test_changed_compares_one_place_of_both_images(path: Any, new: dict[str, Any], changed: bool) -> None:
    assert change(old=ADA, new={**ADA, **new}).changed(path) is changed


def test_appearing_and_vanishing_are_changes_and_null_is_a_value() -> None:
    assert change(new=ADA).changed("plan")
    assert change(old=ADA).changed("plan")
    assert change(old={"id": 1}, new={"id": 1, "a": None}).changed("a")
    assert not change(old={"id": 1, "a": None}, new={"id": 1, "a": None, "b": 1}).changed("a")


def test_diff_names_every_attribute_that_differs() -> None:
    it = change(old={"id": 1, "gone": 1, "same": [1], "a": "x"}, new={"id": 1, "same": [1], "a": "y", "fresh": None})
    assert it.diff() == {"gone": (Decimal(1), ABSENT), "a": ("x", "y"), "fresh": (ABSENT, None)}
    assert change(new={"id": 1}).diff() == {"id": (ABSENT, Decimal(1))}


def test_only_a_service_delete_is_a_ttl_delete() -> None:
    assert change(old=ADA, ttl_delete=True).is_ttl_delete
    assert not change(old=ADA).is_ttl_delete
    assert not change(new=ADA, ttl_delete=True).is_ttl_delete
    explicit_null = record(old=ADA)
    explicit_null["userIdentity"] = None
    assert not Change(explicit_null).is_ttl_delete


def test_the_version_is_the_new_images_or_the_last_one_of_a_removed_item() -> None:
    assert change(old={"id": 1, "version": 7}, new={"id": 1, "version": 8}).version == 8
    assert change(old={"id": 1, "version": 7}).version == 7
    assert change(new={"id": 1}).version is None
    assert change(new={"id": 1, "version": "8"}).version is None


def test_a_repr_shows_identity_and_never_content() -> None:
    it = change(new={"userId": "u1", "email": "ada@example.com"})
    assert "ada" not in repr(it)
    assert it.event_id in repr(it)


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [
        ({"N": "1"}, {"N": "1.0"}, True),
        ({"N": "1"}, {"S": "1"}, False),
        ({"N": "1"}, {"BOOL": True}, False),
        ({"SS": ["a", "b"]}, {"SS": ["b", "a"]}, True),
        ({"NS": ["1", "2.0"]}, {"NS": ["2", "1"]}, True),
        ({"BS": ["YQ=="]}, {"BS": [b"a"]}, True),
        ({"L": [{"N": "1"}]}, {"L": [{"N": "1.0"}]}, True),
        ({"L": [{"N": "1"}]}, {"L": []}, False),
        ({"M": {"a": {"N": "1"}}}, {"M": {"a": {"N": "1e0"}}}, True),
        ({"M": {"a": {"N": "1"}}}, {"M": {"b": {"N": "1"}}}, False),
        (None, {"NULL": True}, False),
    ],
)
def test_equality_is_dynamodbs(left: Any, right: Any, equal: bool) -> None:
    assert same(left, right) is equal
    assert same(right, left) is equal


@pytest.mark.parametrize("value", [{}, {"S": "a", "N": "1"}, {"X": "a"}])
def test_a_value_that_is_no_attribute_value_is_an_error(value: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="type descriptor"):
        decode(value)


@pytest.mark.parametrize("value", [1.5, set(), {1, "a"}, {True}, object(), {(1, 2)}])
def test_a_value_that_dynamodb_has_no_type_for_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        encode(value)
