"""Checks of parameters against the model that botocore has of an operation, in the form of AWS's messages.

Endpoint and simulation apply them before the engine's own: the engine takes parameters that fit the model.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import botocore.loaders
from botocore.model import ListShape, MapShape, Shape, StringShape, StructureShape
from botocore.model import ServiceModel as Model

from local.engine.spelling import suggestion
from local.engine.streams.admission import violation


def violations(service: str, operation: str, parameters: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each parameter that does not fit the model of an operation.

    Args:
        service: boto3's name of the service.
        operation: The operation's name.
        parameters: Its parameters.
    """
    return _violations(_input_of(service, operation), parameters, "", operation)


def members(service: str, operation: str) -> tuple[str, ...]:
    """Return the names of an operation's parameters."""
    shape = _input_of(service, operation)
    return tuple(shape.members) if isinstance(shape, StructureShape) else ()


@cache
def _input_of(service: str, operation: str) -> Shape:
    model = Model(botocore.loaders.create_loader().load_service_model(service, "service-2"), service)
    shape = model.operation_model(operation).input_shape
    if shape is None:
        raise ValueError(f"{service}:{operation} takes no parameters")
    return shape


def _violations(shape: Shape, value: Any, place: str, operation: str) -> Iterator[str]:
    """Yield a line for each part of a value that does not fit its shape."""
    match shape:
        case StructureShape():
            if not isinstance(value, Mapping):
                yield f"{place} is not an object"
                return
            for name in shape.required_members:
                if value.get(name) is None:
                    yield violation(f"Value null at '{_member(place, name)}'", "Member must not be null")
            for name, content in value.items():
                if name not in shape.members:
                    known = suggestion(name, shape.members)
                    yield f"{_dotted(place, name)} is not a parameter of {operation}{known}"
                elif content is not None:
                    yield from _violations(shape.members[name], content, _dotted(place, name), operation)
        case ListShape():
            if not isinstance(value, list):
                yield f"{place} is not a list"
                return
            if "max" in shape.metadata and len(value) > shape.metadata["max"]:
                limit = shape.metadata["max"]
                yield _refused(value, place, f"Member must have length less than or equal to {limit}")
            for index, each in enumerate(value):
                yield from _violations(shape.member, each, f"{place}.{index + 1}", operation)
        case MapShape():
            if not isinstance(value, Mapping):
                yield f"{place} is not an object"
                return
            for name, content in value.items():
                yield from _violations(shape.value, content, _dotted(place, name), operation)
        case _:
            yield from _scalar_violations(shape, value, place)


def _scalar_violations(shape: Shape, value: Any, place: str) -> Iterator[str]:
    of = shape.metadata
    if shape.type_name == "integer":
        if isinstance(value, bool) or not isinstance(value, int):
            yield f"{place}={value!r} is not a whole number"
        elif "min" in of and value < of["min"]:
            yield _refused(value, place, f"Member must have value greater than or equal to {of['min']}")
        elif "max" in of and value > of["max"]:
            yield _refused(value, place, f"Member must have value less than or equal to {of['max']}")
    elif shape.type_name == "timestamp":
        if isinstance(value, bool) or not isinstance(value, int | float):
            yield f"{place}={value!r} is not a time, in seconds since 1970"
    elif isinstance(shape, StringShape):
        if not isinstance(value, str):
            yield f"{place}={value!r} is not a text"
        elif shape.enum and value not in shape.enum:
            yield _refused(value, place, f"Member must satisfy enum value set: [{', '.join(sorted(shape.enum))}]")
        elif "max" in of and len(value) > of["max"]:
            yield _refused(value, place, f"Member must have length less than or equal to {of['max']}")
        elif "min" in of and len(value) < of["min"]:
            yield _refused(value, place, f"Member must have length greater than or equal to {of['min']}")
        elif "pattern" in of and not re.fullmatch(of["pattern"], value):
            yield _refused(value, place, f"Member must satisfy regular expression pattern: {of['pattern']}")


def _refused(value: Any, place: str, constraint: str) -> str:
    return violation(f"Value '{value}' at '{_member('', place)}'", constraint)


def _dotted(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name


def _member(place: str, name: str) -> str:
    """Return a member's place as AWS's messages write it: each name begins with a small letter."""
    return ".".join(step[:1].lower() + step[1:] for step in _dotted(place, name).split("."))
