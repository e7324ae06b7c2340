"""The configuration of a rule: its settings, their defaults, and the faults of one.

The engine checks values against the schema before it asks a pack, but takes settings that no rule has, so that a
misspelt one would go unnoticed. Other ways to run a pack check nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from policies import exemptions
from policies.rule import AnyRule

#: The types of the schemas in Python, and in a message.
_TYPES: Mapping[str, tuple[tuple[type, ...], str]] = {
    "array": ((list,), "a list"),
    "number": ((int, float), "a number"),
    "object": ((Mapping,), "an object"),
    "string": ((str,), "a text"),
}


def schema_of(rule: AnyRule) -> dict[str, dict[str, Any]]:
    """Return the JSON schema of each of a rule's settings, by name."""
    own = {
        name: {**parameter.schema, "default": parameter.default, "description": parameter.description}
        for name, parameter in rule.parameters.items()
    }
    return {**own, "exemptions": dict(exemptions.SCHEMA)}


def complete(rule: AnyRule, given: Mapping[str, Any]) -> dict[str, Any]:
    """Add the rule's defaults to a configuration. The engine adds them; other ways to run a pack do not."""
    return {**{name: schema["default"] for name, schema in schema_of(rule).items()}, **given}


def problems(rule: AnyRule, config: Mapping[str, Any]) -> Iterator[str]:
    """Tell the faults of a configuration: unknown settings, values of a wrong type, exemptions that name nothing."""
    schemas = schema_of(rule)
    for name, value in config.items():
        schema = schemas.get(name)
        if schema is None:
            yield f"there is no setting {name!r}, only {', '.join(schemas)}"
        elif not _is_a(schema["type"], value):
            yield f"{name} is not {_TYPES[schema['type']][1]}"
        elif "items" in schema and not all(_is_a(schema["items"]["type"], item) for item in value):
            yield f"{name} holds a value that is not {_TYPES[schema['items']['type']][1]}"
        elif name == "exemptions":
            for exemption in exemptions.read(value):
                yield from exemptions.problems(exemption)


def _is_a(type_: str, value: object) -> bool:
    return isinstance(value, _TYPES[type_][0]) and not isinstance(value, bool)
