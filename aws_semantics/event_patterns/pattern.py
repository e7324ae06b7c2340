"""Compiled event patterns, which select events.

    >>> from aws_semantics.event_patterns import matches, validate
    >>> paid = {"dynamodb": {"NewImage": {"plan": {"S": ["pro", {"prefix": "enterprise"}]}}}}
    >>> validate(paid)
    >>> matches(paid, {"dynamodb": {"NewImage": {"plan": {"S": "enterprise-eu"}}}})
    True

Semantics (docs/aws-semantics.md §2.8) are those of AWS's open-source matcher, event-ruler: fields are joined by "and",
the alternatives of a field by "or". A path and an event are compared by their dotted names, so `{"a.b": [1]}` and
`{"a": {"b": [1]}}` are one pattern. An array matches by any element; several fields below an array of objects must
be found in one and the same object. `{"exists": ...}` sees leaves only.

One difference is known. AWS goes through the fields by name, and a field that must be absent from an array of objects,
and whose name comes before that of the first field found there, must be absent from every object. Here it must be
absent from the object that was found, under any name, so that `matches` says yes where AWS may say no.

A match takes time proportional to the size of the pattern times that of the event, with any content. Standard
library only: the policy pack carries this package outside the project.
"""

from __future__ import annotations

import marshal
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, cast

from aws_semantics.event_patterns.operators import Field
from aws_semantics.event_patterns.syntax import Clause, Or, Source, expand, load_object, overlaps, parse


class Pattern:
    """A compiled pattern: cheap to match many events against.

    Args:
        source: The pattern, as JSON text or as a mapping.

    Raises:
        InvalidPattern: AWS refuses the pattern.

    Example:
        >>> inserts = Pattern('{"eventName": ["INSERT"]}')
        >>> [inserts.matches({"eventName": name}) for name in ("INSERT", "REMOVE")]
        [True, False]
    """

    __slots__ = ("_root", "_ways")

    def __init__(self, source: Source) -> None:
        clauses = parse(source)
        # Where branches of a $or cannot be judged apart, each way to choose them is a pattern of its own.
        ways = expand(clauses) if overlaps(clauses) else []
        self._ways = [_tree(way) for way in ways]
        self._root = None if ways and overlaps(clauses, same_field=True) else _tree(clauses)

    def matches(self, event: Source) -> bool:
        """Test whether the pattern selects the event, a JSON object as text or as a mapping.

        Raises:
            ValueError: The event is text and no JSON object.
        """
        value = load_object(event, ValueError) if isinstance(event, str) else event
        if not isinstance(value, dict):
            value = dict(value)
        if self._root is not None and not (self._ways and self._root.chooses(value)):
            return self._root.matches(value) != _NO
        return any(way.matches(value) for way in self._ways)


def validate(pattern: Source) -> None:
    """Check that AWS accepts a pattern.

    The length is not looked at: it is a quota of each service (`aws_semantics.limits.FILTER_PATTERN_CHARACTERS`).

    Raises:
        InvalidPattern: It does not. The message says where, why, and what to write instead.

    Example:
        >>> validate({"eventName": "INSERT"})
        Traceback (most recent call last):
        aws_semantics.event_patterns.operators.InvalidPattern: eventName: must be an object or an array...
    """
    Pattern(pattern)


def matches(pattern: Source, event: Source) -> bool:
    """Test whether a pattern selects an event. Compiled patterns are remembered; `Pattern` saves the look-up as well.

    Raises:
        InvalidPattern: AWS refuses the pattern.
    """
    if isinstance(pattern, str):
        return _compiled(pattern).matches(event)
    try:
        # By content: a mapping may have changed since the last call. This format (version 2: no references, which
        # depend on more than the content) takes a fifth of the time of JSON.
        key = marshal.dumps(cast(Any, pattern), 2)
    except ValueError:  # a Decimal, or a mapping that is no dict
        return Pattern(pattern).matches(event)
    return _compiled(key).matches(event)


@lru_cache(maxsize=512)
def _compiled(key: str | bytes) -> Pattern:
    return Pattern(key if isinstance(key, str) else marshal.loads(key))  # noqa: S302 - bytes that `matches` wrote


# How much a part of an event agrees with a part of a pattern. In an array, an element is chosen by a value that was
# found in it; what is merely absent chooses nothing, so it has to be absent from every element.
_NO, _ABSENT, _FOUND = 0, 1, 2


