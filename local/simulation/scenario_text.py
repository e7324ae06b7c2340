"""Reads a scenario's text. A key that is there twice is an error: one of the two would be ignored."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from yaml import SafeLoader
else:
    #: The loader in C if there is one; the other needs a minute for 100,000 records.
    SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_MERGE = "tag:yaml.org,2002:merge"


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
    return yaml.load(text, _Loader)  # noqa: S506 - a safe loader


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise RepeatedKey(f"the key {name} is there twice in one object")
            seen.add(name)
    return members


class _Loader(SafeLoader):
    """Loader of the types that JSON has too: a time stays a text."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - as the class above has it
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key, _ in node.value:
            if key.tag == _MERGE or not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in seen:
                raise RepeatedKey(f"line {key.start_mark.line + 1}: the key {key.value} is there twice in one object")
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)
