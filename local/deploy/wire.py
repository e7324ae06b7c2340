"""Values as Pulumi sends them to a provider: protobuf structs in which archives and secrets are marked objects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeGuard

from google.protobuf import json_format, struct_pb2
from pulumi.runtime import rpc

from local.deploy.program import plain

#: The text that stands for a value unknown in a preview.
UNKNOWN = rpc.UNKNOWN

#: Inputs of the provider's own, which Check adds for Diff.
DEFAULTS = "__defaults"

_SIGNATURE = "4dabf18193072939515e22adb298388d"
_ARCHIVES = (
    "0def7320c3a5731c473e5ecbe6d01bc7",  # archive
    "c44067f5952c0a294b673a41bacd8c17",  # asset
)


def wire(struct: struct_pb2.Struct) -> dict[str, Any]:
    """Read a struct as it came."""
    return json_format.MessageToDict(struct)


def struct(values: Mapping[str, Any]) -> struct_pb2.Struct:
    """Write a struct."""
    return json_format.ParseDict(dict(values), struct_pb2.Struct())


def values(struct_: struct_pb2.Struct) -> dict[str, Any]:
    """Read a struct as Python values: whole numbers are `int`, archives `pulumi.Archive`, unknowns `Unknown`.

    Archives of a state hold a hash alone, which cannot be read: they are left out.
    """
    sent = wire(struct_)
    readable = {
        name: value
        for name, value in sent.items()
        if not name.startswith("__") and not (is_archive(value) and not value.keys() & _CONTENT)
    }
    return plain(rpc.deserialize_properties(struct(readable), keep_unknowns=True))


_CONTENT = frozenset({"assets", "path", "uri", "text"})


def is_archive(value: Any) -> TypeGuard[dict[str, Any]]:
    """Tell whether a wire value is an archive or an asset."""
    return isinstance(value, dict) and value.get(_SIGNATURE) in _ARCHIVES


def has_unknown(value: Any) -> bool:
    """Tell whether a wire value holds something unknown."""
    if isinstance(value, dict):
        return any(map(has_unknown, value.values()))
    return any(map(has_unknown, value)) if isinstance(value, list) else value == UNKNOWN


_MISSING = object()


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, str]:
    """Compare wire values.

    Returns:
        "ADD", "DELETE" or "UPDATE" by the path of each property that differs. Archives are equal if their hashes are.
    """
    visible = [{name: value for name, value in each.items() if not name.startswith("__")} for each in (old, new)]
    return dict(_differences(visible[0], visible[1], ""))


def _differences(old: Any, new: Any, path: str) -> Iterator[tuple[str, str]]:
    if is_archive(old) and is_archive(new):
        if old.get("hash") != new.get("hash"):
            yield path, "UPDATE"
    elif _nested(old, new):
        before, after = (each if isinstance(each, dict) else {} for each in (old, new))
        for name in sorted(before.keys() | after.keys()):
            below = f"{path}.{name}" if path else name
            yield from _differences(before.get(name, _MISSING), after.get(name, _MISSING), below)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from _differences(before, after, f"{path}[{index}]")
    elif old != new:
        yield path, "ADD" if old is _MISSING else "DELETE" if new is _MISSING else "UPDATE"


def _nested(old: Any, new: Any) -> bool:
    objects = [each for each in (old, new) if isinstance(each, dict) and not is_archive(each)]
    return len(objects) == 2 or ((old is _MISSING or new is _MISSING) and bool(objects) and bool(objects[0]))
