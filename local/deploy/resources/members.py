"""Members of a resource as data: what a property is called on AWS, and how its value gets there and back.

A request, the check for unused inputs and the values of a refresh all come from one declaration.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pulumi.output import Unknown

Document = dict[str, Any]
"""Members in AWS's names, as an API takes and describes them."""


def _unchanged(value: Any) -> Any:
    return value


@dataclass(frozen=True)
class Member:
    """A property whose value is written differently on AWS.

    Attributes:
        name: AWS's name of it; `A.B` is member B of structure A.
        encode: Converts a property's value to AWS's.
        decode: Converts AWS's value to a property's.
        key: Makes two of AWS's values comparable, e.g. by parsing JSON.
    """

    name: str
    encode: Callable[[Any], Any] = _unchanged
    decode: Callable[[Any], Any] = _unchanged
    key: Callable[[Any], Any] = _unchanged


@dataclass(frozen=True)
class Block:
    """A nested structure.

    Attributes:
        name: AWS's name of it.
        members: Its members.
        listed: `True` where AWS takes a list of one.
    """

    name: str
    members: Members
    listed: bool = False


@dataclass(frozen=True)
class Blocks:
    """A list of nested structures.

    Attributes:
        name: AWS's name of it.
        members: The members of each.
    """

    name: str
    members: Members


Members = Mapping[str, "str | Member | Block | Blocks"]
"""Properties in wire names; a text is AWS's name of a member that is written alike."""


class NotUsed(ValueError):
    """Inputs without a member, which would be accepted and ignored. The message names them."""


def to_document(members: Members, inputs: Mapping[str, Any]) -> Document:
    """Write inputs as AWS takes them.

    Raises:
        NotUsed: An input has no member.
    """
    check_used(members, inputs)
    return _encoded(members, inputs)


def check_used(members: Members, inputs: Mapping[str, Any]) -> None:
    """Reject inputs that have no member.

    Raises:
        NotUsed: Names them, with their paths.
    """
    if left := sorted(_unused(members, inputs, "")):
        raise NotUsed(
            f"{', '.join(left)} would be ignored, because local/deploy/resources does not know what to do with it: "
            "leave it out on this machine, or teach it there"
        )


def aws_names(members: Members, properties: Iterable[str]) -> frozenset[str]:
    """Translate properties to the top-level names of a document."""
    return frozenset(_name(members[each]).partition(".")[0] for each in properties if each in members)


def read_back(members: Members, document: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Bring inputs up to date with what AWS describes.

    Args:
        members: The declaration.
        document: Members as AWS has them. Members it lacks are not described and keep their input.
        inputs: Inputs at the last deployment. Members that were not given stay out: AWS fills in defaults.
    """
    return {
        wire: _actual(members[wire], document, given) if wire in members else given for wire, given in inputs.items()
    }


def read_all(members: Members, document: Mapping[str, Any]) -> dict[str, Any]:
    """Write all members that AWS describes as inputs, for a resource whose inputs are not known."""
    inputs: dict[str, Any] = {}
    for wire, member in members.items():
        found = _get(document, _name(member))
        if found is not _MISSING and found is not None:
            inputs[wire] = _decoded(member, found)
    return inputs


def equal(member: str | Member | Block | Blocks, old: Any, new: Any) -> bool:
    """Tell whether two values of a property are one to AWS, e.g. JSON texts that differ in spaces."""
    if old is None or new is None or not isinstance(member, Member) or member.key is _unchanged:
        return False
    return member.key(member.encode(old)) == member.key(member.encode(new))


def as_json(name: str) -> Member:
    """A JSON text, which AWS may describe with other spaces or as an object."""
    return Member(name, decode=lambda value: value if isinstance(value, str) else json.dumps(value), key=_parsed)


def as_tags(name: str = "Tags") -> Member:
    """Tags that AWS takes as a list of keys and values."""
    return as_pairs(name, "Key")


def as_pairs(name: str, key: str) -> Member:
    """A mapping that AWS takes as a list of pairs of `key` and `Value`."""
    return Member(
        name,
        encode=lambda mapping: [{key: each, "Value": value} for each, value in mapping.items()],
        decode=lambda pairs: {each[key]: each["Value"] for each in pairs},
        key=lambda pairs: {each[key]: each["Value"] for each in pairs},
    )


def as_time(name: str) -> Member:
    """A time, which Pulumi writes as ISO 8601 text."""
    return Member(name, encode=datetime.fromisoformat, decode=lambda value: value.isoformat())


def as_text(name: str) -> Member:
    """A number or switch that AWS takes as text."""
    return Member(
        name, encode=lambda value: str(value).lower() if isinstance(value, bool) else str(value), decode=_read
    )


def _read(text: Any) -> Any:
    try:
        return json.loads(text)
    except (TypeError, ValueError):
        return text


def _parsed(value: Any) -> Any:
    return _read(value) if isinstance(value, str) else value


def _name(member: str | Member | Block | Blocks) -> str:
    return member if isinstance(member, str) else member.name


def _encoded(members: Members, inputs: Mapping[str, Any]) -> Document:
    document: Document = {}
    for wire, value in inputs.items():
        if value is not None:
            _put(document, _name(members[wire]), _encode(members[wire], value))
    return document


def _encode(member: str | Member | Block | Blocks, value: Any) -> Any:
    match member:
        case str():
            return value
        case Member():
            return member.encode(value)
        case Block():
            nested = _encoded(member.members, value)
            return [nested] if member.listed else nested
        case Blocks():
            return [_encoded(member.members, each) for each in value]


def _put(document: Document, name: str, value: Any) -> None:
    first, _, rest = name.partition(".")
    if rest:
        _put(document.setdefault(first, {}), rest, value)
    else:
        document[first] = value


_MISSING = object()


def _get(document: Mapping[str, Any], name: str) -> Any:
    first, _, rest = name.partition(".")
    value = document.get(first, _MISSING)
    return _get(value, rest) if rest and value is not _MISSING else value


def _actual(member: str | Member | Block | Blocks, document: Mapping[str, Any], given: Any) -> Any:
    found = _get(document, _name(member))
    if found is _MISSING or given is None:
        return given
    match member:
        case Member():
            return given if member.key(member.encode(given)) == member.key(found) else member.decode(found)
        case Block():
            return read_back(member.members, next(iter(found), {}) if member.listed else found, given)
        case Blocks() if len(found) == len(given):
            return [read_back(member.members, each, like) for each, like in zip(found, given, strict=True)]
        case _:
            return _decoded(member, found)


def _decoded(member: str | Member | Block | Blocks, found: Any) -> Any:
    match member:
        case str():
            return found
        case Member():
            return member.decode(found)
        case Block():
            return read_all(member.members, next(iter(found), {}) if member.listed else found)
        case Blocks():
            return [read_all(member.members, each) for each in found]


def _unused(members: Members, inputs: Mapping[str, Any], path: str) -> Iterator[str]:
    for wire, value in inputs.items():
        member = members.get(wire)
        if member is None:
            yield f"{path}{wire}"
        elif isinstance(member, Block) and isinstance(value, Mapping):
            yield from _unused(member.members, value, f"{path}{wire}.")
        elif isinstance(member, Blocks) and not isinstance(value, Unknown):
            for index, each in enumerate(value):
                if isinstance(each, Mapping):
                    yield from _unused(member.members, each, f"{path}{wire}[{index}].")
