"""Conditions on changes, which Python evaluates and AWS can, too.

    >>> from handlers.cdc import on
    >>> from handlers.cdc.testing import change
    >>> upgraded = on.modify & on.changed("plan") & on.new("plan").is_in(["pro", "enterprise"])
    >>> upgraded(change(old={"id": "u1", "plan": "free"}, new={"id": "u1", "plan": "pro"}))
    True

A condition is a plain predicate on a `Change`. Combined with `&`, `|` and `~` (not `and`, `or`, `not`) its parts stay
visible, so that `components.push_down.compiler` can turn it into event patterns. In Lambda it is compiled once and
evaluated on the record as it came, before there is a `Change`.

There are two truth values, and `~` always gives the other one:

| the attribute | comparisons | `exists` | `ne` | `not_exists` |
|---|---|---|---|---|
| has the operand's type | as the values say | true | as the values say | false |
| has another type | false | true | true | false |
| is missing, or its path leads nowhere | false | false | true | true |
| belongs to an image that this kind of change lacks (the old one of an INSERT) | false | false | true | true |
| belongs to an image that the stream's view type lacks | `ImageNotAvailable` | the same | the same | the same |

(comparisons: `eq is_in begins_with contains between gt gte lt lte`)

Numbers are numbers, however they are written: `1` is `1.0`, and no boolean. Strings and binaries are ordered by
their bytes, as DynamoDB does. NULL (`None`) is a value: `on.new("plan").eq(None)` is not `not_exists()`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, NoReturn

from handlers.cdc.attribute_values import Wire, decode, encode, same
from handlers.cdc.change import Change, EventName, Path, path_steps, value_at

Operator = Literal["eq", "is_in", "begins_with", "contains", "between", "gt", "gte", "lt", "lte", "exists"]
ImageName = Literal["OldImage", "NewImage", "Keys"]

#: A condition, compiled: a function of a record, which raises as `Condition.__call__`.
Test = Callable[[Mapping[str, Any]], bool]

_ORDERED = frozenset({"N", "S", "B"})


class Condition:
    """A predicate on changes. Made by `on`, combined with `&`, `|` and `~`.

    A value: two conditions are equal if they are made of equal parts, whose names are in `__match_args__`.
    """

    __match_args__: tuple[str, ...] = ()

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and all(
            getattr(self, name) == getattr(other, name) for name in self.__match_args__
        )

    def __hash__(self) -> int:
        return hash(repr(self))

    def __call__(self, change: Change[Any]) -> bool:
        """Return whether the change satisfies the condition.

        Raises:
            ImageNotAvailable: The stream's view type lacks an image that the condition reads.
        """
        return self.matches(change.record)

    @functools.cached_property
    def matches(self) -> Test:
        """The condition as a function of a record, in the shape that Lambda delivers it; compiled at the first use."""
        return self._compiled()

    def _compiled(self) -> Test:
        raise NotImplementedError

    def __and__(self, other: Condition) -> Condition:
        return And((*_members(self, And), *_members(other, And)))

    def __or__(self, other: Condition) -> Condition:
        return Or((*_members(self, Or), *_members(other, Or)))

    def __invert__(self) -> Condition:
        return self.condition if isinstance(self, Not) else Not(self)

    def __bool__(self) -> NoReturn:
        raise TypeError(
            "a condition has no truth value of its own: combine conditions with & | ~ instead of and, or, not, "
            "and call it to ask about a change"
        )


def _members(condition: Condition, kind: type[And] | type[Or]) -> tuple[Condition, ...]:
    return condition.conditions if isinstance(condition, kind) else (check_condition(condition),)


def check_condition(condition: object) -> Condition:
    """Return the condition itself.

    Raises:
        TypeError: It is something else; often an attribute without its operator.
    """
    if not isinstance(condition, Condition):
        raise TypeError(f"{condition!r} is not a condition: did you forget its operator, like on.new('plan').exists()?")
    return condition


def can_hold(condition: Condition, event_name: EventName, *, value: bool = True) -> bool:
    """Return whether a condition may have a truth value for changes of one kind, whatever their images are.

    >>> can_hold(on.modify & on.changed("plan"), "REMOVE")
    False
    >>> can_hold(on.changed("plan"), "REMOVE")
    True

    Args:
        condition: The condition.
        event_name: The kind of change.
        value: The truth value.
    """
    match condition:
        case And(parts) | Or(parts):
            # A conjunction is true, and a disjunction false, if all of their parts are.
            together = all if isinstance(condition, And) is value else any
            return together(can_hold(each, event_name, value=value) for each in parts)
        case Not(part):
            return can_hold(part, event_name, value=not value)
        case EventIs(wanted):
            return (wanted == event_name) is value
        case TtlDelete() if event_name != "REMOVE":
            return not value
        case Compare(image) if (image, event_name) in (("OldImage", "INSERT"), ("NewImage", "REMOVE")):
            return not value
        case _:
            return True


class And(Condition):
    """All of several conditions; evaluated in order, up to the first that is false."""

    __match_args__ = ("conditions",)

    def __init__(self, conditions: tuple[Condition, ...]) -> None:
        self.conditions = conditions

    def _compiled(self) -> Test:
        tests = [condition.matches for condition in self.conditions]
        match tests:
            case [first, second]:
                return lambda record: first(record) and second(record)
            case [first, second, third]:
                return lambda record: first(record) and second(record) and third(record)
            case _:
                return lambda record: all(test(record) for test in tests)

    def __repr__(self) -> str:
        return " & ".join(f"({part!r})" if isinstance(part, Or) else repr(part) for part in self.conditions)


class Or(Condition):
    """One of several conditions; evaluated in order, up to the first that is true."""

    __match_args__ = ("conditions",)

    def __init__(self, conditions: tuple[Condition, ...]) -> None:
        self.conditions = conditions

    def _compiled(self) -> Test:
        tests = [condition.matches for condition in self.conditions]
        match tests:
            case [first, second]:
                return lambda record: first(record) or second(record)
            case _:
                return lambda record: any(test(record) for test in tests)

    def __repr__(self) -> str:
        return " | ".join(map(repr, self.conditions))


class Not(Condition):
    """The opposite of a condition."""

    __match_args__ = ("condition",)

    def __init__(self, condition: Condition) -> None:
        self.condition = condition

    def _compiled(self) -> Test:
        test = self.condition.matches
        return lambda record: not test(record)

    def __repr__(self) -> str:
        return f"~({self.condition!r})" if isinstance(self.condition, And | Or) else f"~{self.condition!r}"


class EventIs(Condition):
    """The kind of change."""

    __match_args__ = ("event_name",)

    def __init__(self, event_name: EventName) -> None:
        self.event_name: EventName = event_name

    def _compiled(self) -> Test:
        name = self.event_name
        return lambda record: record["eventName"] == name

    def __repr__(self) -> str:
        return f"on.{self.event_name.lower()}"


class TtlDelete(Condition):
    """DynamoDB removed the item because its time to live ended."""

    def _compiled(self) -> Test:
        return lambda record: Change(record).is_ttl_delete

    def __repr__(self) -> str:
        return "on.ttl_delete"


class FromAnotherRegion(Condition):
    """Another Region wrote the item, as `Change.is_from_another_region` tells it."""

    def _compiled(self) -> Test:
        return lambda record: Change(record).is_from_another_region

    def __repr__(self) -> str:
        return "on.from_another_region"


class Changed(Condition):
    """The value at a path differs between the two images, as `Change.changed` says."""

    __match_args__ = ("path",)

    def __init__(self, path: tuple[str | int, ...]) -> None:
        self.path = path

    def _compiled(self) -> Test:
        path, value_in = self.path, _reader(self.path)

        def changed(record: Mapping[str, Any]) -> bool:
            images = record["dynamodb"]
            if "OldImage" not in images or "NewImage" not in images:
                return Change(record).changed(path)
            before, after = value_in(images["OldImage"], path[0]), value_in(images["NewImage"], path[0])
            if before == after:
                return False
            # Strings that differ are different; numbers may be one number written in two ways.
            return before is None or after is None or "S" in after or not same(before, after)

        return changed

    def __repr__(self) -> str:
        return f"on.changed({_path_text(self.path)})"


class Compare(Condition):
    """A test of one attribute.

    Attributes:
        image: The image that has the attribute.
        path: Its path in the image.
        operator: The test.
        operands: The values it is compared with, in DynamoDB's wire format.
    """

    __match_args__ = (
        "image",
        "path",
        "operator",
        "operands",
    )

    def __init__(
        self, image: ImageName, path: tuple[str | int, ...], operator: Operator, operands: tuple[Wire, ...] = ()
    ) -> None:
        self.image: ImageName = image
        self.path = path
        self.operator: Operator = operator
        self.operands = operands

    def _compiled(self) -> Test:
        image_name, path = self.image, self.path
        name, value_in, holds = path[0], _reader(path), _tester(self.operator, self.operands)
        strings = _strings(self.operator, self.operands)

        def compare(record: Mapping[str, Any]) -> bool:
            image = record["dynamodb"].get(image_name)
            if image is None:
                # The kind of change has no such image, or the stream's view type lacks it, which raises.
                return image_name != "Keys" and Change(record).wire(image_name) is not None
            value = value_in(image, name)
            return value is not None and holds(value)

        def is_one_of(record: Mapping[str, Any]) -> bool:
            images = record["dynamodb"]
            if image_name not in images:
                return compare(record)
            value = value_in(images[image_name], name)
            return value is not None and "S" in value and value["S"] in strings

        return is_one_of if strings else compare

    def __repr__(self) -> str:
        place = {"OldImage": "old", "NewImage": "new", "Keys": "key"}[self.image]
        operands = [decode(operand) for operand in self.operands]
        listed = repr(operands) if self.operator == "is_in" else ", ".join(map(repr, operands))
        return f"on.{place}({_path_text(self.path)}).{self.operator}({listed})"


def _reader(path: tuple[str | int, ...]) -> Callable[[Mapping[str, Wire], Any], Wire | None]:
    """Return a function that takes the value at a path out of an image, given the path's first step."""
    if len(path) == 1:
        return lambda image, name: image.get(name)
    return lambda image, _: value_at(image, path)


