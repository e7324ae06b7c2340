"""The ways in which a record can satisfy a condition, in the terms of event patterns.

A way asks several fields at once, like one pattern; a list of ways is satisfied by any of them. Whatever is done to
ways here, they never cover less than before: where an operation cannot be exact it lets more pass, and says so.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aws_semantics.event_patterns.operators import Field
from aws_semantics.limits import FILTER_PATTERN_CHARACTERS, FILTERS_PER_MAPPING

#: Characters left in a pattern for one more alternative, which a queue's may need.
ROOM_FOR_ONE_MORE: Final = 60

#: Ways to satisfy a condition that are looked at before it is widened.
_MAX_WAYS: Final = 64

PRESENT: Final = {"exists": True}
ABSENT: Final = {"exists": False}

FieldPath = tuple[str, ...]
Alternatives = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Way:
    """One way to satisfy a condition: for each field of the record, the alternatives; `exact`: and no other record."""

    fields: Mapping[FieldPath, Alternatives]
    exact: bool = True


#: The way of a condition that patterns cannot express.
ANYTHING: Final = Way({}, exact=False)


def both(left: Sequence[Way], right: Sequence[Way]) -> tuple[list[Way], bool]:
    """Combine the ways to satisfy two conditions at once, and tell whether they say all that both sides said."""
    if len(left) * len(right) > _MAX_WAYS:
        return list(left), False
    ways: list[Way] = []
    lossless = True
    for one, other in itertools.product(left, right):
        fields = dict(one.fields)
        for path, alternatives in other.fields.items():
            met, kept = _meet(fields[path], alternatives) if path in fields else (alternatives, True)
            lossless &= kept
            if not met:
                break
            fields[path] = met
        else:
            ways.append(Way(fields, one.exact and other.exact))
    return joined(ways), lossless


def _meet(first: Alternatives, second: Alternatives) -> tuple[Alternatives, bool]:
    """Alternatives that hold where both do, none if nothing can; and whether they say all that both said."""
    absent = (ABSENT,) if ABSENT in first and ABSENT in second else ()
    one, other = _present(first), _present(second)
    if not one or not other:
        return absent, True
    for values, tests in ((one, other), (other, one)):
        if not any(isinstance(value, dict) for value in values):
            accepts = Field(tests, "").accepts
            return (*(value for value in values if accepts(value)), *absent), True
    if one == other or other == (PRESENT,):
        return (*one, *absent), True
    if one == (PRESENT,):
        return (*other, *absent), True
    if len(one) == len(other) == 1:
        (left,), (right,) = one[0].items(), other[0].items()
        if left[0] == right[0] == "anything-but":
            return ({"anything-but": list(dict.fromkeys([*left[1], *right[1]]))}, *absent), True
        if left[0] == right[0] == "prefix":
            short, long = sorted((left[1], right[1]), key=len)
            return (*(({"prefix": long},) if long.startswith(short) else ()), *absent), True
    return (*one, *absent), False


def _present(alternatives: Alternatives) -> Alternatives:
    return tuple(alternative for alternative in alternatives if alternative != ABSENT)


def _union(first: Alternatives, second: Alternatives) -> Alternatives:
    return (*first, *(alternative for alternative in second if alternative not in first))


def joined(ways: Iterable[Way]) -> list[Way]:
    """Return the same ways in fewer: ones that differ in one field are one with the alternatives of both."""
    fewer: list[Way] = []
    for way in ways:
        for index, other in enumerate(fewer):
            merged = _merged(other, way)
            if merged is not None:
                fewer[index] = merged
                break
        else:
            fewer.append(way)
    return fewer


def _merged(one: Way, other: Way) -> Way | None:
    if one.fields.keys() != other.fields.keys():
        return None
    differ = [path for path, alternatives in one.fields.items() if alternatives != other.fields[path]]
    if len(differ) > 1:
        return None
    fields = dict(one.fields)
    for path in differ:
        fields[path] = _union(fields[path], other.fields[path])
        if PRESENT in fields[path] and ABSENT in fields[path]:
            del fields[path]  # there or not: it no longer matters
    return Way(fields, one.exact and other.exact)


def few_enough(ways: list[Way]) -> list[Way]:
    """Return at most `FILTERS_PER_MAPPING` ways that cover the same changes and, if need be, more."""
    ways = list(ways)
    while len(ways) > FILTERS_PER_MAPPING:
        first, second = max(
            itertools.combinations(range(len(ways)), 2),
            key=lambda pair: len(ways[pair[0]].fields.keys() & ways[pair[1]].fields.keys()),
        )
        other = ways.pop(second).fields
        common = {path: _union(value, other[path]) for path, value in ways[first].fields.items() if path in other}
        ways[first] = Way(common, exact=False)
    return ways


def short_enough(ways: Sequence[Way]) -> list[Way]:
    """Ways whose patterns fit into `FILTER_PATTERN_CHARACTERS`; where one did not, its longest fields are left out."""
    short: list[Way] = []
    for way in ways:
        fields, exact = dict(way.fields), way.exact
        while len(as_json(nested(fields))) > FILTER_PATTERN_CHARACTERS - ROOM_FOR_ONE_MORE:
            longest = max(fields, key=lambda path: len(as_json([path, fields[path]])))
            if ABSENT in fields[longest] or fields[longest] == (PRESENT,):
                del fields[longest]
            else:
                fields[longest] = (PRESENT,)
            exact = False
        short.append(Way(fields, exact))
    return short


def nested(fields: Mapping[FieldPath, Alternatives]) -> dict[str, Any]:
    """Write the fields of a way as an event pattern."""
    document: dict[str, Any] = {}
    for path, alternatives in fields.items():
        inner = document
        for name in path[:-1]:
            inner = inner.setdefault(name, {})
        inner[path[-1]] = list(alternatives)
    return document


#: A pattern as JSON text, as short as it can be.
as_json: Callable[[Any], str] = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
