"""The region of a resource, as far as the program tells it, and the comparison of two."""

from __future__ import annotations

from typing import NamedTuple

from policies.aws_types import BUCKETS, POLICY, ROLE
from policies.not_applicable import Awaited
from policies.resources import Resource

#: Types whose names are the same in every region.
GLOBAL = (ROLE, POLICY, *BUCKETS)


class Region(NamedTuple):
    """A region.

    Attributes:
        name: Its name; `None` while it is not known, and for the region of the program's environment.
        chosen: Whether the program chooses it, by the argument `region` or by a provider of its own.
    """

    name: str | None
    chosen: bool


def region_of(resource: Resource) -> Region:
    """Read the region of a resource: by its argument, by its provider, by its ARN."""
    own = _text(resource, "region")
    if own is not None:
        return Region(own, chosen=True)
    provider = resource.provider
    if provider is not None:
        try:
            name = provider.props.text("region")
        except Awaited:
            return Region(None, chosen=provider.explicit)
        if name is not None:
            return Region(name, chosen=provider.explicit)
    parts = (_text(resource, "arn") or "").split(":")
    return Region(parts[3] or None if len(parts) > 5 else None, chosen=False)


def apart(one: Region, other: Region) -> bool:
    """Test whether two regions are different ones.

    A chosen region is taken to differ from that of the environment: otherwise it would not have been chosen.
    """
    if one.name is not None and other.name is not None:
        return one.name != other.name
    known, unknown = (one, other) if one.name is not None else (other, one)
    return known.name is not None and known.chosen and not unknown.chosen


def _text(resource: Resource, key: str) -> str | None:
    try:
        return resource.props.text(key)
    except Awaited:
        return None
