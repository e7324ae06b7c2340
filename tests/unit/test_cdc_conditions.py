from decimal import Decimal
from typing import Any

import pytest

from handlers.cdc import Change, ImageNotAvailable, consumer, on
from handlers.cdc.testing import Invocation, change, record, stream_event

ITEM = {
    "id": "u1",
    "plan": "pro",
    "seats": 3,
    "active": True,
    "note": None,
    "blob": b"\x01\x02\xff",
    "tags": {"a", "b"},
    "sizes": {1, 2},
    "keys": {b"\x01"},
    "list": ["x", 7, ["y"]],
    "profile": {"city": "Bern", "zip": "3000", "a.b": 1},
}
INSERT = change(new=ITEM)
MODIFY = change(old={**ITEM, "plan": "free"}, new=ITEM)
REMOVE = change(old=ITEM)

TRUE = [
    on.new("plan").eq("pro"),
    on.new("plan").ne("free"),
    on.new("plan").is_in(["free", "pro"]),
    on.new("plan").is_in({"pro"}),
    on.new("plan").begins_with("pr"),
    on.new("plan").begins_with(""),
    on.new("plan").between("pro", "pro"),
    on.new("plan").gt("prn"),
    on.new("plan").gte("pro"),
    on.new("plan").lt("prp"),
    on.new("plan").lte("pro"),
    on.new("plan").contains("r"),
    on.new("plan").exists(),
    on.new("seats").eq(3),
    on.new("seats").eq(Decimal("3.0")),
    on.new("seats").is_in([1, 3]),
    on.new("seats").between(1, 3),
    on.new("seats").gt(Decimal("2.9")),
    on.new("seats").lt(10),
    on.new("active").eq(True),
    on.new("note").eq(None),
    on.new("note").exists(),
    on.new("blob").eq(b"\x01\x02\xff"),
    on.new("blob").begins_with(b"\x01\x02"),
    on.new("blob").contains(b"\x02"),
    on.new("blob").gt(b"\x01\x02"),
    # A set is written in another order by each process, so its test has a name of its own.
    pytest.param(on.new("tags").eq({"b", "a"}), id="on.new('tags').eq(a set)"),
    on.new("tags").contains("a"),
    on.new("sizes").contains(Decimal("2.0")),
    on.new("keys").contains(b"\x01"),
    on.new("list").contains("x"),
    on.new("list").contains(["y"]),
    on.new("list").contains(7),
    on.new(("list", 0)).eq("x"),
    on.new("list.1").eq(7),
    on.new("profile.city").eq("Bern"),
    on.new(("profile", "a.b")).eq(1),
    on.new("profile").eq(ITEM["profile"]),
    on.key("id").eq("u1"),
    on.new("nothing").not_exists(),
    on.new("profile.street").not_exists(),
    on.new("plan.city").not_exists(),
    on.new(("list", 9)).not_exists(),
    on.new("nothing").ne("pro"),
]

FALSE = [
    on.new("plan").eq("PRO"),
    on.new("plan").ne("pro"),
    on.new("plan").eq(["pro"]),
    on.new("plan").eq(None),
    on.new("plan").is_in(["free"]),
    on.new("plan").begins_with("o"),
    on.new("plan").begins_with(b"pr"),
    on.new("plan").between("a", "b"),
    on.new("plan").gt("pro"),
    on.new("plan").gt(1),
    on.new("plan").lt(b"z"),
    on.new("plan").contains("x"),
    on.new("plan").contains(b"r"),
    on.new("seats").eq("3"),
    on.new("seats").eq(True),
    on.new("seats").contains(3),
    on.new("seats").begins_with("3"),
    on.new("active").eq(1),
    on.new("active").eq(False),
    on.new("note").not_exists(),
    on.new("tags").contains("c"),
    on.new("tags").contains(1),
    on.new("tags").eq({"a"}),
    on.new("sizes").contains("1"),
    on.new("list").contains("y"),
    on.new("profile").contains("city"),
    on.new("profile.city").begins_with("Z"),
    on.new("nothing").eq("pro"),
    on.new("nothing").is_in(["pro"]),
    on.new("nothing").begins_with(""),
    on.new("nothing").between(0, 9),
    on.new("nothing").gt(0),
    on.new("nothing").gte(0),
    on.new("nothing").lt(0),
    on.new("nothing").lte(0),
    on.new("nothing").contains("a"),
    on.new("nothing").exists(),
    on.new(("plan", 0)).exists(),
    on.key("other").exists(),
]


