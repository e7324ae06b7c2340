"""Filters on DynamoDB stream records that AWS accepts and that never match, or always do.

The record a filter sees is the one of GetRecords (docs/aws-semantics.md §1.3, §2.8): a number is a string under `N`,
every attribute has a type descriptor, and the stream's view type decides which images there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Final, NamedTuple

from aws_semantics.event_patterns.operators import Field, plain_number
from aws_semantics.event_patterns.syntax import Clause, Or, Source, expand, parse

#: The images that records of a stream carry, by its view type; and the kind of change that lacks each.
IMAGES_OF: Final[dict[str, tuple[str, ...]]] = {
    "KEYS_ONLY": (),
    "NEW_IMAGE": ("NewImage",),
    "OLD_IMAGE": ("OldImage",),
    "NEW_AND_OLD_IMAGES": ("NewImage", "OldImage"),
}
LACKED_BY: Final = {"NewImage": "REMOVE", "OldImage": "INSERT"}

_EVENT_NAMES: Final = ("INSERT", "MODIFY", "REMOVE")

#: Leaves of a record outside the images: the JSON type of the value, and its values where they are fixed.
_LEAVES: Final[dict[tuple[str, ...], tuple[str, tuple[str, ...]]]] = {
    ("eventID",): ("string", ()),
    ("eventName",): ("string", _EVENT_NAMES),
    ("eventVersion",): ("string", ()),
    ("eventSource",): ("string", ("aws:dynamodb",)),
    ("awsRegion",): ("string", ()),
    ("userIdentity", "type"): ("string", ("Service",)),
    ("userIdentity", "principalId"): ("string", ("dynamodb.amazonaws.com",)),
    ("dynamodb", "ApproximateCreationDateTime"): ("number", ()),
    ("dynamodb", "SequenceNumber"): ("string", ()),
    ("dynamodb", "SizeBytes"): ("number", ()),
    ("dynamodb", "StreamViewType"): ("string", tuple(IMAGES_OF)),
}
_NAMES: Final = sorted({name for path in _LEAVES for name in path} | {"Keys", "NewImage", "OldImage"})

#: Type descriptors with leaves below them, and the JSON type of those.
_DESCRIBED: Final = {
    **dict.fromkeys(("S", "N", "B", "SS", "NS", "BS"), "string"),
    **dict.fromkeys(("BOOL", "NULL"), "boolean"),
}

_ELSEWHERE: Final = {
    "eventSourceARN": "Lambda adds eventSourceARN after the filter; a mapping reads one stream, so leave it out",
    "data": "`data` is for filters on Kinesis streams; name the fields of a DynamoDB stream record, under `dynamodb`",
    "body": "`body` is for filters on SQS queues; name the fields of a DynamoDB stream record, under `dynamodb`",
    "kinesis": "this is a DynamoDB stream record; its content is under `dynamodb`",
    "Records": "a filter sees one record, not the event: name the record's own fields, e.g. eventName",
}


@dataclass(frozen=True)
class Finding:
    """One part of a pattern that cannot mean what it says.

    Attributes:
        path: Its place, e.g. `dynamodb.NewImage.age.N[0]`.
        what: The consequence: it can never match, or it always does.
        why: The fact about stream records behind it.
        fix: The text to write instead.
    """

    path: str
    what: str
    why: str
    fix: str

    def __str__(self) -> str:
        return f"{self.path} {self.what}: {self.why}; {self.fix}"


class _Stream(NamedTuple):
    """The facts about one stream.

    Attributes:
        view_type: Its view type; `None` if unknown.
        keys: The type descriptors of the table's keys by their names; `None` if unknown.
    """

    view_type: str | None
    keys: Mapping[str, str] | None


def lint(pattern: Source, view_type: str | None = None, *, keys: Mapping[str, str] | None = None) -> list[Finding]:
    """List the parts of a valid filter of a DynamoDB stream that can never match, or always do.

    Args:
        pattern: The pattern, as JSON text or as a mapping.
        view_type: The stream's view type; `None` if unknown, then every image is taken to be there.
        keys: The type descriptors of the table's keys by their names, e.g. `{"pk": "S", "sk": "N"}`; `None` if unknown.

    Returns:
        Findings in the order of the pattern. None of them is a matter of taste: each part named is without effect on
        every record that DynamoDB writes, or turns the whole field off.

    Raises:
        InvalidPattern: AWS refuses the pattern.
        ValueError: There is no such view type.

    Example:
        >>> (finding,) = lint({"dynamodb": {"NewImage": {"age": {"N": [{"numeric": [">", 17]}]}}}})
        >>> print(finding)
        dynamodb.NewImage.age.N[0] can never match: a number of DynamoDB is a string in a record; \