def _strings(operator: Operator, operands: tuple[Wire, ...]) -> frozenset[str]:
    """Return the strings that a value must be one of, if that is all that a comparison asks."""
    if operator in ("eq", "is_in") and all("S" in operand for operand in operands):
        return frozenset(operand["S"] for operand in operands)
    return frozenset()


def _tester(operator: Operator, operands: tuple[Wire, ...]) -> Callable[[Wire], bool]:
    """Return a function that tests a value."""
    return lambda value: _holds(operator, value, operands)


def _holds(operator: Operator, value: Wire, operands: Sequence[Wire]) -> bool:
    if operator == "exists":
        return True
    if operator in ("eq", "is_in"):
        return any(same(value, operand) for operand in operands)
    if operator == "contains":
        return _contains(value, operands[0])
    # The others order values of one type, or look at how they begin.
    (descriptor,) = operands[0]
    if descriptor not in value:
        return False
    left, right = decode(value), decode(operands[0])
    match operator:
        case "begins_with":
            return left.startswith(right)
        case "between":
            return right <= left <= decode(operands[1])
        case "gt":
            return left > right
        case "gte":
            return left >= right
        case "lt":
            return left < right
        case "lte":
            return left <= right


def _contains(value: Wire, operand: Wire) -> bool:
    ((descriptor, content),) = value.items()
    if descriptor == "L":
        return any(same(member, operand) for member in content)
    if descriptor in ("SS", "NS", "BS"):
        return descriptor[0] in operand and decode(operand) in decode(value)
    return descriptor in ("S", "B") and descriptor in operand and decode(operand) in decode(value)


