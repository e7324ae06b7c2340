"""The syntax of patterns: the clauses of one, with the fields it names, and its `$or`s."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, NamedTuple

from aws_semantics.event_patterns.operators import Field, InvalidPattern

#: Nesting of a pattern, in names; DynamoDB nests items 32 deep, which is 67 names. Ours, not AWS's.
MAX_DEPTH: Final = 100

#: Ways to choose one branch of every `$or`: AWS refuses patterns with more.
MAX_COMBINATIONS: Final = 1_000

Source = str | Mapping[str, Any]

_PairsHook = Callable[[list[tuple[str, Any]]], dict[str, Any]]

#: Operators and names that AWS keeps for future ones: no field inside `$or` may be called so.
RESERVED_INSIDE_OR: Final = frozenset(
    {
        *("exactly", "prefix", "suffix", "equals-ignore-case", "anything-but", "wildcard", "exists", "numeric", "cidr"),
        *("=", "<", "<=", ">", ">=", "regex", "html", "not-wildcard", "not-equals-ignore-case"),
        *("date-after", "date-on-or-after", "date-before", "date-on-or-before", "in-date-range"),
        *("ip-address-in-range", "ip-address-not-in-range"),
    }
)


class Clause(NamedTuple):
    """One field of a pattern.

    Attributes:
        path: Its dotted name, split.
        field: Its test.
        alternatives: The alternatives of the test, as written.
        dotted: Whether a name on the way was written with a dot in it.
    """

    path: tuple[str, ...]
    field: Field
    alternatives: Sequence[Any]
    dotted: bool


class Or(NamedTuple):
    """One `$or`: its place, and the clauses of each branch."""

    path: tuple[str, ...]
    branches: list[list[Clause | Or]]


def parse(source: Source) -> list[Clause | Or]:
    """Parse a pattern into its clauses, all of which must hold.

    Raises:
        InvalidPattern: AWS refuses the pattern.
    """
    document: Any = source
    if isinstance(source, str):
        document = load_object(source, InvalidPattern, _merge_repeated_names)
    if not isinstance(document, Mapping):
        raise InvalidPattern(f'a pattern is a JSON object like {{"eventName": ["INSERT"]}}, not {document!r:.60}')
    clauses = list(_clauses(document, (), inside_or=False))
    combinations = _combinations(clauses)
    if combinations > MAX_COMBINATIONS:
        raise InvalidPattern(
            f"the branches of $or can be combined in {combinations} ways and AWS takes {MAX_COMBINATIONS}: "
            "list the values of one field in one array instead, or use several patterns"
        )
    return clauses


def load_object(text: str, error: type[ValueError], pairs_hook: _PairsHook | None = None) -> dict[str, Any]:
    """Read a JSON object, with exact numbers; `error` is raised for anything else."""
    try:
        # Decimal keeps the digits that AWS compares numbers by.
        document = json.loads(text, parse_float=Decimal, parse_constant=_refuse_constant, object_pairs_hook=pairs_hook)
    except RecursionError:
        raise error("the JSON is nested too deeply") from None
    except ValueError as problem:
        raise error(f"not JSON: {problem}") from None
    if not isinstance(document, dict):
        raise error(f'a JSON object is needed, like {{"eventName": ["INSERT"]}}, not {text:.60}')
    return document


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def _merge_repeated_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Merge repeated names as AWS does: fields are collected from both, and the last of one field counts."""
    merged: dict[str, Any] = {}
    _merge(merged, pairs)
    return merged


def _merge(target: dict[str, Any], pairs: Iterable[tuple[str, Any]]) -> None:
    for name, value in pairs:
        before = target.pop(name, None)
        if isinstance(before, dict) and isinstance(value, dict):
            _merge(before, value.items())
            target[name] = before
        else:
            target[name] = value


def _clauses(
    document: Mapping[str, Any], path: tuple[str, ...], *, inside_or: bool, dotted: bool = False
) -> Iterator[Clause | Or]:
    where = ".".join(path) or "the pattern"
    if not document:
        raise InvalidPattern(f"{where}: an empty object matches nothing; name at least one field in it")
    for name, value in document.items():
        if not isinstance(name, str):  # pyright: ignore[reportUnnecessaryIsInstance] - a mapping from Python code
            raise InvalidPattern(f"{where}: the name {name!r} is not a string")
        if name == "$or":
            yield _or(value, path, dotted=dotted)
            continue
        if inside_or and name in RESERVED_INSIDE_OR:
            raise InvalidPattern(
                f"{where}.$or: {name!r} is an operator's name and cannot name a field here; operators belong into the "
                f'array of a field, like {{"field": [{{"{name}": ...}}]}}'
            )
        inner = (*path, *name.split("."))
        if len(inner) > MAX_DEPTH:
            raise InvalidPattern(f"{'.'.join(inner[:3])}...: nested more than {MAX_DEPTH} names deep")
        match value:
            case Mapping():
                yield from _clauses(value, inner, inside_or=inside_or, dotted=dotted or "." in name)
            case list() | tuple():
                yield Clause(inner, Field(value, ".".join(inner)), value, dotted or "." in name)
            case _:
                raise InvalidPattern(f"{'.'.join(inner)}: must be an object or an array; write [{_json(value)}]")


def _or(branches: Any, path: tuple[str, ...], *, dotted: bool) -> Or:
    where = ".".join((*path, "$or"))
    if not isinstance(branches, list | tuple) or len(branches) < 2:
        raise InvalidPattern(f"{where}: takes an array of at least two objects; without a choice, leave it out")
    for index, branch in enumerate(branches):
        if not isinstance(branch, Mapping):
            raise InvalidPattern(f"{where}[{index}]: must be an object; values belong into the array of a field")
    return Or(path, [list(_clauses(branch, path, inside_or=True, dotted=dotted)) for branch in branches])


def _json(value: Any) -> str:
    return json.dumps(value, default=str)[:40]


def _combinations(clauses: Sequence[Clause | Or]) -> int:
    return math.prod(sum(map(_combinations, clause.branches)) for clause in clauses if isinstance(clause, Or))


def _fields(clauses: Sequence[Clause | Or]) -> Iterator[tuple[str, ...]]:
    for clause in clauses:
        if isinstance(clause, Or):
            for branch in clause.branches:
                yield from _fields(branch)
        else:
            yield clause.path


def overlaps(clauses: Sequence[Clause | Or], *, same_field: bool = False) -> bool:
    """Test whether a `$or` names something that is also named outside it (`same_field`: the very same field).

    Then its branches cannot always be judged apart: a field named twice is replaced, and fields below one array must
    be found in one element.
    """
    for position, clause in enumerate(clauses):
        if isinstance(clause, Or):
            depth = None if same_field else len(clause.path) + 1
            named = {path[:depth] for path in _fields([clause])}
            beside = [*clauses[:position], *clauses[position + 1 :]]
            if any(path[:depth] in named for path in _fields(beside)):
                return True
            if any(overlaps(branch, same_field=same_field) for branch in clause.branches):
                return True
    return False


def expand(clauses: Sequence[Clause | Or]) -> list[list[Clause | Or]]:
    """List every way to choose one branch of each `$or`, as plain clauses; the last of a repeated field counts."""
    ways: list[dict[tuple[str, ...], Clause | Or]] = [{}]
    for clause in clauses:
        branches = [[clause]] if isinstance(clause, Clause) else [way for b in clause.branches for way in expand(b)]
        ways = [{**way, **{member.path: member for member in branch}} for way in ways for branch in branches]
    return [list(way.values()) for way in ways]
