"""`model=`: images as instances of a consumer's own class."""

import datetime
import enum
import uuid
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import InitVar, dataclass, field, make_dataclass
from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple, NewType, NotRequired, Protocol, TypedDict

import pytest

from handlers.cdc import Change, Consumer, ImageDoesNotFit, consumer, on
from handlers.cdc.attribute_values import encode_item
from handlers.cdc.image import Image
from handlers.cdc.model import reader
from handlers.cdc.testing import Invocation, record, stream_event


class Plan(enum.Enum):
    FREE = "free"
    PRO = "pro"


class Level(enum.IntEnum):
    LOW = 1


@dataclass
class Address:
    city: str
    zip: int | None = None


@dataclass
class User:
    user_id: str
    plan: Plan
    seats: int = 1
    rate: float = 0.0
    exact: Decimal = Decimal(0)
    active: bool = True
    photo: bytes = b""
    address: Address | None = None
    tags: list[str] = field(default_factory=list[str])
    numbers: set[int] = field(default_factory=set[int])
    limits: dict[str, int] = field(default_factory=dict[str, int])
    kind: Literal["person", "robot"] = "person"
    level: Level | None = None
    anything: Any = None
    either: int | str = 0
    noted: Annotated[int, "a note"] = 0
    derived: str = field(init=False, default="x")


class Account(TypedDict):
    user_id: str
    seats: NotRequired[int]
    address: NotRequired[Address]


BASE = {"user_id": "u1", "plan": "pro"}


def image(**item: Any) -> Image:
    return Image(encode_item(item))


def test_a_dataclass_gets_the_types_it_asks_for() -> None:
    user = reader(User)(
        image(
            **BASE,
            seats=3,
            rate=Decimal("1.5"),
            exact=Decimal("0.1"),
            active=False,
            photo=b"x",
            address={"city": "Bern", "zip": 3000, "street": "ignored"},
            tags=["a"],
            numbers={1, 2},
            limits={"daily": 5},
            kind="robot",
            level=1,
            anything={"a": [1]},
            either="text",
            noted=7,
            not_in_the_model="ignored",
        )
    )
    assert user == User(
        user_id="u1",
        plan=Plan.PRO,
        seats=3,
        rate=1.5,
        exact=Decimal("0.1"),
        active=False,
        photo=b"x",
        address=Address("Bern", 3000),
        tags=["a"],
        numbers={1, 2},
        limits={"daily": 5},
        kind="robot",
        level=Level.LOW,
        anything={"a": [Decimal(1)]},
        either="text",
        noted=7,
    )
    assert (type(user.seats), type(user.limits["daily"]), type(user.rate)) == (int, int, float)


@pytest.mark.parametrize(
    ("item", "says"),
    [
        ({"plan": "pro"}, "the image is not a User: user_id is missing"),
        ({**BASE, "plan": "platinum"}, "plan is not a member of Plan"),
        ({**BASE, "plan": Decimal("0.5")}, "plan is not a member of Plan"),
        ({**BASE, "seats": Decimal("1.5")}, "seats is a Decimal, and the model wants int"),
        ({**BASE, "seats": "secret"}, "seats is a str, and the model wants int"),
        ({**BASE, "seats": True}, "seats is a bool, and the model wants int"),
        ({**BASE, "active": 1}, "active is a Decimal, and the model wants bool"),
        ({**BASE, "address": {"zip": 1}}, "address is a dict, and the model wants"),
        ({**BASE, "tags": [1]}, r"tags\[\] is a Decimal"),
        ({**BASE, "tags": "a"}, "tags is a str"),
        ({**BASE, "limits": {"daily": "secret"}}, "limits.daily is a str"),
        ({**BASE, "kind": "secret"}, "kind is a str"),
        ({**BASE, "either": b"x"}, "either is a bytes"),
    ],
)
def test_an_image_that_does_not_fit_is_an_error_that_names_the_attribute_and_not_the_value(
    item: dict[str, Any], says: str
) -> None:
    with pytest.raises(ImageDoesNotFit, match=says) as raised:
        reader(User)(image(**item))
    assert "secret" not in str(raised.value)


def test_a_nested_dataclass_that_does_not_fit_is_named_by_its_path() -> None:
    @dataclass
    class Strict:
        address: Address

    with pytest.raises(ImageDoesNotFit, match=r"the image is not a Address: address\.city is missing"):
        reader(Strict)(image(address={}))
    with pytest.raises(ImageDoesNotFit, match=r"address is a str"):
        reader(Strict)(image(address="Bern"))


