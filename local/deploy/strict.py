"""Checks a resource's inputs against pulumi_aws's own argument types.

The SDK accepts a misspelt nested key, a missing nested property and a wrong scalar; on AWS the provider rejects them.
Here they are rejected before anything is created.
"""

from __future__ import annotations

import collections.abc
import functools
import importlib
import inspect
import typing
from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Any, NamedTuple

import pulumi
import pulumi_aws as _register_its_modules  # pyright: ignore[reportUnusedImport] # noqa: F401 - importing it registers
from pulumi import _types  # pyright: ignore[reportPrivateUsage] - the only place that knows the wire names
from pulumi.output import Unknown
from pulumi.runtime import rpc


class _Arguments(NamedTuple):
    types: Mapping[str, Any]
    required: frozenset[str]


def problems(resource_type: str, inputs: Mapping[str, Any]) -> list[str]:
    """List the problems of a resource's inputs, one line each; none for a type that is not pulumi_aws's.

    Args:
        resource_type: Type token, e.g. `aws:lambda/function:Function`.
        inputs: Plain values in wire names, as in `Registration.inputs`.

    Example:
        >>> problems("aws:dynamodb/table:Table", {"ttl": {"enable": True}, "readCapacity": "5"})
        ['ttl.enable is not a known property', 'readCapacity is str, not int']
    """
    arguments = _argument_class(resource_type)
    return [] if arguments is None else list(_block(arguments, inputs, ""))


@functools.cache
def _argument_class(resource_type: str) -> type | None:
    package, module_name, _ = resource_type.split(":")
    module: Any = rpc.get_resource_module(package, module_name, "")
    if module is None or resource_type not in module.mod_info["classes"]:
        return None
    name = module.mod_info["classes"][resource_type]
    resource = getattr(importlib.import_module(module.mod_info["fqn"]), name)
    defined_in = importlib.import_module(resource.__module__)
    # Where a nested block owns the name <Resource>Args, the resource's own arguments are called InitArgs.
    return getattr(defined_in, f"{name}InitArgs", None) or getattr(defined_in, f"{name}Args")


@functools.cache
def _arguments(argument_class: type) -> _Arguments:
    names = _types.input_type_py_to_pulumi_names(argument_class)
    types = _types.input_type_types(argument_class)
    required = frozenset(
        names[parameter.name]
        for parameter in inspect.signature(argument_class.__init__).parameters.values()
        if parameter.name in names and parameter.default is inspect.Parameter.empty
    )
    return _Arguments({name: types.get(name, Any) for name in names.values()}, required)


def _block(argument_class: type, values: Mapping[str, Any], path: str) -> Iterator[str]:
    arguments = _arguments(argument_class)
    for name in values:
        if name not in arguments.types:
            yield f"{path}{name} is not a known property"
    for name in sorted(arguments.required - values.keys()):
        yield f"{path}{name} is missing"
    for name, value in values.items():
        if name in arguments.types:
            yield from _value(arguments.types[name], value, f"{path}{name}")


def _value(wanted: Any, value: Any, path: str) -> Iterator[str]:
    if value is None or isinstance(value, Unknown):
        return
    alternatives = list(_alternatives(wanted))
    found = [list(_one(alternative, value, path)) for alternative in alternatives]
    if found and all(found):
        yield from min(found, key=len)


def _alternatives(wanted: Any) -> Iterator[Any]:
    """Yield the plain types that `Input[…]` and `Optional[…]` stand for."""
    if typing.get_origin(wanted) in (typing.Union, UnionType):
        for member in typing.get_args(wanted):
            yield from _alternatives(member)
        return
    plumbing = (collections.abc.Awaitable, pulumi.Output)
    dictionary = isinstance(wanted, type) and wanted.__name__.endswith("Dict")
    if wanted is not type(None) and typing.get_origin(wanted) not in plumbing and not dictionary:
        yield wanted


def _one(wanted: Any, value: Any, path: str) -> Iterator[str]:
    origin = typing.get_origin(wanted)
    if origin in (list, collections.abc.Sequence):
        if isinstance(value, list):
            for index, member in enumerate(value):
                yield from _value(typing.get_args(wanted)[0], member, f"{path}[{index}]")
        else:
            yield f"{path} is {type(value).__name__}, not list"
    elif origin in (dict, collections.abc.Mapping):
        if isinstance(value, Mapping):
            for key, member in value.items():
                yield from _value(typing.get_args(wanted)[1], member, f"{path}.{key}")
        else:
            yield f"{path} is {type(value).__name__}, not dict"
    elif isinstance(wanted, type) and _types.is_input_type(wanted):
        if isinstance(value, Mapping):
            yield from _block(wanted, value, f"{path}.")
        else:
            yield f"{path} is {type(value).__name__}, not dict"
    elif isinstance(wanted, type) and not _is_scalar(wanted, value):
        yield f"{path} is {type(value).__name__}, not {wanted.__name__}"


def _is_scalar(wanted: type, value: Any) -> bool:
    if issubclass(wanted, bool):
        return isinstance(value, bool)
    if issubclass(wanted, int):
        return isinstance(value, int) and not isinstance(value, bool)
    if issubclass(wanted, float):
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, wanted)
