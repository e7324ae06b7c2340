"""Conditions held against a table's keys: one that asks for a key the table lacks is never true."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from handlers.cdc.conditions import And, Compare, Condition, Not, Or

_TYPES = {"S": "a string", "N": "a number", "B": "binary"}


class WrongKey(ValueError):
    """A condition asks for a key that the table lacks, or for a value that its key cannot have."""


def check_keys(condition: Condition, keys: Mapping[str, str]) -> None:
    """Check what a condition asks of the primary key.

    The attributes of the key have their types in the images, too.

    Args:
        condition: The consumer's condition.
        keys: The table's key attributes and their types, e.g. `{"userId": "S"}`.

    Raises:
        WrongKey: A part of it asks for an attribute that is not in the key, for a value of another type than the key
            has, or for something inside a key.
    """
    for part in _comparisons(condition):
        name = str(part.path[0])
        if name not in keys:
            if part.image == "Keys":
                raise WrongKey(f"{part!r} is never true: the key of the table is {_listed(keys)}{_meant(name, keys)}")
        elif len(part.path) > 1:
            raise WrongKey(f"{part!r} is never true: {name} is a key, so it is {_TYPES[keys[name]]} with nothing in it")
        elif wrong := [operand for operand in part.operands if keys[name] not in operand]:
            (descriptor,) = wrong[0]
            given = _TYPES.get(descriptor, f"of the type {descriptor}")
            raise WrongKey(f"{part!r} is never true: the key {name} is {_TYPES[keys[name]]}, and the value is {given}")


def _comparisons(condition: Condition) -> Iterator[Compare]:
    match condition:
        case And(parts) | Or(parts):
            for part in parts:
                yield from _comparisons(part)
        case Not(part):
            yield from _comparisons(part)
        case Compare():
            yield condition
        case _:
            return


def _listed(keys: Mapping[str, str]) -> str:
    return " and ".join(f"{name} ({_TYPES[type_]})" for name, type_ in keys.items())


def _meant(name: str, keys: Mapping[str, str]) -> str:
    alike = [key for key in keys if key.lower() == name.lower()]
    return f"; did you mean {alike[0]!r}?" if alike else ""