def test_a_typed_dict_is_a_dict_of_what_it_names() -> None:
    assert reader(Account)(image(user_id="u1", seats=2, address={"city": "Bern"}, more=1)) == {
        "user_id": "u1",
        "seats": 2,
        "address": Address("Bern"),
    }
    assert reader(Account)(image(user_id="u1")) == {"user_id": "u1"}
    with pytest.raises(ImageDoesNotFit, match="user_id is missing"):
        reader(Account)(image(seats=2))


def test_a_pydantic_model_validates_the_image_and_its_errors_hold_no_values() -> None:
    import pydantic

    class Validated(pydantic.BaseModel):
        user_id: str
        seats: int

    assert reader(Validated)(image(user_id="u1", seats=3)) == Validated(user_id="u1", seats=3)
    with pytest.raises(ImageDoesNotFit, match="the image is not a Validated: seats: int_parsing") as raised:
        reader(Validated)(image(user_id="u1", seats="secret"))
    assert "secret" not in str(raised.value)
    assert raised.value.__suppress_context__


def test_a_model_of_another_kind_is_refused_when_the_consumer_is_made() -> None:
    with pytest.raises(TypeError, match="is not a dataclass, TypedDict or pydantic model"):
        consumer(model=int)(lambda change: None)


def test_a_consumer_with_a_model_is_given_its_instances() -> None:
    seen: list[tuple[Any, Any]] = []

    @consumer(model=Account)
    def handler(change: Change[Account]) -> None:
        seen.append((change.old, change.item["user_id"]))

    assert handler(stream_event(record(new={"user_id": "u1"})), Invocation()) == {"batchItemFailures": []}
    assert seen == [(None, "u1")]


def test_a_record_that_does_not_fit_fails_where_its_image_is_read() -> None:
    @consumer(model=Account)
    def handler(change: Change[Account]) -> None:
        if change.changed("seats"):
            _ = change.new

    given = record(old={"id": 1, "seats": 1}, new={"id": 1, "seats": 2})
    assert handler(stream_event(given), Invocation())["batchItemFailures"] == [
        {"itemIdentifier": given["dynamodb"]["SequenceNumber"]}
    ]


def test_a_consumer_that_asks_for_an_attribute_that_may_be_null_gets_none() -> None:
    assert reader(User)(image(**BASE, address=None, level=None)) == User("u1", Plan.PRO)


def test_a_null_where_none_is_wanted_does_not_fit() -> None:
    with pytest.raises(ImageDoesNotFit, match="seats is a NoneType"):
        reader(User)(image(**BASE, seats=None))


UserId = NewType("UserId", str)


@dataclass
class Shapes:
    pair: tuple[str, int] = ("", 0)
    numbers: tuple[int, ...] = ()
    anything: tuple[Any, ...] | list[Any] = ()
    sequence: Sequence[int] = ()
    names: Set[str] = frozenset()
    frozen: frozenset[int] = frozenset()
    plain: dict[str, Any] = field(default_factory=dict[str, Any])
    limits: Mapping[str, int] = field(default_factory=dict[str, int])
    user: UserId = UserId("")
    size: Literal[1, 2, "many"] = 1
    flag: Literal[True] | None = None
    parent: "Shapes | None" = None


def test_lists_become_tuples_and_sets_become_frozen_where_the_model_asks_for_them() -> None:
    shapes = reader(Shapes)(
        image(
            pair=["a", 1],
            numbers=[1, 2],
            anything=[1, "a"],
            sequence=[1],
            names={"x"},
            frozen={1},
            plain={"a": [1]},
            limits={"daily": 5},
            user="u1",
            size=2,
            flag=True,
            parent={"numbers": [3]},
        )
    )
    assert shapes == Shapes(
        pair=("a", 1),
        numbers=(1, 2),
        anything=(Decimal(1), "a"),
        sequence=[1],
        names={"x"},
        frozen=frozenset({1}),
        plain={"a": [Decimal(1)]},
        limits={"daily": 5},
        user=UserId("u1"),
        size=2,
        flag=True,
        parent=Shapes(numbers=(3,)),
    )
    assert (type(shapes.pair[1]), type(shapes.size)) == (int, int)


@pytest.mark.parametrize(
    ("item", "says"),
    [
        ({"pair": ["a"]}, "pair has 1 members, and the model wants 2"),
        ({"pair": ["a", "b"]}, r"pair\[1\] is a str"),
        ({"numbers": ["a"]}, r"numbers\[\] is a str"),
        ({"size": True}, "size is a bool"),
        ({"flag": 1}, "flag is a Decimal"),
        ({"parent": {"numbers": 1}}, "parent is a dict"),
    ],
)
def test_members_that_do_not_fit_are_named(item: dict[str, Any], says: str) -> None:
    with pytest.raises(ImageDoesNotFit, match=says):
        reader(Shapes)(image(**item))


