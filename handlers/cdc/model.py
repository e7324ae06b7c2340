"""`model=`: images as instances of the consumer's own class instead of mappings.

A model is a dataclass, a TypedDict or a pydantic model (if pydantic is packaged with the consumer). Attributes that the
model does not name are left out, so that a table may grow without its consumers.

A model's types are checked when its consumer is made: a type that no image can have would fail every record instead.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import enum
import functools
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Literal, TypeVar

from handlers.cdc.change import Change
from handlers.cdc.image import Image

T = TypeVar("T")

_LISTS: frozenset[Any] = frozenset(
    {list, collections.abc.Sequence, collections.abc.Iterable, collections.abc.Collection}
)
_SETS: frozenset[Any] = frozenset({set, collections.abc.Set})
_MAPS: frozenset[Any] = frozenset({dict, collections.abc.Mapping})
#: Types of single values that an image can have, or that its values are converted to.
_SCALARS: frozenset[Any] = frozenset({str, int, float, Decimal, bool, bytes, type(None)})


class ImageDoesNotFit(ValueError):
    """An image does not fit the consumer's model. The message names attributes and types, never values."""


def reader(model: type[T]) -> Callable[[Image], T]:
    """Return the function that turns an image into a `model`.

    DynamoDB has one kind of number, so a `Decimal` becomes what the model asks for: `int` (only if it is whole),
    `float`, an `Enum` by its value. Members of lists, tuples, sets, maps and nested dataclasses are converted too.

    >>> from dataclasses import dataclass
    >>> @dataclass
    ... class User:
    ...     userId: str
    ...     seats: int = 1
    >>> reader(User)(Image({"userId": {"S": "u1"}, "seats": {"N": "3"}, "plan": {"S": "pro"}}))
    User(userId='u1', seats=3)

    Raises:
        TypeError: `model` is not a dataclass, TypedDict or pydantic model, or has a type that no image fits, such as
            a date: DynamoDB has none.
    """
    if hasattr(model, "model_validate"):
        return functools.partial(_pydantic, model)
    if _is_object(model):
        _check(model, model.__name__, "", set())
        return functools.partial(_object, model, "")
    raise TypeError(f"model={model!r} is not a dataclass, TypedDict or pydantic model")


def check_annotation(function: Callable[..., object], model: type | None) -> None:
    """Check that a function whose change is annotated `Change[User]` gets its images as `User`s.

    Annotations that cannot be resolved here, because they are imported for type checkers alone, are not checked.

    Raises:
        TypeError: The annotation names a class that is not the model.
    """
    try:
        annotations = typing.get_type_hints(function)
        first = annotations.get(next(iter(inspect.signature(function).parameters)))
    except Exception:  # noqa: BLE001 - whatever is wrong with an annotation, type checkers report it
        return
    if typing.get_origin(first) in _LISTS and typing.get_args(first):
        (first,) = typing.get_args(first)
    if typing.get_origin(first) is not Change:
        return
    (wanted,) = typing.get_args(first)
    if not isinstance(wanted, type) or _is_base(wanted, Image if model is None else model):
        return
    name = getattr(function, "__name__", repr(function))
    given = "has no model" if model is None else f"has the model {model.__name__}"
    raise TypeError(
        f"{name} takes a Change[{wanted.__name__}], but its consumer {given}, so that its images would not be "
        f"{wanted.__name__}s: add model={wanted.__name__}"
    )


def _is_base(wanted: type, given: type) -> bool:
    if typing.is_typeddict(wanted) or typing.is_typeddict(given):
        return wanted is given
    # Only type checkers can tell which classes have a protocol's attributes.
    return bool(getattr(wanted, "_is_protocol", False)) or issubclass(given, wanted)


def _is_object(model: Any) -> bool:
    return isinstance(model, type) and (dataclasses.is_dataclass(model) or typing.is_typeddict(model))


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
    types_of = typing.get_type_hints(model, include_extras=True)
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


def _check(wanted: Any, root: str, place: str, seen: set[Any]) -> None:
    """Raise a `TypeError` if a model has a type that no image fits."""
    wanted = _plain(wanted)
    origin, arguments = typing.get_origin(wanted), typing.get_args(wanted)
    if wanted is Any or wanted is object or wanted in _SCALARS or origin is Literal:
        return
    if wanted in _LISTS | _SETS | _MAPS | {tuple, frozenset}:  # with members of any type
        return
    if _is_object(wanted):
        if wanted not in seen:
            seen.add(wanted)
            _check_object(wanted, root, place, seen)
    elif origin in (typing.Union, types.UnionType):
        for choice in arguments:
            _check(choice, root, place, seen)
    elif origin in _LISTS | _SETS | {frozenset}:
        _check(arguments[0], root, f"{place}[]", seen)
    elif origin is tuple:
        for member in arguments:
            if member is not Ellipsis:
                _check(member, root, f"{place}[]", seen)
    elif origin in _MAPS and _plain(arguments[0]) is str:
        _check(arguments[1], root, f"{place}.*", seen)
    elif not (isinstance(wanted, type) and issubclass(wanted, enum.Enum | str | bytes | int | float | Decimal)):
        name = wanted if origin else getattr(wanted, "__name__", wanted)
        raise TypeError(
            f"the model {root} has {place}: {name}, which no image fits: an attribute is a str, int, float, Decimal, "
            "bool, bytes, None, an Enum, a Literal, a dataclass, a TypedDict, or a list, tuple, set or dict (with text "
            "as keys) of these. Read it as one of these and convert it in the consumer"
        )