@pytest.mark.parametrize("condition", TRUE, ids=map(repr, TRUE))
def test_a_condition_holds_and_its_opposite_does_not(condition):
    assert condition(MODIFY)
    assert not (~condition)(MODIFY)


@pytest.mark.parametrize("condition", FALSE, ids=map(repr, FALSE))
def test_a_condition_does_not_hold_and_its_opposite_does(condition):
    assert not condition(MODIFY)
    assert (~condition)(MODIFY)


def test_the_kind_of_a_change():
    kinds = {"insert": INSERT, "modify": MODIFY, "remove": REMOVE}
    for name in kinds:
        assert [getattr(on, name)(candidate) for candidate in kinds.values()] == [name == kind for kind in kinds]
    expired = change(old=ITEM, ttl_delete=True)
    assert on.ttl_delete(expired)
    assert on.remove(expired)
    assert not on.ttl_delete(REMOVE)


def test_a_missing_image_is_as_if_its_attributes_were_missing():
    for condition in (on.old("plan").eq("pro"), on.old("plan").exists(), on.old("seats").lt(9)):
        assert not condition(INSERT)
        assert (~condition)(INSERT)
    assert on.new("plan").not_exists()(REMOVE)
    assert on.new("plan").ne("pro")(REMOVE)


def test_an_image_that_the_view_type_lacks_is_an_error_under_not_as_well():
    keys_only = Change(record(old=ITEM, new=ITEM, view_type="KEYS_ONLY"))
    for condition in (on.new("plan").eq("pro"), on.old("plan").not_exists(), ~on.changed("plan")):
        with pytest.raises(ImageNotAvailable):
            condition(keys_only)
    assert on.key("id").eq("u1")(keys_only)


def test_changed_sees_appearing_and_vanishing():
    assert on.changed("plan")(MODIFY)
    assert on.changed("plan")(INSERT)
    assert on.changed("plan")(REMOVE)
    assert not on.changed("seats")(MODIFY)
    assert not on.changed("nothing")(MODIFY)
    assert on.changed("profile.city")(change(old={"id": 1, "profile": {"city": "a"}}, new={"id": 1, "profile": {}}))


def test_conditions_combine():
    upgraded = on.modify & on.changed("plan") & on.new("plan").is_in(["pro", "enterprise"])
    assert upgraded(MODIFY)
    assert not upgraded(INSERT)
    either = on.insert | on.new("plan").eq("free") | on.remove
    assert [either(candidate) for candidate in (INSERT, MODIFY, REMOVE)] == [True, False, True]
    neither = ~(on.insert | on.remove)
    assert [neither(candidate) for candidate in (INSERT, MODIFY, REMOVE)] == [False, True, False]
    assert ~neither == on.insert | on.remove


def test_reading_stops_where_the_answer_is_known():
    keys_only = Change(record(new=ITEM, view_type="KEYS_ONLY"))
    assert not (on.remove & on.new("plan").exists())(keys_only)
    assert (on.insert | on.new("plan").exists())(keys_only)


def test_a_condition_reads_as_it_is_written():
    condition = ~(on.insert | on.remove) & on.changed("profile.city") & ~on.old(("tags", 0)).is_in(["a", 1])
    assert repr(condition) == (
        "~(on.insert | on.remove) & on.changed('profile.city') & ~on.old(('tags', 0)).is_in(['a', Decimal('1')])"
    )
    assert repr((on.ttl_delete | on.key("id").eq("a")) & on.modify) == (
        "(on.ttl_delete | on.key('id').eq('a')) & on.modify"
    )
    assert repr(on.new("plan")) == "on.new('plan')"