write the digits as strings, like {"N": ["101"]}, or compare in the function
    """
    if view_type is not None and view_type not in IMAGES_OF:
        raise ValueError(f"there is no view type {view_type!r}: {', '.join(IMAGES_OF)}")
    clauses, stream = parse(pattern), _Stream(view_type, keys)
    findings = [finding for clause in _leaves(clauses) for finding in _field(clause, stream)]
    for way in expand(clauses):
        findings += _impossible_images(way)
    return list(dict.fromkeys(findings))


def impossible(
    pattern: Source, view_type: str | None = None, *, keys: Mapping[str, str] | None = None
) -> list[Finding]:
    """List the reasons why a valid filter of a DynamoDB stream can never match any record; none when it can.

    A dead alternative beside one that is alive is a finding of `lint` only.

    Args:
        pattern: The pattern, as JSON text or as a mapping.
        view_type: The stream's view type; `None` if unknown, then every image is taken to be there.
        keys: As for `lint`.

    Raises:
        InvalidPattern: AWS refuses the pattern.

    Example:
        >>> impossible({"eventName": ["CREATE", "INSERT"]})
        []
        >>> [finding.path for finding in impossible({"eventName": ["CREATE"]})]
        ['eventName[0]']
        >>> [finding.path for finding in impossible({"dynamodb": {"Keys": {"SK": {"S": ["a"]}}}}, keys={"sk": "S"})]
        ['dynamodb.Keys.SK.S']
    """
    stream = _Stream(view_type, keys)
    reasons = [list(_deadly(way, stream)) for way in expand(parse(pattern))]
    return list(dict.fromkeys(finding for way in reasons for finding in way)) if all(reasons) else []


def names_at_the_top(pattern: Source) -> set[str]:
    """Return the members of an event that a valid pattern wants to be there.

    >>> sorted(names_at_the_top({"body": {"kind": ["a"]}, "attributes": {"SenderId": [{"exists": False}]}}))
    ['body']
    """
    return {clause.path[0] for clause in _leaves(parse(pattern)) if not clause.field.absent}


def _deadly(way: Sequence[Clause | Or], stream: _Stream) -> Iterator[Finding]:
    """Yield the findings that keep a way to match, a conjunction of fields, from matching."""
    for clause in _leaves(way):
        dead = [finding for finding in _field(clause, stream) if finding.what == "can never match"]
        if len(dead) == len(clause.alternatives) or ".".join(clause.path) in (finding.path for finding in dead):
            yield from dead
    yield from (finding for finding in _impossible_images(way) if finding.what == "can never match")


def _leaves(clauses: Sequence[Clause | Or]) -> Iterator[Clause]:
    for clause in clauses:
        if isinstance(clause, Or):
            for branch in clause.branches:
                yield from _leaves(branch)
        else:
            yield clause


def _field(clause: Clause, stream: _Stream) -> Iterator[Finding]:
    path, view_type = clause.path, stream.view_type
    if path in _LEAVES:
        json_type, values = _LEAVES[path]
        if path[-1] == "StreamViewType" and view_type is not None:
            values = (view_type,)
        yield from _alternatives(clause, json_type, values)
    elif path[0] != "dynamodb":
        yield _no_such_name(clause, path[:1] if path[0] != "userIdentity" else path)
    elif len(path) > 1 and path[1] in ("Keys", "NewImage", "OldImage"):
        if path[1] != "Keys" and view_type is not None and path[1] not in IMAGES_OF[view_type]:
            yield _dead(
                clause,
                f"a stream with view type {view_type} carries no {path[1]}",
                "choose a view type for the table that does (NEW_AND_OLD_IMAGES carries both)",
            )
        elif len(path) == 2:
            yield _not_a_leaf(clause, "name an attribute in it and its type descriptor")
        elif path[1] == "Keys" and stream.keys is not None and not clause.dotted and _no_key(path, stream.keys):
            keys = [f"{name} ({descriptor})" for name, descriptor in stream.keys.items()]
            yield _dead(
                clause,
                f"the table's keys are {' and '.join(keys)}, and names are case-sensitive",
                "name one of these, or filter on an image",
            )
        else:
            yield from _attribute(clause, path[3:])
    else:
        yield _no_such_name(clause, path[:2]) if len(path) > 1 else _not_a_leaf(clause, "name a field in it")


def _no_key(path: Sequence[str], keys: Mapping[str, str]) -> bool:
    """Test whether a path names no key of the table, or one with the descriptor of another type."""
    name, *rest = path[2:]
    return name not in keys or bool(rest and rest[0] in _DESCRIBED and rest[0] != keys[name])


def _attribute(clause: Clause, rest: Sequence[str]) -> Iterator[Finding]:
    """Check the rest of a path after an attribute's name: a descriptor, and for maps and lists more of the same."""
    if not rest:
        example = f'{{"{clause.path[-1]}": {{"S": ["x"]}}}}'
        yield _not_a_leaf(clause, f"write the attribute's type descriptor, like {example}; `exists` goes there too")
        return
    descriptor, *below = rest
    if descriptor == "M" and len(below) > 1:
        yield from _attribute(clause, below[1:])
    elif descriptor == "L" and below:
        yield from _attribute(clause, below)
    elif descriptor in ("M", "L"):
        yield _not_a_leaf(clause, "name what is inside, with its type descriptor")
    elif descriptor not in _DESCRIBED:
        if not clause.dotted:
            yield _dead(clause, *_unknown_descriptor(descriptor))
        elif below:
            yield from _attribute(clause, below)  # the attribute's name may have a dot in it, and end here
        else:
            yield _dead(clause, *_unknown_descriptor(descriptor))
    elif below:
        yield _dead(
            clause,
            f"a value under {descriptor} has nothing below it",
            "write a map under M and a list under L, and a type descriptor for each value in them",
        )
    else:
        yield from _alternatives(clause, _DESCRIBED[descriptor], (), descriptor)


