"""Reads a scenario's text. A key that is there twice is an error: one of the two would be ignored."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from yaml import SafeLoader
else:
    #: The loader in C if there is one; the other needs a minute for 100,000 records.
    SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_MERGE = "tag:yaml.org,2002:merge"
_TIMESTAMP = "tag:yaml.org,2002:timestamp"
_TEXT = "tag:yaml.org,2002:str"
#: An anchor whose value is being built, and one that was never seen.
_OPEN, _UNKNOWN = object(), object()
_SCALAR_TAGS = tuple(f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float", "str"))


class RepeatedKey(ValueError):
    """Key that an object has twice."""


def read(text: str) -> Any:
    """Read a text in YAML or JSON.

    Raises:
        RepeatedKey: An object has a key twice.
        ValueError: It is not JSON.
        yaml.YAMLError: It is not YAML either.
    """
    if text.lstrip().startswith("{"):
        try:
            return json.loads(text, object_pairs_hook=_object)
        except json.JSONDecodeError:
            # YAML may begin like this too, but JSON is read much faster.
            pass
    return _YamlDocument(text).value()


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise RepeatedKey(f"the key {name} is there twice in one object")
            seen.add(name)
    return members


class _YamlDocument:
    """YAML document with the types that JSON has too: a time stays a text.

    It is built from the parser's events. `yaml.load` makes a tree of nodes first, and takes four times as long for a
    scenario of 100,000 records.
    """

    def __init__(self, text: str) -> None:
        self._events: Iterator[Any] = iter(yaml.parse(text, Loader=SafeLoader))
        self._anchors: dict[str, Any] = {}
        self._scalars: dict[tuple[str, str | None, bool], Any] = {}
        self._constructor: Any = yaml.constructor.SafeConstructor()
        self._resolvers = {
            first: [(tag, pattern) for tag, pattern in resolvers if tag not in (_TIMESTAMP, _MERGE)]
            for first, resolvers in SafeLoader.yaml_implicit_resolvers.items()
        }

    def value(self) -> Any:
        """Return the document's value, or `None` if the text is empty."""
        next(self._events)  # the stream begins
        if isinstance(next(self._events), yaml.StreamEndEvent):
            return None
        value = self._build(next(self._events))
        next(self._events)  # the document ends
        after = next(self._events)
        if not isinstance(after, yaml.StreamEndEvent):
            raise _wrong("but found another document", after)
        return value

    def _build(self, event: Any) -> Any:
        anchor = event.anchor
        if anchor is not None and not isinstance(event, yaml.AliasEvent):
            self._anchors[anchor] = _OPEN
        match event:
            case yaml.ScalarEvent():
                value = self._scalar(event)
            case yaml.AliasEvent():
                return self._named(event)
            case yaml.SequenceStartEvent():
                self._check_tag(event, "tag:yaml.org,2002:seq")
                value = [self._build(each) for each in iter(lambda: self._next(yaml.SequenceEndEvent), None)]
            case _:
                self._check_tag(event, "tag:yaml.org,2002:map")
                value = self._mapping()
        if anchor is not None:
            self._anchors[anchor] = value
        return value

    def _named(self, alias: Any) -> Any:
        value = self._anchors.get(alias.anchor, _UNKNOWN)
        if value is _OPEN or value is _UNKNOWN:
            problem = "a YAML alias stands inside its anchor" if value is _OPEN else "found undefined alias"
            raise _wrong(f"{problem}: {alias.anchor}", alias)
        return value

    def _next(self, end: type) -> Any:
        """Return the next event, or `None` at the end of a collection."""
        event = next(self._events)
        return None if type(event) is end else event

    def _mapping(self) -> dict[Any, Any]:
        members: dict[Any, Any] = {}
        merged: dict[Any, Any] = {}
        for event in iter(lambda: self._next(yaml.MappingEndEvent), None):
            if type(event) is yaml.ScalarEvent and event.value == "<<" and event.implicit[0]:
                for each in self._merged(event):
                    merged = {**each, **merged}
                continue
            key = self._build(event)
            if isinstance(key, dict | list):
                raise _wrong("found unhashable key", event)
            if key in members:
                line: int = getattr(event.start_mark, "line", 0) + 1
                raise RepeatedKey(f"line {line}: the key {key} is there twice in one object")
            members[key] = self._build(next(self._events))
        return {**merged, **members} if merged else members

    def _merged(self, key: Any) -> list[dict[Any, Any]]:
        value = self._build(next(self._events))
        values = value if isinstance(value, list) else [value]
        if not all(isinstance(each, dict) for each in values):
            raise _wrong("expected a mapping to merge", key)
        return values

    def _scalar(self, event: Any) -> Any:
        """Return a scalar's value; equal ones are built once."""
        text, plain = event.value, event.implicit[0]
        known = (text, event.tag, plain)
        if known in self._scalars:
            return self._scalars[known]
        tag = event.tag
        if tag is None or tag == "!":
            tag = self._resolved(text) if plain else _TEXT
        value = text
        if tag != _TEXT:
            build = self._constructor.yaml_constructors.get(tag)
            if build is None or tag not in _SCALAR_TAGS:
                raise _wrong(f"{tag} is not a type of JSON", event)
            value = build(self._constructor, yaml.ScalarNode(tag, text, event.start_mark, event.end_mark))
        self._scalars[known] = value
        return value

    def _resolved(self, text: str) -> str:
        for tag, pattern in (*self._resolvers.get(text[:1], ()), *self._resolvers.get(None, ())):
            if pattern.match(text):
                return tag
        return _TEXT

    def _check_tag(self, event: Any, expected: str) -> None:
        if event.tag not in (None, "!", expected):
            raise _wrong(f"{event.tag} is not a type of JSON", event)


def _wrong(problem: str, event: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)
