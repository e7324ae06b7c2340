"""From a condition to the event patterns that AWS filters by, and what is left for Python.

AWS charges for what passes a filter and shows nobody what does not. So patterns are *sound*: a change that the
condition accepts is matched by one of them, in every dialect. Where patterns cannot say what the condition says they
say less, and the rest is the residue: a change is wanted if and only if a pattern matches it and the residue holds.
Which conditions are said exactly: docs/guides/conditions.md. Why so careful: docs/decisions/0010-sound-push-down.md.

Used at deploy time; what runs in Lambda does not import it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal, get_args

from aws_semantics.event_patterns.lint import IMAGES_OF, LACKED_BY
from aws_semantics.event_patterns.operators import digits_of, other_spellings_of_address, plain_number
from aws_semantics.event_patterns.syntax import RESERVED_INSIDE_OR
from aws_semantics.limits import FILTERS_PER_MAPPING
from components.push_down.ways import (
    ABSENT,
    ANYTHING,
    PRESENT,
    Alternatives,
    FieldPath,
    Way,
    as_json,
    both,
    few_enough,
    joined,
    nested,
    short_enough,
)
from handlers.cdc.attribute_values import Wire, decode
from handlers.cdc.change import EventName, ImageNotAvailable
from handlers.cdc.conditions import And, Changed, Compare, Condition, EventIs, Not, Or, TtlDelete

#: The place of a filter: a mapping that reads the stream; a pipe that reads it; a mapping that reads a queue whose
#: messages are changes; a mapping that reads Kinesis Data Streams for DynamoDB.
Dialect = Literal["stream", "pipe", "queue", "kinesis"]

_ROOT: Final[dict[Dialect, tuple[str, ...]]] = {"stream": (), "pipe": (), "queue": ("body",), "kinesis": ("data",)}
_EVENT_NAMES: Final[tuple[EventName, ...]] = get_args(EventName)

#: The body of a message that is not the change itself.
_SEALED: Final = {"eventName": [ABSENT]}
#: Type descriptors whose values are leaves, so that `exists` can see them. Maps and lists may be empty: it cannot.
_VISIBLE: Final = ("S", "N", "B", "BOOL", "NULL", "SS", "NS", "BS")


class NeverTrue(ValueError):
    """No change can satisfy the condition: its consumer would never be called."""


@dataclass(frozen=True, slots=True)
class PushDown:
    """A condition in the terms of one dialect.

    Attributes:
        patterns: Event patterns as JSON text, at most five of 4,096 characters; AWS delivers what matches one of
            them. None at all: AWS cannot help, and delivers everything.
        residue: The condition that has to hold besides; `None`: the patterns say it all.
    """

    patterns: tuple[str, ...]
    residue: Condition | None


def push_down(
    condition: Condition,
    dialect: Dialect,
    *,
    view_type: str = "NEW_AND_OLD_IMAGES",
    key_schema: Mapping[str, str] | None = None,
) -> PushDown:
    """Compile a condition.

    Args:
        condition: The condition.
        dialect: The place of the filter.
        view_type: The stream's view type.
        key_schema: The table's key attributes and their types, e.g. `{"userId": "S"}`. A pipe needs it to tell
            the kinds of change apart: by the images they have, because nobody has confirmed that it can filter on
            `eventName` (docs/aws-semantics.md §3.2). Without it, kinds go into the residue there.

    Raises:
        ImageNotAvailable: The condition reads an image that the view type does not carry.
        NeverTrue: The condition contradicts itself.

    Example:
        >>> from handlers.cdc import on
        >>> pushed = push_down(on.modify & on.changed("plan") & on.new("plan").eq("pro"), "stream")
        >>> print(*pushed.patterns)
        {"eventName":["MODIFY"],"dynamodb":{"NewImage":{"plan":{"S":["pro"]}}}}
        >>> pushed.residue
        on.changed('plan')
    """
    if view_type not in IMAGES_OF:
        raise ValueError(f"there is no view type {view_type!r}: {', '.join(IMAGES_OF)}")
    compiler = _Compiler(dialect, view_type, key_schema)
    ways, residue = [Way({})], list[Condition]()
    for part in _conjuncts(condition):
        part_ways = compiler.ways(part)
        ways, lossless = both(ways, part_ways)
        if not lossless or not all(way.exact for way in part_ways):
            residue.append(part)
    if not ways:
        raise NeverTrue(f"no change satisfies {condition!r}: it contradicts itself")
    fitting = short_enough(few_enough(ways))
    if fitting != ways:
        residue = [condition]
    patterns = () if any(not way.fields for way in fitting) else compiler.patterns(fitting)
    return PushDown(patterns, None if not residue else residue[0] if len(residue) == 1 else And(tuple(residue)))


def _conjuncts(condition: Condition) -> Iterator[Condition]:
    match condition:
        case And(parts):
            for part in parts:
                yield from _conjuncts(part)
        case Not(Or(parts)):
            for part in parts:
                yield from _conjuncts(~part)
        case _:
            yield condition


class _Compiler:
    def __init__(self, dialect: Dialect, view_type: str, key_schema: Mapping[str, str] | None) -> None:
        self._dialect: Dialect = dialect
        self._root = _ROOT[dialect]
        self._view_type = view_type
        self._keys = key_schema

    def ways(self, condition: Condition, *, negated: bool = False) -> list[Way]:
        """Return the ways to satisfy a condition, or to fail it; together they cover every change that does."""
        match condition:
            case Not(inner):
                return self.ways(inner, negated=not negated)
            case And(parts) | Or(parts):
                branches = [self.ways(part, negated=negated) for part in parts]
                if isinstance(condition, Or) != negated:
                    return joined(itertools.chain.from_iterable(branches))
                together = [Way({})]
                for branch in branches:
                    together, lossless = both(together, branch)
                    if not lossless:
                        together = [Way(way.fields, exact=False) for way in together]
                return together
            case EventIs(name):
                return self._kinds([other for other in _EVENT_NAMES if (other == name) != negated])
            case TtlDelete():
                return self._ttl_delete(negated=negated)
            case Changed():
                self._check_image("NewImage", condition)
                self._check_image("OldImage", condition)
                return [ANYTHING]
            case Compare():
                return self._compare(condition, negated=negated)
            case _:
                return [ANYTHING]

    def patterns(self, ways: Sequence[Way]) -> tuple[str, ...]:
        """Ways as JSON text."""
        documents = [nested(way.fields) for way in ways]
        if self._dialect == "queue":
            # What is not the change itself passes: a claim check, an SNS envelope. The function looks inside.
            if len(documents) < FILTERS_PER_MAPPING:
                documents.append({"body": _SEALED})
            else:
                documents[-1] = {"body": {"$or": [documents[-1]["body"], _SEALED]}}
        return tuple(map(as_json, documents))

    def _kinds(self, names: Sequence[EventName]) -> list[Way]:
        if self._dialect != "pipe":
            return [Way({(*self._root, "eventName"): tuple(names)})]
        # An INSERT has no old image, a REMOVE no new one, and every image has the key in it.
        if not self._keys:
            return [ANYTHING]
        name, descriptor = next(iter(self._keys.items()))
        images = IMAGES_OF[self._view_type]
        ways: list[Way] = []
        for kind in names:
            fields: dict[FieldPath, Alternatives] = {}
            for image in images:
                fields["dynamodb", image, name, descriptor] = (ABSENT if LACKED_BY[image] == kind else PRESENT,)
            # With one image, two kinds look alike.
            alike = [other for other in _EVENT_NAMES if _looks_alike(kind, other, images)]
            ways.append(Way(fields, exact=set(alike) <= set(names)))
        return joined(ways)

    def _ttl_delete(self, *, negated: bool) -> list[Way]:
        removed, others = self._kinds(["REMOVE"]), self._kinds(["INSERT", "MODIFY"])
        if self._dialect == "pipe":
            return [ANYTHING] if negated else [Way(way.fields, exact=False) for way in removed]
        identity = {
            (*self._root, "userIdentity", "type"): "Service",
            (*self._root, "userIdentity", "principalId"): "dynamodb.amazonaws.com",
        }
        if negated:
            return [*others, *(Way({path: ({"anything-but": [value]}, ABSENT)}) for path, value in identity.items())]
        return [Way({**removed[0].fields, **{path: (value,) for path, value in identity.items()}})]

    def _compare(self, condition: Compare, *, negated: bool) -> list[Way]:
        if condition.image == "Keys":
            if condition.operator == "exists" and self._keys is not None:
                return [Way({})] if (condition.path[0] in self._keys) != negated else []
        else:
            self._check_image(condition.image, condition)
        place = self._place(condition.path)
        # AWS joins names with dots: the attribute `a.M.b` is for it what `b` in the map `a` is. So below the top level
        # another attribute may be taken for this one. That lets too much pass where a value is asked for; it
        # would drop a change where the value must not be there.
        plain = len(condition.path) == 1 and "." not in str(condition.path[0])
        if place is None or (negated and not plain):
            return [ANYTHING]
        exact = not any("." in str(step) for step in condition.path)
        base = (*self._root, "dynamodb", condition.image, *place)
        tests = _refused(condition) if negated else _accepted(condition)
        if negated:
            fields = {(*base, test.descriptor): test.alternatives for test in tests if test.alternatives}
            return [Way(fields, exact=all(test.exact for test in tests))]
        return [
            Way({(*base, test.descriptor): test.alternatives} if test.alternatives else {}, exact=exact and test.exact)
            for test in tests
        ]

    def _place(self, path: Sequence[str | int]) -> list[str] | None:
        """Return the names that lead to a value's type descriptor; `None` where a pattern cannot lead there."""
        place = [str(path[0])]
        for step in path[1:]:
            # A pattern has no index: it takes any element, and the same one for all that it asks of a list.
            if isinstance(step, int) or step.isdecimal():
                return None
            place += ["M", step]
        # A queue's pattern may need $or, inside of which AWS reserves some names.
        taken = {"$or"} | (RESERVED_INSIDE_OR if self._dialect == "queue" else set[str]())
        return None if taken.intersection(place) else place

    def _check_image(self, image: str, condition: Condition) -> None:
        if image not in IMAGES_OF[self._view_type]:
            raise ImageNotAvailable(
                f"{condition!r} reads the {image}, and the stream's view type is {self._view_type}, which carries "
                "none: choose a view type for the table that does (NEW_AND_OLD_IMAGES carries both)"
            )