def _unknown_descriptor(descriptor: str) -> tuple[str, str]:
    known = [*_DESCRIBED, "M", "L"]
    fix = f"write {descriptor.upper()}" if descriptor.upper() in known else f"use one of {', '.join(known)}"
    return f"there is no type descriptor {descriptor!r}", fix


def _alternatives(
    clause: Clause, json_type: str, values: Sequence[str], descriptor: str | None = None
) -> Iterator[Finding]:
    """Yield each alternative of a leaf that no value can satisfy."""
    where = ".".join(clause.path)
    for index, alternative in enumerate(clause.alternatives):
        field = Field([alternative], where)
        place = f"{where}[{index}]"
        if field.absent:
            continue
        if json_type not in field.types:
            yield Finding(place, "can never match", *_wrong_type(json_type, descriptor))
        elif values and not any(map(field.accepts, values)):
            yield Finding(place, "can never match", f"the value is one of {', '.join(values)}", _one_of(values))
        elif descriptor == "NULL" and not field.accepts(True):
            yield Finding(place, "can never match", "NULL is always true in a record", "write [true]")
        elif descriptor in ("N", "NS") and isinstance(alternative, str):
            yield from _number(place, alternative)


def _one_of(values: Sequence[str]) -> str:
    return f"write one of these, like {values[0]}" if len(values) > 1 else f"write {values[0]}"


def _wrong_type(json_type: str, descriptor: str | None) -> tuple[str, str]:
    if descriptor in ("N", "NS"):
        return (
            "a number of DynamoDB is a string in a record",
            'write the digits as strings, like {"N": ["101"]}, or compare in the function',
        )
    if descriptor == "BOOL":
        return "a boolean is not quoted in a record", "write [true] or [false]"
    if descriptor == "NULL":
        return "NULL is always true in a record", "write [true]"
    return f"the value is a JSON {json_type}", f"write a {json_type}"


def _number(place: str, text: str) -> Iterator[Finding]:
    try:
        number = Decimal(text)
    except InvalidOperation:
        yield Finding(place, "can never match", f"{text!r} is not a number", "write digits, or use S for a string")
        return
    canonical = plain_number(number)
    if text != canonical and "e" not in text.lower():
        yield Finding(
            place,
            "can never match",
            "DynamoDB stores numbers without leading and trailing zeroes",
            f'write "{canonical}"',
        )


def _impossible_images(way: Sequence[Clause | Or]) -> Iterator[Finding]:
    """Yield a finding for each image that records of the selected event names do not have."""
    names = set(_EVENT_NAMES)
    for clause in _leaves(way):
        if clause.path == ("eventName",):
            names = {name for name in _EVENT_NAMES if clause.field.accepts(name)}
    for clause in _leaves(way):
        image = clause.path[1] if clause.path[0] == "dynamodb" and len(clause.path) > 1 else ""
        if names == {LACKED_BY.get(image)} and not clause.field.absent:
            (name,) = names
            other = "OldImage" if image == "NewImage" else "NewImage"
            yield _dead(clause, f"{name} records have no {image}", f"ask for the {other}, or for other event names")


def _no_such_name(clause: Clause, path: Sequence[str]) -> Finding:
    name = path[-1]
    if len(path) == 1 and name in _ELSEWHERE:
        return _dead(clause, "a stream record has no such field when it is filtered", _ELSEWHERE[name])
    plain = name.replace("_", "").lower()
    near = [known for known in (*_NAMES, "dynamodb") if known.lower() == plain]
    return _dead(
        clause,
        f"a stream record has no field {'.'.join(path)}",
        f"write {near[0]}: names are case-sensitive" if near else f"use one of {', '.join(_NAMES)}",
    )


def _not_a_leaf(clause: Clause, fix: str) -> Finding:
    return _dead(clause, "its value is an object, and AWS compares leaves only", fix)


def _dead(clause: Clause, why: str, fix: str) -> Finding:
    what = "always matches" if clause.field.absent else "can never match"
    return Finding(".".join(clause.path), what, why, fix)