def _check_object(model: type, root: str, place: str, seen: set[Any]) -> None:
    try:
        attributes = _attributes(model)
    except NameError as error:
        raise TypeError(
            f"the model {model.__name__} has a type that cannot be found: {error}. Define it at the top of its module, "
            "and import it at run time"
        ) from None
    for name, wanted, _ in attributes:
        _check(wanted, root, f"{place}.{name}" if place else name, seen)
    try:
        inspect.signature(model).bind(**dict.fromkeys(name for name, _, _ in attributes))
    except TypeError as error:
        raise TypeError(f"a {model.__name__} cannot be made of its attributes alone: {error}") from None
    except ValueError:  # a TypedDict, which has no signature and takes every name
        return


def _plain(wanted: Any) -> Any:
    """Return a type without `Annotated`, `Required`, `NotRequired`, `NewType` and aliases around it."""
    while True:
        origin = typing.get_origin(wanted)
        if origin in (typing.Annotated, typing.Required, typing.NotRequired):
            wanted = typing.get_args(wanted)[0]
        elif isinstance(wanted, typing.NewType):
            wanted = wanted.__supertype__
        elif type(wanted).__name__ == "TypeAliasType":  # typing has it from Python 3.12 on
            wanted = wanted.__value__
        else:
            return wanted


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
    wanted = _plain(wanted)
    origin, arguments = typing.get_origin(wanted), typing.get_args(wanted)
    if wanted is Any or wanted is object or (isinstance(wanted, type) and type(value) is wanted):
        return value
    if origin in (typing.Union, types.UnionType):
        for choice in arguments:
            try:
                return _converted(choice, value, place)
            except ImageDoesNotFit:
                continue
    elif origin is Literal:
        for choice in arguments:
            if choice == value and isinstance(choice, bool) == isinstance(value, bool):
                return choice
    elif wanted in _LISTS or origin in _LISTS or wanted is tuple or origin is tuple:
        if isinstance(value, list):
            return _sequence(origin or wanted, arguments, value, place)
    elif wanted in _SETS | {frozenset} or origin in _SETS | {frozenset}:
        if isinstance(value, set):
            member_type = arguments[0] if arguments else Any
            kind = frozenset if frozenset in (wanted, origin) else set
            return kind(_converted(member_type, member, f"{place}[]") for member in value)
    elif wanted in _MAPS or origin in _MAPS:
        if isinstance(value, dict):
            member_type = arguments[1] if arguments else Any
            return {name: _converted(member_type, member, f"{place}.{name}") for name, member in value.items()}
    elif _is_object(wanted):
        if isinstance(value, dict):
            return _object(wanted, f"{place}.", value)
    elif wanted is type(None) or wanted is None:
        if value is None:
            return None
    elif isinstance(wanted, type):
        return _scalar(wanted, value, place)
    raise ImageDoesNotFit(f"{place} is a {type(value).__name__}, and the model wants {wanted}")


def _sequence(kind: Any, arguments: tuple[Any, ...], members: list[Any], place: str) -> Any:
    if kind is not tuple or not arguments:
        member_type = arguments[0] if arguments else Any
        converted = [_converted(member_type, member, f"{place}[]") for member in members]
        return tuple(converted) if kind is tuple else converted
    if arguments[-1] is Ellipsis:
        return tuple(_converted(arguments[0], member, f"{place}[]") for member in members)
    if len(arguments) != len(members):
        raise ImageDoesNotFit(f"{place} has {len(members)} members, and the model wants {len(arguments)}")
    return tuple(
        _converted(wanted, member, f"{place}[{index}]")
        for index, (wanted, member) in enumerate(zip(arguments, members, strict=True))
    )


def _scalar(wanted: type, value: Any, place: str) -> Any:
    if issubclass(wanted, enum.Enum):
        try:
            return wanted(int(value) if isinstance(value, Decimal) and value == int(value) else value)
        except ValueError:
            raise ImageDoesNotFit(f"{place} is not a member of {wanted.__name__}") from None
    if isinstance(value, Decimal):
        if wanted is not bool and issubclass(wanted, int) and value == value.to_integral_value():
            return wanted(value)
        if issubclass(wanted, float | Decimal):
            return wanted(value)
    if isinstance(value, str | bytes) and issubclass(wanted, type(value)):
        return wanted(value)  # type: ignore[arg-type]
    raise ImageDoesNotFit(f"{place} is a {type(value).__name__}, and the model wants {wanted.__name__}")