def _looks_alike(kind: EventName, other: EventName, images: Sequence[str]) -> bool:
    return all((LACKED_BY[image] == kind) == (LACKED_BY[image] == other) for image in images)


@dataclass(frozen=True, slots=True)
class _Test:
    """The content that one type descriptor of an attribute must have; without alternatives, nothing can be said."""

    descriptor: str
    alternatives: Alternatives
    exact: bool = True


_UNKNOWN: Final = _Test("", (), exact=False)


def _accepted(condition: Compare) -> list[_Test]:
    """Tests of which one holds wherever the comparison is true."""
    match condition.operator:
        case "eq" | "is_in":
            return [_values(descriptor, operands) for descriptor, operands in _by_type(condition.operands)]
        case "begins_with" if "S" in condition.operands[0]:
            return [_Test("S", ({"prefix": condition.operands[0]["S"]},))]
        case "exists" | "contains":
            return [_UNKNOWN]
        case _:
            (descriptor,) = condition.operands[0]
            return [_Test(descriptor, (PRESENT,), exact=False)]


def _values(descriptor: str, operands: Sequence[Wire]) -> _Test:
    contents = [operand[descriptor] for operand in operands]
    match descriptor:
        case "S":
            # What AWS takes for an IPv6 address matches its other spellings, too.
            return _Test("S", tuple(contents), exact=not any(map(other_spellings_of_address, contents)))
        case "BOOL" | "NULL":
            return _Test(descriptor, tuple(contents))
        case "N":
            spellings = itertools.chain.from_iterable(_spellings(Decimal(text)) for text in contents)
            return _Test("N", tuple({"prefix": prefix} for prefix in dict.fromkeys(spellings)), exact=False)
        case "SS":
            return _Test("SS", tuple(dict.fromkeys(min(members) for members in contents)), exact=False)
        case "B" | "NS" | "BS":
            return _Test(descriptor, (PRESENT,), exact=False)
        case _:
            return _UNKNOWN


