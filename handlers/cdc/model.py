"""`model=`: images as instances of the consumer's own class instead of mappings.

A model is a dataclass, a TypedDict or a pydantic model (if pydantic is packaged with the consumer). Attributes that the
model does not name are left out, so that a table may grow without its consumers.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import types
import typing
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Literal, TypeVar

from handlers.cdc.image import Image

T = TypeVar("T")


class ImageDoesNotFit(ValueError):
    """An image does not fit the consumer's model. The message names attributes and types, never values."""


def reader(model: type[T]) -> Callable[[Image], T]:
    """Return the function that turns an image into a `model`.

    DynamoDB has one kind of number, so a `Decimal` becomes what the model asks for: `int` (only if it is whole),
    `float`, an `Enum` by its value. Members of lists, sets, maps and nested dataclasses are converted too.

    >>> from dataclasses import dataclass
    >>> @dataclass
    ... class User:
    ...     userId: str
    ...     seats: int = 1
    >>> reader(User)(Image({"userId": {"S": "u1"}, "seats": {"N": "3"}, "plan": {"S": "pro"}}))
    User(userId='u1', seats=3)

    Raises:
        TypeError: `model` is not a dataclass, TypedDict or pydantic model.
    """
    if hasattr(model, "model_validate"):
        return functools.partial(_pydantic, model)
    if dataclasses.is_dataclass(model) or typing.is_typeddict(model):
        return functools.partial(_object, model, "")
    raise TypeError(f"model={model!r} is not a dataclass, TypedDict or pydantic model")


def _pydantic(model: Any, image: Image) -> Any:
    try:
        return model.model_validate(dict(image))
    except ValueError as error:
        # pydantic's own message quotes the values, and messages are logged.
        problems: Any = getattr(error, "errors", list)()
        said = "; ".join(f"{'.'.join(map(str, problem['loc']))}: {problem['type']}" for problem in problems)
        raise ImageDoesNotFit(f"the image is not a {model.__name__}: {said or type(error).__name__}") from None


@functools.cache
def _attributes(model: Any) -> list[tuple[str, Any, bool]]:
    """Return the name and type of each of a model's attributes, and if it may be missing."""
    types_of = typing.get_type_hints(model)
    if typing.is_typeddict(model):
        required: frozenset[str] = model.__required_keys__
        return [(name, wanted, name not in required) for name, wanted in types_of.items()]
    return [
        (
            field.name,
            types_of[field.name],
            field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING,
        )
        for field in dataclasses.fields(model)
        if field.init
    ]


def _object(model: Any, place: str, image: Mapping[str, Any]) -> Any:
    values: dict[str, Any] = {}
    for name, wanted, optional in _attributes(model):
        if name in image:
            values[name] = _converted(wanted, image[name], f"{place}{name}")
        elif not optional:
            raise ImageDoesNotFit(f"the image is not a {model.__name__}: {place}{name} is missing")
    return model(**values)


def _converted(wanted: Any, value: Any, place: str) -> Any:
    """Convert `value` to the type `wanted`.

    Raises:
        ImageDoesNotFit: It cannot be one.
    """
    origin, arguments = typing.get_origin(wanted), typing.get_args(wanted)
    if wanted is Any or (isinstance(wanted, type) and type(value) is wanted):
        return value
    if origin in (typing.Annotated, typing.Required, typing.NotRequired):
        return _converted(arguments[0], value, place)
    if origin in (typing.Union, types.UnionType):
        for choice in arguments:
            try:
                return _converted(choice, value, place)
            except ImageDoesNotFit:
                continue
    elif origin is Literal:
        if value in arguments:
            return value
    elif origin in (list, set, frozenset) and isinstance(value, list if origin is list else set):
        return origin(_converted(arguments[0], member, f"{place}[]") for member in value)
    elif origin in (dict, Mapping) and isinstance(value, dict):
        return {name: _converted(arguments[1], member, f"{place}.{name}") for name, member in value.items()}
    elif dataclasses.is_dataclass(wanted) or typing.is_typeddict(wanted):
        if isinstance(value, dict):
            return _object(wanted, f"{place}.", value)
    elif wanted is type(None) or wanted is None:
        if value is None:
            return None
    elif isinstance(wanted, type):
        return _scalar(wanted, value, place)
    raise ImageDoesNotFit(f"{place} is a {type(value).__name__}, and the model wants {wanted}")


def _scalar(wanted: type, value: Any, place: str) -> Any:
    if isinstance(value, Decimal):
        if wanted is int and value == value.to_integral_value():
            return int(value)
        if wanted is float:
            return float(value)
    if issubclass(wanted, enum.Enum):
        try:
            return wanted(int(value) if isinstance(value, Decimal) and value == int(value) else value)
        except ValueError:
            raise ImageDoesNotFit(f"{place} is not a member of {wanted.__name__}") from None
    if isinstance(value, wanted) and not isinstance(value, bool):
        return value
    raise ImageDoesNotFit(f"{place} is a {type(value).__name__}, and the model wants {wanted.__name__}")
