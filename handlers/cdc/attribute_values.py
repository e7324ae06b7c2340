"""DynamoDB's wire format (`{"S": "a"}`, `{"N": "42"}`), decoded to native Python values and encoded again.

Values are those of `boto3.dynamodb.types.TypeDeserializer`, except that binary is plain `bytes`: numbers are
`Decimal` (exact, up to 38 digits), sets are `set`, maps are `dict`, lists are `list`.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Set
from decimal import Decimal
from typing import Any, Final

#: One attribute value as DynamoDB sends it: a mapping with a single key, the type descriptor.
Wire = Mapping[str, Any]

#: Significant digits that DynamoDB keeps of a number, and the range of its magnitude (AWS: "Supported data types").
NUMBER_DIGITS: Final = 38
SMALLEST_EXPONENT: Final = -130
LARGEST_EXPONENT: Final = 125
#: Size of a partition key in bytes of UTF-8.
LONGEST_KEY_BYTES: Final = 2048


def _binary(value: str | bytes) -> bytes:
    # Base64 text in Lambda's JSON event, bytes when botocore has read the stream.
    return value if isinstance(value, bytes) else base64.b64decode(value)


_DECODERS: dict[str, Callable[[Any], Any]] = {
    "S": lambda value: value,
    "N": Decimal,
    "BOOL": lambda value: value,
    "NULL": lambda _: None,
    "B": _binary,
    "SS": set,
    "NS": lambda values: {Decimal(value) for value in values},
    "BS": lambda values: {_binary(value) for value in values},
    "M": lambda members: {name: decode(value) for name, value in members.items()},
    "L": lambda values: [decode(value) for value in values],
}


def decode(value: Wire) -> Any:
    """Decode a wire value to a native Python value.

    >>> decode({"M": {"city": {"S": "Bern"}, "zip": {"N": "3000"}}})
    {'city': 'Bern', 'zip': Decimal('3000')}

    Raises:
        ValueError: The value does not have exactly one type descriptor that DynamoDB knows.
    """
    try:
        ((descriptor, content),) = value.items()
    except ValueError:
        raise ValueError(f"an attribute value has one type descriptor, this one has {sorted(value)}") from None
    if descriptor == "S":  # most values by far
        return content
    try:
        decoder = _DECODERS[descriptor]
    except KeyError:
        raise ValueError(f"unknown type descriptor {descriptor!r}") from None
    return decoder(content)


def _base64_text(value: bytes) -> str:
    return base64.b64encode(value).decode()


def encode(value: Any, *, binary: Callable[[bytes], Any] = _base64_text) -> dict[str, Any]:
    """Encode a native Python value in wire format.

    Numbers are `int` or `Decimal`; `float` is refused, as by boto3, because it is not exact.

    >>> encode({"plan": "pro", "seats": 3})
    {'M': {'plan': {'S': 'pro'}, 'seats': {'N': '3'}}}

    Args:
        value: The value.
        binary: Encodes a binary: to base64 text, which JSON takes, or to `bytes`, which botocore takes.

    Raises:
        TypeError: DynamoDB has no type for this value.
        ValueError: DynamoDB cannot store this number; see `number_text`.
    """
    match value:
        case None:
            return {"NULL": True}
        case bool():
            return {"BOOL": value}
        case str():
            return {"S": value}
        case int() | Decimal():
            return {"N": number_text(value)}
        case bytes():
            return {"B": binary(value)}
        case Mapping():
            return {"M": {str(name): encode(content, binary=binary) for name, content in value.items()}}
        case list() | tuple():
            return {"L": [encode(content, binary=binary) for content in value]}
        case set() | frozenset() if value:
            return _encode_set(value, binary)
        case _:
            raise TypeError(f"DynamoDB has no type for {'an empty set' if value == set() else type(value).__name__}")


def number_text(value: int | Decimal) -> str:
    """Write a number as DynamoDB takes it.

    Raises:
        ValueError: It is not finite, has more than 38 significant digits, or is outside of 1E-130 to 1E+126. The
            message has no digits of it.
    """
    number = Decimal(value)
    if not number.is_finite():
        raise ValueError("DynamoDB has no infinite numbers and no NaN")
    digits = len("".join(map(str, number.as_tuple().digits)).strip("0"))
    if digits > NUMBER_DIGITS:
        raise ValueError(f"DynamoDB keeps {NUMBER_DIGITS} significant digits of a number, this one has {digits}")
    if number and not SMALLEST_EXPONENT <= number.adjusted() <= LARGEST_EXPONENT:
        raise ValueError(
            f"DynamoDB's numbers have magnitudes from 1E{SMALLEST_EXPONENT} to below 1E+{LARGEST_EXPONENT + 1}, "
            f"this one has 1E{number.adjusted():+}"
        )
    return str(value)


def check_key(key: object, what: str, *, around: str = "") -> None:
    """Check that a text can be a partition key in DynamoDB.

    Args:
        key: The text.
        what: The key's name in the message.
        around: The text that is added to it in the table.

    Raises:
        TypeError: It is not text.
        ValueError: It is empty, has more than 2,048 bytes together with `around`, or is not Unicode text.
    """
    if not isinstance(key, str):
        raise TypeError(f"{what} must be text, not a {type(key).__name__}")
    if not key:
        raise ValueError(f"{what} must not be empty")
    try:
        size, added = len(key.encode()), len(around.encode())
    except UnicodeEncodeError:
        raise ValueError(f"{what} has half of a surrogate pair, which DynamoDB does not take") from None
    if size + added > LONGEST_KEY_BYTES:
        beside = f" and {added} are added to it" if added else ""
        raise ValueError(f"{what} has {size} bytes{beside}: a key in DynamoDB has at most {LONGEST_KEY_BYTES}")


def _encode_set(members: Set[Any], binary: Callable[[bytes], Any]) -> dict[str, Any]:
    if all(isinstance(member, str) for member in members):
        return {"SS": sorted(members)}
    if all(isinstance(member, int | Decimal) and not isinstance(member, bool) for member in members):
        return {"NS": [number_text(member) for member in sorted(members)]}
    if all(isinstance(member, bytes) for member in members):
        return {"BS": [binary(member) for member in sorted(members)]}
    raise TypeError("a DynamoDB set has members of one type: strings, numbers or binaries")


def encode_item(item: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Encode a whole item in wire format, ready for JSON."""
    return {name: encode(value) for name, value in item.items()}


def same(left: Wire | None, right: Wire | None) -> bool:
    """Compare two wire values as DynamoDB does; `None` is an absent attribute.

    `{"N": "1"}` and `{"N": "1.0"}` are the same number, a set has no order, and a number is never a boolean.
    """
    if left == right:
        return True
    if left is None or right is None or left.keys() != right.keys():
        return False
    ((descriptor, a),) = left.items()
    b = right[descriptor]
    if descriptor == "S":
        return False
    if descriptor == "M":
        return a.keys() == b.keys() and all(same(a[name], b[name]) for name in a)
    if descriptor == "L":
        return len(a) == len(b) and all(map(same, a, b))
    return bool(_DECODERS[descriptor](a) == _DECODERS[descriptor](b))