class _Node:
    """The tests of a pattern at one path, and below it.

    Attributes:
        field: What is asked of a leaf at this path.
        children: What is asked one name further down.
        choices: For each `$or` at this path, its branches.
        if_missing: The verdict where an event has nothing at this path.
        only: The field where nothing is asked further down.
        splits: Whether a dotted name in an event can lead further down than to a child's own leaf.
    """

    __slots__ = ("children", "choices", "field", "if_missing", "only", "splits")

    def __init__(self) -> None:
        self.field: Field | None = None
        self.children: dict[str, _Node] = {}
        self.choices: list[list[_Node]] = []
        self.if_missing = _NO
        self.only: Field | None = None
        self.splits = False

    def finish(self) -> None:
        """Precompute, once the tree is complete."""
        for node in (*self.children.values(), *(branch for choice in self.choices for branch in choice)):
            node.finish()
        self.if_missing = self._inside({}) and (_ABSENT if self.field is None or self.field.absent else _NO)
        self.only = None if self.children or self.choices else self.field
        self.splits = any(child.children or child.choices for child in self.children.values())

    def matches(self, value: Any) -> int:
        """Judge the value that an event has at this path."""
        if isinstance(value, dict):
            inside = self._inside(value)
            return inside if self.field is None or self.field.absent else _NO
        if isinstance(value, list):
            return self._array(value)
        if self.children or self.choices:
            return self._inside({}) and self._leaf((value,))
        return self._leaf((value,))

    def chooses(self, value: Any) -> bool:
        """Test whether an event has an array of objects here or below, one of which must be chosen."""
        if isinstance(value, list):
            return bool(self.children or self.choices) and any(isinstance(member, dict | list) for member in value)
        if not isinstance(value, dict):
            return False
        if self.splits and "." in "".join(value):
            value = _split_names(value)
        return any(child.chooses(value.get(name)) for name, child in self.children.items()) or any(
            branch.chooses(value) for branches in self.choices for branch in branches
        )

    def _leaf(self, values: Sequence[Any]) -> int:
        field = self.field
        if field is None:
            return _ABSENT
        for value in values:
            if field.accepts(value):
                return _FOUND
        return _ABSENT if field.absent and not values else _NO

    def _inside(self, value: Mapping[str, Any]) -> int:
        if self.splits and "." in "".join(value):
            value = _split_names(value)
        verdict = _ABSENT
        for name, child in self.children.items():
            if name not in value:
                found = child.if_missing
            elif child.only is not None and isinstance(value[name], str):
                found = _FOUND if child.only.accepts(value[name]) else _NO  # most leaves, without two more calls
            else:
                found = child.matches(value[name])
            if not found:
                return _NO
            if found > verdict:
                verdict = found
        for branches in self.choices:
            found = max(branch.matches(value) for branch in branches)
            if not found:
                return _NO
            verdict = max(verdict, found)
        return verdict

    def _array(self, members: list[Any]) -> int:
        scalars: list[Any] = []
        objects: list[Mapping[str, Any]] = []
        remaining = [members]
        while remaining:
            for member in remaining.pop():
                if isinstance(member, list):
                    remaining.append(member)
                elif isinstance(member, dict):
                    objects.append(member)
                else:
                    scalars.append(member)
        leaf = self._leaf(scalars)
        if not leaf:
            return _NO
        if not objects or not (self.children or self.choices):
            return leaf and self._inside({}) and leaf
        verdicts = set(map(self._inside, objects))
        if _FOUND in verdicts:
            return _FOUND
        return _NO if _NO in verdicts else leaf


def _split_names(value: Mapping[str, Any]) -> dict[str, Any]:
    """Nest the members of dotted names: `{"a.b": 1}` is `{"a": {"b": 1}}` to AWS."""
    split: dict[str, Any] = {}
    for name, content in value.items():
        first, dot, rest = name.partition(".")
        _add(split, first, {rest: content} if dot else content)
    return split


def _add(target: dict[str, Any], name: str, content: Any) -> None:
    if name not in target:
        target[name] = content
        return
    present = target[name]
    if isinstance(present, dict) and isinstance(content, dict):
        present = target[name] = dict(present)
        for inner, value in content.items():
            _add(present, inner, value)
    else:
        target[name] = [present, content]


def _tree(clauses: Sequence[Clause | Or]) -> _Node:
    root = _Node()
    _insert(root, clauses, 0)
    root.finish()
    return root


def _insert(root: _Node, clauses: Sequence[Clause | Or], depth: int) -> None:
    for clause in clauses:
        node = root
        for name in clause.path[depth:]:
            node = node.children.setdefault(name, _Node())
        if isinstance(clause, Clause):
            node.field = clause.field
        else:
            branches = [_Node() for _ in clause.branches]
            for branch, members in zip(branches, clause.branches, strict=True):
                _insert(branch, members, len(clause.path))
            node.choices.append(branches)
