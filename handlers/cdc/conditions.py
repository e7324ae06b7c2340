"""Which changes a consumer wants: conditions that Python evaluates and AWS can, too.

    >>> from handlers.cdc import on
    >>> from handlers.cdc.testing import change
    >>> upgraded = on.modify & on.changed("plan") & on.new("plan").is_in(["pro", "enterprise"])
    >>> upgraded(change(old={"id": "u1", "plan": "free"}, new={"id": "u1", "plan": "pro"}))
    True

A condition is a plain predicate on a `Change`. Combined with `&`, `|` and `~` (not `and`, `or`, `not`) it stays
something that can be looked into, so that `components.push_down.compiler` can turn it into event patterns.

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

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

from handlers.cdc.attribute_values import Wire, decode, encode, same
from handlers.cdc.change import Change, EventName, Path, path_steps, value_at

Operator = Literal["eq", "is_in", "begins_with", "contains", "between", "gt", "gte", "lt", "lte", "exists"]
ImageName = Literal["OldImage", "NewImage", "Keys"]

_ORDERED = frozenset({"N", "S", "B"})


class Condition:
    """A predicate on changes. Made by `on`, combined with `&`, `|` and `~`."""

    __slots__ = ()

    def __call__(self, change: Change[Any]) -> bool:
        """Whether the change satisfies the condition.

        Raises:
            ImageNotAvailable: The stream's view type lacks an image that the condition reads.
        """
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
    """The condition itself.

    Raises:
        TypeError: It is something else; often an attribute without its operator.
    """
    if not isinstance(condition, Condition):
        raise TypeError(f"{condition!r} is not a condition: did you forget its operator, like on.new('plan').exists()?")
    return condition


@dataclass(frozen=True, slots=True)
class And(Condition):
    """All of several conditions; read in order, up to the first that is false."""

    conditions: tuple[Condition, ...]

    def __call__(self, change: Change[Any]) -> bool:
        """As `Condition`."""
        return all(condition(change) for condition in self.conditions)

    def __repr__(self) -> str:
        return " & ".join(f"({part!r})" if isinstance(part, Or) else repr(part) for part in self.conditions)


@dataclass(frozen=True, slots=True)
class Or(Condition):
    """One of several conditions; read in order, up to the first that is true."""

    conditions: tuple[Condition, ...]

    def __call__(self, change: Change[Any]) -> bool:
        """As `Condition`."""
        return any(condition(change) for condition in self.conditions)

    def __repr__(self) -> str:
        return " | ".join(map(repr, self.conditions))


@dataclass(frozen=True, slots=True)
class Not(Condition):
    """The opposite of a condition."""

    condition: Condition

    def __call__(self, change: Change[Any]) -> bool:
        """As `Condition`."""
        return not self.condition(change)

    def __repr__(self) -> str:
        return f"~({self.condition!r})" if isinstance(self.condition, And | Or) else f"~{self.condition!r}"


@dataclass(frozen=True, slots=True)
class EventIs(Condition):
    """The kind of change."""

    event_name: EventName

    def __call__(self, change: Change[Any]) -> bool:
        """As `Condition`."""
        return change.event_name == self.event_name

    def __repr__(self) -> str:
        return f"on.{self.event_name.lower()}"


@dataclass(frozen=True, slots=True)
class TtlDelete(Condition):
    """DynamoDB removed the item because its time to live ended."""

    def __call__(self, change: Change[Any]) -> bool:
        """As `Condition`."""
        return change.is_ttl_delete

    def __repr__(self) -> str:
        return "on.ttl_delete"


@dataclass(frozen=True, slots=True)
class Changed(Condition):
    """The value at a path differs between the two images, as `Change.changed` says."""

    path: tuple[str | int, ...]

    def __call__(self, change: Change[Any]) -> bool:
        """As `Condition`."""
        return change.changed(self.path)

    def __repr__(self) -> str:
        return f"on.changed({_path_text(self.path)})"


@dataclass(frozen=True, slots=True)
class Compare(Condition):
    """A test of one attribute.

    Attributes:
        image: Where the attribute is.
        path: Its path in the image.
        operator: The test.
        operands: What it is compared with, in DynamoDB's wire format.
    """

    image: ImageName
    path: tuple[str | int, ...]
    operator: Operator
    operands: tuple[Wire, ...] = ()

    def __call__(self, change: Change[Any]) -> bool:
        """As `Condition`."""
        image = change.keys.wire if self.image == "Keys" else change.wire(self.image)
        value = value_at(image, self.path)
        return value is not None and _holds(self.operator, value, self.operands)

    def __repr__(self) -> str:
        place = {"OldImage": "old", "NewImage": "new", "Keys": "key"}[self.image]
        operands = [decode(operand) for operand in self.operands]
        listed = repr(operands) if self.operator == "is_in" else ", ".join(map(repr, operands))
        return f"on.{place}({_path_text(self.path)}).{self.operator}({listed})"


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
        """Is this value."""
        return self._compare("eq", value)

    def ne(self, value: Any) -> Condition:
        """Is not this value: the opposite of `eq`, so true as well where the attribute is missing."""
        return ~self.eq(value)

    def is_in(self, values: Iterable[Any]) -> Condition:
        """Is one of these values.

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
        """Is a string (or binary) that begins with this."""
        return self._compare("begins_with", prefix, types=frozenset({"S", "B"}))

    def between(self, low: Any, high: Any) -> Condition:
        """Is at least `low` and at most `high`: two numbers, two strings or two binaries.

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
        """Is greater than this number, string or binary."""
        return self._compare("gt", value, types=_ORDERED)

    def gte(self, value: Any) -> Condition:
        """Is this number, string or binary, or greater."""
        return self._compare("gte", value, types=_ORDERED)

    def lt(self, value: Any) -> Condition:
        """Is less than this number, string or binary."""
        return self._compare("lt", value, types=_ORDERED)

    def lte(self, value: Any) -> Condition:
        """Is this number, string or binary, or less."""
        return self._compare("lte", value, types=_ORDERED)

    def exists(self) -> Condition:
        """Is there, whatever its value (NULL too)."""
        return Compare(self._image, self._path, "exists")

    def not_exists(self) -> Condition:
        """Is not there: the opposite of `exists`."""
        return ~self.exists()

    def contains(self, value: Any) -> Condition:
        """Is a string with this substring, a set with this member, or a list with this element."""
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
    """Where conditions begin; its one instance is `on`."""

    #: The item is new.
    insert: Condition = EventIs("INSERT")
    #: The item was there before and still is.
    modify: Condition = EventIs("MODIFY")
    #: The item is gone, by a delete or by its time to live.
    remove: Condition = EventIs("REMOVE")
    #: The item is gone because its time to live ended.
    ttl_delete: Condition = TtlDelete()

    def changed(self, path: Path) -> Condition:
        """The value at the path differs between the images; appearing and vanishing are differences.

        So it is true for an insertion and a removal too: `on.modify & on.changed("plan")` leaves them out.

        Args:
            path: `"plan"`, `"profile.address.city"`, `"tags[0]"`, or `("a.b", 0)` for names with dots or brackets.
        """
        return Changed(path_steps(path))

    def new(self, path: Path) -> Attribute:
        """An attribute of the item after the change."""
        return Attribute("NewImage", path_steps(path))

    def old(self, path: Path) -> Attribute:
        """An attribute of the item before the change."""
        return Attribute("OldImage", path_steps(path))

    def key(self, name: str) -> Attribute:
        """An attribute of the primary key."""
        return Attribute("Keys", (name,))


on = On()


def _path_text(path: tuple[str | int, ...]) -> str:
    names = [step for step in path if isinstance(step, str) and "." not in step]
    return repr(".".join(names)) if len(names) == len(path) else repr(path)