class Point(NamedTuple):
    x: int


@pytest.mark.parametrize(
    ("wanted", "named"),
    [
        (datetime.date, "date"),
        (datetime.datetime, "datetime"),
        (uuid.UUID, "UUID"),
        (complex, "complex"),
        (Point, "Point"),
        (list[datetime.date], "date"),
        (dict[str, datetime.date], "date"),
        (dict[int, str], "dict"),
        (tuple[str, datetime.date], "date"),
        (str | datetime.date, "date"),
        (Annotated[datetime.date, "note"], "date"),
        (type, "type"),
        (Callable[[], None], "Callable"),
    ],
)
def test_a_type_that_no_image_fits_is_refused_when_the_consumer_is_made(wanted: Any, named: str) -> None:
    model = make_dataclass("Odd", [("when", wanted)])
    with pytest.raises(TypeError, match=rf"the model Odd has when[^:]*: .*{named}.* which no image fits"):
        consumer(model=model)(lambda change: None)


def test_a_type_inside_a_nested_model_is_refused_by_its_path() -> None:
    inner = make_dataclass("Inner", [("born", datetime.date)])
    model = make_dataclass("Outer", [("people", list[inner])])
    with pytest.raises(TypeError, match=r"the model Outer has people\[\]\.born: date"):
        reader(model)


def test_a_name_that_means_nothing_is_refused_when_the_consumer_is_made() -> None:
    with pytest.raises(TypeError, match="name 'Missing' is not defined"):
        reader(make_dataclass("Odd", [("x", "Missing")]))


def test_a_model_that_needs_more_than_attributes_is_refused() -> None:
    @dataclass
    class Odd:
        x: int
        extra: InitVar[str]

    with pytest.raises(TypeError, match="a Odd cannot be made of its attributes alone: missing a required argument"):
        reader(Odd)


def test_a_function_whose_annotation_needs_a_model_is_refused_without_it() -> None:
    def one(change: Change[User]) -> None: ...

    def batch(changes: Sequence[Change[User]]) -> None: ...

    with pytest.raises(TypeError, match=r"one takes a Change\[User\], but its consumer has no model.*add model=User"):
        consumer(one)  # pyright: ignore[reportCallIssue, reportArgumentType] - the mistake
    with pytest.raises(TypeError, match="its consumer has the model Address"):
        consumer(model=Address)(one)  # pyright: ignore[reportArgumentType] - the mistake
    with pytest.raises(TypeError, match="its consumer has no model"):
        consumer(whole_batch=True)(batch)  # pyright: ignore[reportArgumentType] - the mistake
    with pytest.raises(TypeError, match="its consumer has no model"):
        Consumer().on(on.insert)(one)  # pyright: ignore[reportArgumentType] - the mistake
    consumer(model=User)(one)
    consumer(model=User, whole_batch=True)(batch)


def test_a_function_that_says_less_than_its_model_is_taken() -> None:
    class Named(Protocol):
        user_id: str

    @dataclass
    class Admin(Address): ...

    def named(change: Change[Named]) -> None: ...

    def mapping(change: Change[Mapping[str, Any]]) -> None: ...

    def base(change: Change[Address]) -> None: ...

    def unresolved(change: "Change[Elsewhere]") -> None: ...  # noqa: F821 - such as a name for type checkers alone

    for function, model in [(named, User), (base, Admin)]:
        consumer(model=model)(function)  # pyright: ignore[reportArgumentType]
    for function in [mapping, unresolved]:
        consumer(function)


def test_each_function_of_a_consumer_may_have_a_model_of_its_own() -> None:
    several, seen = Consumer(match="all"), list[object]()

    @several.on(on.new("user_id").exists(), model=User)
    def user(change: Change[User]) -> None:
        seen.append(change.item.plan)

    @several.on(on.insert, model=Account)
    def account(change: Change[Account]) -> None:
        seen.append(change.item["user_id"])

    @several.on(on.insert)
    def plain(change: Change) -> None:
        seen.append(change.item["plan"])

    assert several(stream_event(record(new=BASE)), Invocation()) == {"batchItemFailures": []}
    assert seen == [Plan.PRO, "u1", "pro"]
    assert several.module == __name__


def test_a_consumer_of_several_functions_takes_its_models_by_function() -> None:
    with pytest.raises(TypeError, match=r"models by \.on\(condition, model=\)"):
        Consumer(model=User)
