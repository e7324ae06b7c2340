"""A table's past, from its writes: its items at a time, and what changed within a window.

An export has an item once (docs/aws-semantics.md §10.2, EXP-2): of the writes A → B → C within a window it has A as the
old image and C as the new one, and nothing of an item that was inserted and deleted within it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from handlers.cdc.attribute_values import Wire, decode
from handlers.cdc.snapshot import json_wire

#: An item in DynamoDB's wire format as JSON has it: binaries are base64 text.
Item = Mapping[str, Wire]


@dataclass(frozen=True, slots=True)
class ItemWrite:
    """A write that changed an item.

    Attributes:
        micros: Time of the write, in microseconds since 1970.
        old: The item before it; `None` if there was none.
        new: The item after it; `None` if there is none.
    """

    micros: int
    old: Item | None
    new: Item | None

    @property
    def item(self) -> Item:
        """The newer one of its images."""
        return self.new or self.old or {}


def items_at(micros: int, items: Iterable[Item], writes: Iterable[ItemWrite], keys: Sequence[str]) -> list[Item]:
    """Return the items that a table had at a time.

    Args:
        micros: The time, in microseconds since 1970. Writes of that very moment are done.
        items: The items that it has now, as botocore or JSON has them.
        writes: The writes since then, in their order; earlier ones may be among them.
        keys: Names of the key's attributes.
    """
    found: dict[object, Item | None] = {_identity(item, keys): item for item in map(json_wire, items)}
    undone: set[object] = set()
    for write in writes:
        identity = _identity(write.item, keys)
        if write.micros > micros and identity not in undone:
            undone.add(identity)
            found[identity] = write.old
    return [item for item in found.values() if item is not None]


def changes_within(
    since: int, until: int, writes: Iterable[ItemWrite], keys: Sequence[str], *, old_images: bool
) -> Iterator[dict[str, Any]]:
    """Yield the lines of an incremental export, one for each item that changed.

    Args:
        since: Beginning of the window, in microseconds since 1970, inclusive.
        until: Its end, exclusive.
        writes: The table's writes, in their order.
        keys: Names of the key's attributes.
        old_images: Whether a line has the item as it was before the window.
    """
    first: dict[object, ItemWrite] = {}
    last: dict[object, ItemWrite] = {}
    for write in writes:
        if since <= write.micros < until:
            identity = _identity(write.item, keys)
            first.setdefault(identity, write)
            last[identity] = write
    for identity, write in last.items():
        old, new = first[identity].old, write.new
        if old is None and new is None:
            continue
        yield {
            "Metadata": {"WriteTimestampMicros": str(write.micros)},
            "Keys": {name: write.item[name] for name in keys},
            **({"OldImage": old} if old is not None and old_images else {}),
            **({"NewImage": new} if new is not None else {}),
        }


def _identity(item: Item, keys: Sequence[str]) -> object:
    # Decoded, since numbers that are equal may be written differently.
    return tuple(decode(item[name]) for name in keys)