class Attribute:
    """An attribute of an image, to be compared: `on.new("plan").eq("pro")`. Operators are named as in boto3.

    Operands are what boto3 takes: `str`, `int`, `Decimal`, `bool`, `None`, `bytes`, `list`, `dict`, `set`. A `float`
    is a `TypeError`, because it is not exact.
    """

    def __init__(self, image: ImageName, path: tuple[str | int, ...]) -> None:
        self._image: ImageName = image
        self._path = path

    def __repr__(self) -> str:
        return f"on.{ {'OldImage': 'old', 'NewImage': 'new', 'Keys': 'key'}[self._image] }({_path_text(self._path)})"

    def eq(self, value: Any) -> Condition:
        """Compare: true if the attribute is this value."""
        return self._compare("eq", value)

    def ne(self, value: Any) -> Condition:
        """Compare: the opposite of `eq`, so true as well where the attribute is missing."""
        return ~self.eq(value)

    def is_in(self, values: Iterable[Any]) -> Condition:
        """Compare: true if the attribute is one of these values.

        Raises:
            ValueError: There are none.
        """
        members = list(values)
        if isinstance(values, str | bytes):
            raise TypeError(f"is_in takes a list of values, not {values!r}: write [{values!r}]")
        if not members:
            raise ValueError("is_in takes at least one value: without any it could never be true")
        return self._compare("is_in", *members)

    def begins_with(self, prefix: str | bytes) -> Condition:
        """Compare: true if the attribute is a string (or binary) that begins with this."""
        return self._compare("begins_with", prefix, types=frozenset({"S", "B"}))

    def between(self, low: Any, high: Any) -> Condition:
        """Compare: true from `low` to `high`, both included; two numbers, two strings or two binaries.

        Raises:
            ValueError: `low` is greater than `high`, or of another type.
        """
        condition = self._compare("between", low, high, types=_ORDERED)
        first, last = condition.operands
        if first.keys() != last.keys() or decode(first) > decode(last):
            raise ValueError(
                f"between({low!r}, {high!r}) could never be true: give two of one type, the lower one first"
            )
        return condition

    def gt(self, value: Any) -> Condition:
        """Compare: true above this number, string or binary."""
        return self._compare("gt", value, types=_ORDERED)

    def gte(self, value: Any) -> Condition:
        """Compare: true from this number, string or binary on."""
        return self._compare("gte", value, types=_ORDERED)

    def lt(self, value: Any) -> Condition:
        """Compare: true below this number, string or binary."""
        return self._compare("lt", value, types=_ORDERED)

    def lte(self, value: Any) -> Condition:
        """Compare: true up to this number, string or binary."""
        return self._compare("lte", value, types=_ORDERED)

    def exists(self) -> Condition:
        """Ask for the attribute, with any value (NULL too)."""
        return Compare(self._image, self._path, "exists")

    def not_exists(self) -> Condition:
        """Ask for its absence: the opposite of `exists`."""
        return ~self.exists()

    def contains(self, value: Any) -> Condition:
        """Search: true for a string with this substring, a set with this member, or a list with this element."""
        return self._compare("contains", value)

    def _compare(self, operator: Operator, *operands: Any, types: frozenset[str] | None = None) -> Compare:
        wire = tuple(map(encode, operands))
        for operand, value in zip(wire, operands, strict=True):
            if types is not None and not operand.keys() & types:
                raise TypeError(f"{operator} takes {_described(types)}, not {value!r}")
        return Compare(self._image, self._path, operator, wire)


