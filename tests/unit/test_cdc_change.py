"""`Change`: what a stream record says."""

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from handlers.cdc import ABSENT, Change, ImageNotAvailable, on
from handlers.cdc.attribute_values import decode, encode, same
from handlers.cdc.change import path_steps
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
        ("tags[0]", {"tags": ["z", "b"]}, True),
        ("tags[1]", {"tags": ["z", "b"]}, False),
        ("tags[9]", {"tags": ["z"]}, False),
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


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("tags[-1]", "whole numbers from 0 in brackets"),
        ("tags[x]", "whole numbers from 0 in brackets"),
        ("tags[0", "whole numbers from 0 in brackets"),
        ("tags]0[", "whole numbers from 0 in brackets"),
        ("[0]", "is not a path"),
        ("a..b", "no empty names"),
        ("", "no empty names"),
        ((), "begins with an attribute's name"),
        ((0, "a"), "begins with an attribute's name"),
        (("a", ""), "no empty names"),
        (("tags", -1), "no negative indexes"),
    ],
)
def test_what_is_not_a_path_is_refused_by_changes_and_conditions(path: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        change(new=ADA).changed(path)
    for declare in (on.changed, on.new, on.old):
        with pytest.raises(ValueError, match=says):
            declare(path)


def test_a_path_may_lead_through_lists_of_lists_and_maps() -> None:
    assert path_steps("orders[2][0].lines[10].price") == ("orders", 2, 0, "lines", 10, "price")
    it = change(old={"id": 1, "a": [[{"b": 1}]]}, new={"id": 1, "a": [[{"b": 2}]]})
    assert it.changed("a[0][0].b")
    assert on.new("a[0][0].b").eq(2)(it)


OLD = {
    "id": 1,
    "home": {"city": "Bern", "zip": 3000, "geo": {"lat": 1}},
    "tags": ["a", "b"],
    "set": {"x"},
    "mixed": {"a": 1},
    "same": [1, {"b": 2}],
    "a.b": {"c[0]": 1},
}
NEW = {
    "id": Decimal("1.0"),
    "home": {"city": "Basel", "zip": 3000, "geo": {}},
    "tags": ["a", "c", "d"],
    "set": {"x", "y"},
    "mixed": [1],
    "same": [1, {"b": 2}],
    "a.b": {"c[0]": 2},
    "note": None,
}


def test_a_nested_diff_names_the_places_that_differ_by_their_paths() -> None:
    it = change(old=OLD, new=NEW)
    assert it.diff(nested=True) == {
        "home.city": ("Bern", "Basel"),
        "home.geo.lat": (1, ABSENT),
        "tags[1]": ("b", "c"),
        "tags[2]": (ABSENT, "d"),
        "set": ({"x"}, {"x", "y"}),
        "mixed": ({"a": 1}, [1]),
        ("a.b", "c[0]"): (1, 2),
        "note": (ABSENT, None),
    }
    assert all(it.changed(path) for path in it.diff(nested=True))
    assert list(it.diff()) == ["home", "tags", "set", "mixed", "a.b", "note"]


def test_a_nested_diff_of_an_insertion_and_a_removal_has_whole_attributes() -> None:
    item = {"id": 1, "home": {"city": "Bern"}}
    assert change(new=item).diff(nested=True) == {"id": (ABSENT, 1), "home": (ABSENT, {"city": "Bern"})}
    assert change(old=item).diff(nested=True) == {"id": (1, ABSENT), "home": ({"city": "Bern"}, ABSENT)}


def test_the_item_is_the_one_after_the_change_and_for_a_removal_the_last_one() -> None:
    assert change(new={"id": 1}).item == {"id": 1}
    assert change(old={"id": 1, "a": 1}, new={"id": 1, "a": 2}).item["a"] == 2
    assert change(old={"id": 1, "a": 1}).item["a"] == 1


@pytest.mark.parametrize(
    ("images", "view_type"),
    [
        ({"new": {"id": 1}}, "OLD_IMAGE"),
        ({"old": {"id": 1}, "new": {"id": 1}}, "OLD_IMAGE"),
        ({"old": {"id": 1}}, "NEW_IMAGE"),
        ({"new": {"id": 1}}, "KEYS_ONLY"),
    ],
)
def test_an_item_that_the_view_type_does_not_carry_is_an_error(images: Any, view_type: Any) -> None:
    with pytest.raises(ImageNotAvailable, match=f"view type is {view_type}"):
        _ = change(**images, view_type=view_type).item


def test_an_item_that_its_record_lacks_is_an_error_and_never_none() -> None:
    raw = record(new={"id": 1})
    del raw["dynamodb"]["NewImage"]
    with pytest.raises(ImageNotAvailable, match="has no image of the item"):
        _ = Change(raw).item


def test_a_record_names_the_region_of_its_stream() -> None:
    assert change(new={"id": 1}, region="eu-west-1").region == "eu-west-1"
    raw = record(new={"id": 1}, region="eu-west-1")
    del raw["awsRegion"]
    assert Change(raw).region == "eu-west-1"
    del raw["eventSourceARN"]
    assert Change(raw).region == ""


@pytest.mark.parametrize(
    ("images", "origin", "elsewhere"),
    [
        ({"new": {"id": 1, "originRegion": "eu-west-1"}}, "eu-west-1", False),
        ({"new": {"id": 1, "originRegion": "us-east-2"}}, "us-east-2", True),
        ({"old": {"id": 1, "originRegion": "us-east-2"}}, "us-east-2", True),
        (
            {"old": {"id": 1, "originRegion": "us-east-2"}, "new": {"id": 1, "originRegion": "eu-west-1"}},
            "eu-west-1",
            False,
        ),
        ({"new": {"id": 1}}, None, False),
        ({"new": {"id": 1, "originRegion": 7}}, None, False),
    ],
)
def test_a_write_of_another_region_is_told_apart_by_the_writers_mark(
    images: Any, origin: str | None, elsewhere: bool
) -> None:
    it = change(**images, region="eu-west-1")
    assert (it.origin_region, it.is_from_another_region) == (origin, elsewhere)


@pytest.mark.parametrize(
    ("expires_at", "removed_at", "expired"),
    [
        (1_000, 1_000.0, True),
        (1_000, 999.0, False),
        (1_000, 5_000.0, True),
        ("1000", 5_000.0, False),
        (None, 5_000.0, False),
    ],
)
def test_a_replicated_ttl_delete_is_a_removal_of_an_expired_item(
    expires_at: Any, removed_at: float, expired: bool
) -> None:
    removal = change(old={"id": 1, "expiresAt": expires_at}, created=removed_at)
    assert not removal.is_ttl_delete
    assert removal.had_expired() is expired
    assert not removal.had_expired("ttl")
    assert not change(new={"id": 1, "expiresAt": 1}).had_expired()


def test_a_snapshot_cannot_say_that_an_item_had_expired() -> None:
    raw = record(old={"id": 1, "expiresAt": 1})
    del raw["dynamodb"]["ApproximateCreationDateTime"]
    assert not Change(raw).had_expired()


def test_a_change_for_a_consumer_with_a_model_is_made_with_it() -> None:
    @dataclass
    class User:
        id: int

    it = change(old={"id": 1}, new={"id": 1}, model=User)
    assert (it.old, it.item) == (User(1), User(1))


def test_a_record_for_a_test_has_keys_that_the_item_has_and_a_view_type_that_exists() -> None:
    with pytest.raises(ValueError, match="no key attribute pk"):
        record(new={"id": 1}, keys=["pk"])
    with pytest.raises(ValueError, match="there is no view type 'ALL'"):
        record(new={"id": 1}, view_type="ALL")  # pyright: ignore[reportArgumentType] - the mistake


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
    assert change(new={"id": 1, "version": Decimal("8.0")}).version == 8
    assert change(new={"id": 1, "version": Decimal("8.5")}).version is None


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


@pytest.mark.parametrize(
    "number",
    [Decimal("NaN"), Decimal("Infinity"), 10**38 + 1, Decimal("1E+126"), Decimal("-1E-131"), Decimal("0." + "12" * 20)],
)
def test_a_number_that_dynamodb_cannot_store_is_refused_without_its_digits(number: Any) -> None:
    for value in (number, [number], {number}):
        with pytest.raises(ValueError, match="DynamoDB") as raised:
            encode(value)
        assert "1212" not in str(raised.value)


@pytest.mark.parametrize("number", [0, 10**125, Decimal("9.9E+125"), Decimal("1E-130"), -(10**38), Decimal("0E+300")])
def test_the_largest_and_smallest_numbers_are_encoded(number: Any) -> None:
    assert decode(encode(number)) == number


@pytest.mark.parametrize("value", [1.5, set(), {1, "a"}, {True}, object(), {(1, 2)}])
def test_a_value_that_dynamodb_has_no_type_for_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        encode(value)
