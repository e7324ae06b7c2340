"""Images as JSON, to hand a change on to an HTTP API, a queue or a bus.

Two forms, because JSON has fewer types than DynamoDB (docs/decisions/0030). Plain JSON is for other systems: numbers
keep all their digits, while sets and binaries become arrays and text. DynamoDB JSON keeps every type, and comes back as
it was.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import enum
import json
import math
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

from handlers.cdc.attribute_values import decode, encode_item
from handlers.cdc.change import Change
from handlers.cdc.image import Image

#: The JSON type behind each of DynamoDB's type descriptors.
_CONTENTS: Final[Mapping[str, type]] = {
    "S": str,
    "N": str,
    "B": str,
    "BOOL": bool,
    "NULL": bool,
    "SS": list,
    "NS": list,
    "BS": list,
    "M": dict,
    "L": list,
}


def to_json(value: Any) -> str:
    """Write an image, or any value that holds images, as plain JSON.

    | Python | JSON |
    |---|---|
    | `Decimal`, `int` | a number with all its digits: `3`, `19.99`. A whole number has no fraction and no exponent |
    | `str`, `bool`, `None` | a string, `true` or `false`, `null` |
    | `bytes` | a string in base64 |
    | `set` | an array, sorted |
    | `list`, `tuple` | an array |
    | an image, a `dict`, a dataclass | an object |
    | an `Enum` | its value |

    A reader that takes numbers for doubles, as JavaScript does, keeps 15 to 17 of a number's digits.

    >>> to_json({"type": "upgrade", "user": Image({"id": {"S": "u1"}, "seats": {"N": "3"}, "tags": {"SS": ["a"]}})})
    '{"type":"upgrade","user":{"id":"u1","seats":3,"tags":["a"]}}'

    Raises:
        TypeError: A value of another type, or a key that is not text. The message names its place.
        ValueError: A number that is not finite.
    """
    return _written(value, "the value")


def from_json(text: str | bytes) -> Any:
    """Read what `to_json` wrote: numbers are `Decimal`s with all their digits, as in an image.

    Arrays are lists and base64 stays text, since plain JSON does not say which of them were sets and binaries:
    `from_dynamodb_json` brings these back.

    >>> from_json('{"id":"u1","price":19.99}')
    {'id': 'u1', 'price': Decimal('19.99')}

    Raises:
        ValueError: The text is not JSON.
    """
    return json.loads(text, parse_int=Decimal, parse_float=Decimal, parse_constant=_refused_constant)


def to_dynamodb_json(item: Mapping[str, Any]) -> str:
    """Write an image or another item as DynamoDB JSON, which keeps every type; binaries are base64.

    >>> to_dynamodb_json({"id": "u1", "tags": {"a"}, "photo": b"x"})
    '{"id":{"S":"u1"},"tags":{"SS":["a"]},"photo":{"B":"eA=="}}'

    Raises:
        TypeError: DynamoDB has no type for a value.
        ValueError: DynamoDB cannot store a number.
    """
    if not isinstance(item, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance] - a whole change is easily given
        raise TypeError(f"an item is a mapping of attributes, this is a {type(item).__name__}{_hint(item)}")
    return json.dumps(encode_item(item), separators=(",", ":"), ensure_ascii=False)


def from_dynamodb_json(text: str | bytes) -> Image:
    """Read an item in DynamoDB JSON. The image equals the one that `to_dynamodb_json` wrote.

    >>> from_dynamodb_json('{"id":{"S":"u1"},"tags":{"SS":["a"]}}') == {"id": "u1", "tags": {"a"}}
    True

    Raises:
        ValueError: The text is not an item in DynamoDB JSON.
    """
    wire: Any = json.loads(text, parse_constant=_refused_constant)
    if not isinstance(wire, dict):
        raise ValueError(f"an item in DynamoDB JSON is an object, this is a {type(wire).__name__}")
    for name, value in wire.items():
        _check(value, name)
    return Image(wire)


def _check(value: Any, place: str) -> None:
    """Raise a `ValueError` if a value is not one in DynamoDB JSON: here, and not when an attribute is read later."""
    if isinstance(value, dict) and len(value) == 1:
        ((descriptor, content),) = value.items()
        if isinstance(content, _CONTENTS.get(descriptor, ())):
            for name, member in _members(descriptor, content):
                _check(member, f"{place}.{name}")
            with contextlib.suppress(ArithmeticError, TypeError, ValueError):
                decode(value)
                return
    raise ValueError(f'{place} is not a value in DynamoDB JSON, like {{"S": "text"}}')


def _members(descriptor: str, content: Any) -> Iterable[tuple[Any, Any]]:
    return content.items() if descriptor == "M" else enumerate(content) if descriptor == "L" else ()


def _hint(value: Any) -> str:
    return ": write its .item, .new or .old" if isinstance(value, Change) else ""


def _written(value: Any, place: str) -> str:
    match value:
        case enum.Enum():
            return _written(value.value, place)
        case None | bool() | str():
            return json.dumps(value, ensure_ascii=False)
        case int():
            return int.__repr__(value)
        case Decimal():
            return _number(value, place)
        case float() if math.isfinite(value):
            return float.__repr__(value)
        case bytes() | bytearray():
            return f'"{base64.b64encode(value).decode()}"'
        case Mapping():
            return _object(value, place)
        case list() | tuple():
            return f"[{','.join(_written(member, f'{place}[{index}]') for index, member in enumerate(value))}]"
        case set() | frozenset():
            return f"[{','.join(_written(member, f'{place}[]') for member in _sorted(value))}]"
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return _object({field.name: getattr(value, field.name) for field in dataclasses.fields(value)}, place)
        case float():
            raise ValueError(f"{place} is {value}, and JSON has no such number")
        case _:
            raise TypeError(f"{place} is a {type(value).__name__}, which has no JSON{_hint(value)}")


def _object(members: Mapping[Any, Any], place: str) -> str:
    for name in members:
        if not isinstance(name, str):
            raise TypeError(f"{place} has a key that is a {type(name).__name__}, and JSON's keys are text")
    inside = "" if place == "the value" else f"{place}."
    written = (
        f"{json.dumps(name, ensure_ascii=False)}:{_written(members[name], f'{inside}{name}')}" for name in members
    )
    return f"{{{','.join(written)}}}"


def _number(value: Decimal, place: str) -> str:
    if not value.is_finite():
        raise ValueError(f"{place} is not a finite number, and JSON has no other")
    if value == value.to_integral_value():
        return str(int(value))
    return format(value, "f").rstrip("0")


def _sorted(members: Any) -> list[Any]:
    try:
        return sorted(members)
    except TypeError:
        return sorted(members, key=lambda member: (type(member).__name__, str(member)))


def _refused_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
