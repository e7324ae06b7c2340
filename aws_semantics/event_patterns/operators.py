"""The tests that one field of an event pattern makes of a value: exact values, `prefix`, `numeric`, `cidr` and others.

Semantics are those of AWS's open-source matcher, event-ruler, checked against answers recorded from AWS
(docs/aws-semantics.md §2.8). No operator is built on a regular expression, so none can backtrack.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Final

Predicate = Callable[[Any], bool]

#: Wildcards in one string. AWS refuses what its own complexity measure finds too costly; the measure is not public,
#: and the one refusal on record has six.
MAX_WILDCARDS: Final = 5

#: `numeric` compares numbers of at most five billion, with six decimals.
NUMERIC_LIMIT: Final = 5_000_000_000
_DECIMALS: Final = 6

ALL_TYPES: Final = frozenset({"string", "number", "boolean", "null"})
_STRING: Final = frozenset({"string"})
_NUMBER: Final = frozenset({"number"})


class InvalidPattern(ValueError):
    """A pattern that AWS refuses. The message names the place, the reason and the text to write instead."""


class Field:
    """The alternatives of one field, e.g. `["pro", {"prefix": "enter"}, {"exists": false}]`: any of them suffices.

    Attributes:
        absent: Whether a missing field is accepted (`{"exists": false}` is among the alternatives).
        types: JSON types of which some value can be accepted: string, number, boolean, null.

    Raises:
        InvalidPattern: AWS refuses one of the alternatives.
    """

    __slots__ = ("_numbers", "_predicates", "_strings", "_words", "absent", "types")

    def __init__(self, alternatives: Sequence[Any], path: str) -> None:
        if not alternatives:
            raise InvalidPattern(f"{path}: an empty array matches nothing; list at least one value")
        self.absent = False
        self.types: frozenset[str] = frozenset()
        strings: set[str] = set()
        words: set[bool | None] = set()
        numbers: set[object] = set()
        predicates: list[Predicate] = []
        for index, alternative in enumerate(alternatives):
            match alternative:
                case None | bool():
                    words.add(alternative)
                    self.types |= {"null" if alternative is None else "boolean"}
                case str():
                    strings.add(alternative)
                    predicates += other_spellings_of_address(alternative)
                    self.types |= _STRING
                case int() | float() | Decimal():
                    numbers.add(_number_key(alternative))
                    self.types |= _NUMBER
                case {"exists": False} if len(alternative) == 1:
                    self.absent = True
                case dict():
                    predicate, types = _expression(alternative, f"{path}[{index}]")
                    predicates.append(predicate)
                    self.types |= types
                case _:
                    raise InvalidPattern(
                        f"{path}[{index}]: a match value is a string, a number, true, false, null or an object like "
                        f'{{"prefix": "a"}}, not {_describe(alternative)}'
                    )
        self._strings, self._words, self._numbers = frozenset(strings), frozenset(words), frozenset(numbers)
        self._predicates = tuple(predicates)

    def accepts(self, value: Any) -> bool:
        """Test whether one scalar of the event (a string, number, boolean or `None`) is accepted."""
        if isinstance(value, str):
            if value in self._strings:
                return True
        elif value is None or isinstance(value, bool):
            if value in self._words:
                return True
        elif self._numbers and _number_key(value) in self._numbers:
            return True
        for predicate in self._predicates:  # noqa: SIM110 - any() with a generator takes twice as long
            if predicate(value):
                return True
        return False


def _expression(expression: dict[str, Any], path: str) -> tuple[Predicate, frozenset[str]]:
    """Compile one object among the alternatives into its test, and the JSON types that it can accept."""
    if len(expression) != 1:
        raise InvalidPattern(
            f"{path}: a match expression has one key, this one has {sorted(map(str, expression))}; "
            "write one object for each alternative"
        )
    ((operator, operand),) = expression.items()
    path = f"{path}.{operator}"
    match operator:
        case "exactly":
            return _equals(_string(operand, path)), _STRING
        case "prefix" | "suffix":
            return _affix(operator, operand, path), _STRING
        case "equals-ignore-case":
            return _ignoring_case(str.__eq__, _string(operand, path)), _STRING
        case "wildcard":
            return _wildcard(_string(operand, path), path), _STRING
        case "cidr":
            return _cidr(_string(operand, path), path), _STRING
        case "numeric":
            return _numeric(operand, path), _NUMBER
        case "anything-but":
            return _anything_but(operand, path), ALL_TYPES
        case "exists":
            if operand is not True:
                raise InvalidPattern(f"{path}: exists takes true or false, not {_describe(operand)}")
            return lambda _: True, ALL_TYPES
        case _:
            raise InvalidPattern(
                f"{path}: there is no operator {operator!r} (they are lower-case): use prefix, suffix, anything-but, "
                "equals-ignore-case, numeric, exists, wildcard or cidr"
            )


def _string(operand: Any, path: str) -> str:
    if not isinstance(operand, str):
        raise InvalidPattern(f"{path}: takes a string, not {_describe(operand)}")
    return operand


def _equals(text: str) -> Predicate:
    return lambda value: value == text and isinstance(value, str)


def _ignoring_case(relation: Callable[[str, str], bool], text: str) -> Predicate:
    lower = text.lower()
    return lambda value: isinstance(value, str) and relation(value.lower(), lower)


def _affix(operator: str, operand: Any, path: str) -> Predicate:
    relation = str.startswith if operator == "prefix" else str.endswith
    if isinstance(operand, dict):
        if list(operand) != ["equals-ignore-case"]:
            raise InvalidPattern(
                f'{path}: takes a string or {{"equals-ignore-case": "..."}}, not an object with the keys '
                f"{sorted(map(str, operand))}"
            )
        return _ignoring_case(relation, _string(operand["equals-ignore-case"], f"{path}.equals-ignore-case"))
    text = _string(operand, path)
    return lambda value: isinstance(value, str) and relation(value, text)


def _wildcard(text: str, path: str) -> Predicate:
    pieces = _wildcard_pieces(text, path)
    if len(pieces) == 1:
        return _equals(pieces[0])
    first, *middle, last = pieces

    def test(value: Any) -> bool:
        if not isinstance(value, str) or not value.startswith(first) or not value.endswith(last):
            return False
        # Each piece at its first place behind the one before: if that fails, every later place fails too.
        position, end = len(first), len(value) - len(last)
        for piece in middle:
            position = value.find(piece, position, end)
            if position < 0:
                return False
            position += len(piece)
        return position <= end

    return test


def _wildcard_pieces(text: str, path: str) -> list[str]:
    r"""Split the literal text between the wildcards; `\*` and `\\` are literal."""
    pieces, piece, position = [""], "", 0
    while position < len(text):
        character = text[position]
        if character == "*":
            if text[position + 1 : position + 2] == "*":
                raise InvalidPattern(f"{path}: two wildcards in a row at {position}; one already matches any text")
            pieces[-1] = piece
            pieces.append("")
            piece = ""
        elif character == "\\":
            position += 1
            if text[position : position + 1] not in ("*", "\\"):
                raise InvalidPattern(rf"{path}: a backslash at {position - 1} that escapes nothing; write \\ or \*")
            piece += text[position]
        else:
            piece += character
        position += 1
    pieces[-1] = piece
    if len(pieces) > MAX_WILDCARDS + 1:
        raise InvalidPattern(
            f"{path}: {len(pieces) - 1} wildcards are too complex for AWS; use at most {MAX_WILDCARDS}"
        )
    return pieces


def _anything_but(operand: Any, path: str) -> Predicate:
    match operand:
        case dict():
            return _anything_but_expression(operand, path)
        case list():
            values: list[Any] = operand
        case _:
            values = [operand]
    if values and all(isinstance(value, str) for value in values):
        strings = frozenset(values)
        return lambda value: not isinstance(value, str) or value not in strings
    if values and all(isinstance(value, int | float | Decimal) and not isinstance(value, bool) for value in values):
        numbers = frozenset(_scaled(value, path) for value in values)
        return lambda value: not _is_number(value) or _number_key(value) not in numbers
    raise InvalidPattern(
        f"{path}: takes a string, a number, a list of strings only or a list of numbers only (no null, no boolean), "
        f"or an object with prefix, suffix, equals-ignore-case or wildcard; not {_describe(operand)}"
    )


def _anything_but_expression(operand: dict[str, Any], path: str) -> Predicate:
    if len(operand) != 1 or next(iter(operand)) not in ("prefix", "suffix", "equals-ignore-case", "wildcard"):
        raise InvalidPattern(
            f"{path}: takes an object with one of prefix, suffix, equals-ignore-case or wildcard, "
            f"not one with {sorted(map(str, operand))}"
        )
    ((operator, texts),) = operand.items()
    path = f"{path}.{operator}"
    members: list[Any] = texts if isinstance(texts, list) else [texts]
    if not members or any(not isinstance(text, str) for text in members):
        raise InvalidPattern(f"{path}: takes a string or a list of strings here, not {_describe(texts)}")
    if operator in ("prefix", "suffix") and "" in members:
        raise InvalidPattern(f"{path}: every text has an empty {operator}, so this matches nothing; name one")
    refused = tuple(_expression({operator: text}, path)[0] for text in members)
    return lambda value: not any(test(value) for test in refused)


def _numeric(operand: Any, path: str) -> Predicate:
    if not isinstance(operand, list):
        raise InvalidPattern(f'{path}: takes a list like [">", 0, "<=", 5], not {_describe(operand)}')
    terms: list[Any] = operand
    if len(terms) not in (2, 4):
        raise InvalidPattern(f'{path}: takes one or two pairs of operator and number, like [">", 0, "<=", 5]')
    operators, bounds = terms[::2], [_scaled(number, path) for number in terms[1::2]]
    if operators[0] not in ("=", "<", "<=", ">", ">=") or (
        len(terms) == 4 and (operators[0] not in (">", ">=") or operators[1] not in ("<", "<="))
    ):
        raise InvalidPattern(
            f"{path}: the operators {operators} are none that AWS takes: one of =, <, <=, >, >=, "
            "or a range from > or >= to < or <="
        )
    if len(terms) == 4 and bounds[0] >= bounds[1]:
        raise InvalidPattern(f"{path}: the range is empty: its lower bound must be below its upper bound")
    # In millionths, an open bound is the closed one next to it.
    lower, upper = -NUMERIC_LIMIT * 10**_DECIMALS, NUMERIC_LIMIT * 10**_DECIMALS
    for operator, bound in zip(operators, bounds, strict=True):
        if operator in ("=", ">", ">="):
            lower = bound + (operator == ">")
        if operator in ("=", "<", "<="):
            upper = bound - (operator == "<")

    def test(value: Any) -> bool:
        if not _is_number(value):
            return False
        number = _millionths(value)
        return number is not None and lower <= number <= upper

    return test


def _cidr(text: str, path: str) -> Predicate:
    address, slash, bits = text.partition("/")
    if not slash or not (bits.isascii() and bits.isdigit() and len(bits) <= 3):
        raise InvalidPattern(f"{path}: {text!r} is not an address, one '/' and a number of bits, like 10.0.0.0/24")
    network = _address(address)
    if network is None:
        raise InvalidPattern(f"{path}: {address!r} is not an IPv4 or IPv6 address")
    size, number = network
    if int(bits) >= size:
        raise InvalidPattern(
            f"{path}: /{bits} is too many bits for {address}: AWS takes at most {size - 1}; "
            "match a single address by writing it as a string"
        )
    return _inside_network(size, number, size - int(bits))


def _address(text: str) -> tuple[int, int] | None:
    """Read an IP address as its bits, 32 or 128, and its number."""
    import ipaddress  # few patterns need it, and every cold start would pay for it

    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return address.max_prefixlen, int(address)


def _inside_network(size: int, number: int, free_bits: int) -> Predicate:
    def test(value: Any) -> bool:
        address = _address(value) if isinstance(value, str) and "%" not in value else None
        return address is not None and address[0] == size and address[1] >> free_bits == number >> free_bits

    return test


def other_spellings_of_address(text: str) -> list[Predicate]:
    """Compile the other spellings of an IPv6 address, which AWS compares as addresses: `::1` is `0:0:0:0:0:0:0:1`."""
    if ":" not in text or text.strip("0123456789abcdefABCDEF:"):
        return []
    address = _address(text)
    return [] if address is None else [_inside_network(*address, free_bits=0)]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _scaled(number: Any, path: str) -> int:
    if not _is_number(number):
        raise InvalidPattern(f"{path}: {_describe(number)} where a number belongs (unquoted)")
    scaled = _millionths(number)
    if scaled is None:
        raise InvalidPattern(
            f"{path}: AWS compares numbers between -5.0e9 and 5.0e9 with at most six decimals, not {number}"
        )
    return scaled


def _millionths(number: int | float | Decimal) -> int | None:
    """Return the number times 10**6, or `None` where AWS does not compare it as a number."""
    if isinstance(number, int):
        return number * 10**_DECIMALS if -NUMERIC_LIMIT <= number <= NUMERIC_LIMIT else None
    exact = Decimal(repr(number)) if isinstance(number, float) else number
    _, digits, exponent = exact.as_tuple()
    if not isinstance(exponent, int):
        return None  # NaN and infinity, which JSON does not have
    text = digits_of(exact)
    exponent += len(digits) - len(text)
    if not text:
        return 0
    if exponent < -_DECIMALS or len(text) + exponent > len(str(NUMERIC_LIMIT)):
        return None
    scaled = int(text) * 10 ** (exponent + _DECIMALS)
    if scaled > NUMERIC_LIMIT * 10**_DECIMALS:
        return None
    return -scaled if number < 0 else scaled


def digits_of(number: Decimal) -> str:
    """Return the significant digits of a number, none for zero; exact in any decimal context.

    >>> digits_of(Decimal("-0.01200"))
    '12'
    """
    return "".join(map(str, number.as_tuple().digits)).rstrip("0")


def plain_number(number: Decimal) -> str:
    """Write a number without exponent and superfluous zeroes, as DynamoDB does.

    >>> plain_number(Decimal("-1.50E+1")), plain_number(Decimal("1E+3")), plain_number(Decimal("-0.0"))
    ('-15', '1000', '0')
    """
    text = f"{number:f}" if number else "0"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _number_key(number: int | float | Decimal) -> object:
    """Return a key that is equal for numbers that AWS finds equal: their value where AWS compares, else their text."""
    scaled = _millionths(number)
    if scaled is not None:
        return scaled
    # The digits of an integer are its text; a tuple, because the key of another number may be the same int.
    return (number,) if isinstance(number, int) else str(number)


def _describe(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return f"the string {value[:40]!r}"
        case list():
            return "an empty array" if not value else "an array"
        case dict():
            return "an object"
        case _:
            return f"{value!r:.40}"