def _spellings(number: Decimal) -> list[str]:
    """Return the beginnings of every decimal spelling of a number.

    DynamoDB trims zeroes, but says no more about how it writes a number. So `"101"` may be `"1.01E+2"` here.
    """
    digits = digits_of(number)[:3]
    signs = ["-"] if number < 0 else ["", "-"] if number == 0 else [""]
    begins = [*(f"{digits[:length]}." for length in range(1, len(digits))), digits] if digits else []
    return [f"{sign}{start}" for sign in signs for start in (*begins, "0", ".")] + ([] if number < 0 else ["+"])


def _refused(condition: Compare) -> list[_Test]:
    """Tests that all hold wherever the comparison is false, the attribute being missing or of another type included."""
    match condition.operator:
        case "eq" | "is_in":
            return [_other_values(descriptor, operands) for descriptor, operands in _by_type(condition.operands)]
        case "exists":
            return [_Test(descriptor, (ABSENT,), exact=False) for descriptor in _VISIBLE]
        case _:
            return [_UNKNOWN]


def _other_values(descriptor: str, operands: Sequence[Wire]) -> _Test:
    contents = [operand[descriptor] for operand in operands]
    match descriptor:
        case "S":
            return _Test("S", ({"anything-but": contents}, ABSENT))
        case "BOOL":
            return _Test("BOOL", (*({True, False} - set(contents)), ABSENT))
        case "NULL":
            return _Test("NULL", (ABSENT,))
        case "N":
            # Equal numbers in another spelling pass.
            return _Test(
                "N", ({"anything-but": [plain_number(decode(number)) for number in operands]}, ABSENT), exact=False
            )
        case _:
            return _UNKNOWN


def _by_type(operands: Iterable[Wire]) -> list[tuple[str, list[Wire]]]:
    groups: dict[str, list[Wire]] = {}
    for operand in operands:
        groups.setdefault(next(iter(operand)), []).append(operand)
    return list(groups.items())