def test_and_or_not_are_refused_because_they_would_lose_a_condition():
    with pytest.raises(TypeError, match=r"& \| ~"):
        on.insert and on.remove  # noqa: B018 - the mistake itself
    with pytest.raises(TypeError, match=r"& \| ~"):
        not on.insert  # noqa: B018 - the mistake itself


def test_an_attribute_without_an_operator_is_refused():
    with pytest.raises(TypeError, match=r"on\.new\('plan'\) is not a condition"):
        on.insert & on.new("plan")
    with pytest.raises(TypeError, match="not a condition"):
        on.insert | True


@pytest.mark.parametrize(
    ("make", "error", "reason"),
    [
        (lambda: on.new(""), ValueError, "empty names"),
        (lambda: on.new(()), ValueError, "begins with an attribute's name"),
        (lambda: on.new((0, "a")), ValueError, "begins with an attribute's name"),
        (lambda: on.old("a..b"), ValueError, "empty names"),
        (lambda: on.new("a").is_in([]), ValueError, "at least one value"),
        (lambda: on.new("a").is_in("pro"), TypeError, r"write \['pro'\]"),
        (lambda: on.new("a").eq(1.5), TypeError, "float"),
        (lambda: on.new("a").begins_with(1), TypeError, "a string or bytes, not 1"),
        (lambda: on.new("a").gt(None), TypeError, "a number or a string or bytes, not None"),
        (lambda: on.new("a").lte(True), TypeError, "a number or a string or bytes, not True"),
        (lambda: on.new("a").between(2, 1), ValueError, "could never be true"),
        (lambda: on.new("a").between("1", 2), ValueError, "two of one type"),
    ],
)
def test_what_could_never_be_meant_is_refused_at_once(make, error, reason):
    with pytest.raises(error, match=reason):
        make()


def test_writes_of_another_region_can_be_left_out() -> None:
    own = on.modify & ~on.from_another_region
    old = {"id": 1, "originRegion": "us-east-1"}
    assert own(change(old=old, new={"id": 1, "originRegion": "us-east-1"}))
    assert not own(change(old=old, new={"id": 1, "originRegion": "eu-west-1"}))
    assert own(change(old={"id": 1}, new={"id": 1, "plan": "pro"}))  # a writer that does not say where it is
    assert repr(own) == "on.modify & ~on.from_another_region"


@pytest.mark.parametrize("path", ["tags[0]", ("tags", 0), "tags.0"])
def test_an_index_is_written_as_dynamodb_writes_it(path: Any) -> None:
    assert on.new(path).eq("a")(change(new={"id": 1, "tags": ["a"]}))
    assert on.changed(path)(change(old={"id": 1, "tags": ["b"]}, new={"id": 1, "tags": ["a"]}))


@pytest.mark.parametrize("path", ["tags[-1]", ("tags", -1), "tags[x]", "tags[", "[0]", "tags[0]x"])
def test_a_negative_index_and_anything_else_that_is_no_path_is_refused(path: Any) -> None:
    with pytest.raises(ValueError, match=r"index|path"):
        on.new(path)
    with pytest.raises(ValueError, match=r"index|path"):
        on.changed(path)


def test_a_condition_is_evaluated_on_the_record_before_there_is_a_change(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("handlers.cdc.attempt.Change", None)

    @consumer(when=on.modify & on.changed("plan") & on.new("plan").eq("pro"))
    def handler(_: object) -> None:
        pytest.fail("it is not wanted")

    given = record(old={"id": 1, "plan": "pro"}, new={"id": 1, "plan": "free"})
    assert handler(stream_event(given), Invocation()) == {"batchItemFailures": []}


def test_a_condition_is_compiled_once() -> None:
    condition = on.modify & on.new("plan").eq("pro")
    assert condition.matches is condition.matches