def _described(types: frozenset[str]) -> str:
    return " or ".join(
        name for letter, name in (("N", "a number"), ("S", "a string"), ("B", "bytes")) if letter in types
    )


class On:
    """The beginning of conditions; its one instance is `on`."""

    #: The item is new.
    insert: Condition = EventIs("INSERT")
    #: The item was there before and still is.
    modify: Condition = EventIs("MODIFY")
    #: The item is gone, by a delete or by its time to live.
    remove: Condition = EventIs("REMOVE")
    #: The item is gone because its time to live ended.
    ttl_delete: Condition = TtlDelete()
    #: On a global table: another Region wrote the item, and this record is a replica's. Writers must store their Region
    #: (`Change.origin_region`).
    from_another_region: Condition = FromAnotherRegion()

    def changed(self, path: Path) -> Condition:
        """Compare the values at the path of both images; appearing and vanishing are differences.

        So it is true for an insertion and a removal too: `on.modify & on.changed("plan")` leaves them out.

        Args:
            path: `"plan"`, `"profile.address.city"`, `"tags[0]"`, or `("a.b", 0)` for names with dots or brackets.
        """
        return Changed(path_steps(path))

    def new(self, path: Path) -> Attribute:
        """Name an attribute of the item after the change."""
        return Attribute("NewImage", path_steps(path))

    def old(self, path: Path) -> Attribute:
        """Name an attribute of the item before the change."""
        return Attribute("OldImage", path_steps(path))

    def key(self, name: str) -> Attribute:
        """Name an attribute of the primary key."""
        return Attribute("Keys", (name,))


on = On()


def _path_text(path: tuple[str | int, ...]) -> str:
    names = [step for step in path if isinstance(step, str) and "." not in step]
    return repr(".".join(names)) if len(names) == len(path) else repr(path)
