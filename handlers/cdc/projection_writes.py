"""Writes of a projection: which attributes of the stored item a change may set, by their guards. No I/O.

A stored item has the guard of its newest whole write (`put`, `delete`), and beside it the guards of attributes that
were written alone since (`update`). An attribute's guard is the newer of the two, and a change writes the attributes
whose guards are older than its own. So every attribute ends with the value of the newest change that wrote it, whatever
order changes arrive in.

| attribute of the stored item | content, if the guard is the version |
|---|---|
| `version` | guard of the newest whole write |
| `version#` | set of the names of attributes that were written alone since |
| `version#plan` | guard of the attribute `plan` |
| `deleted`, `expiresAt` | of a tombstone: true, and the time at which DynamoDB removes it |
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from handlers.cdc.attribute_values import Wire, decode

#: `version` is the item's own attribute, which every writer advances in its write; it works on every route.
#: `sequence` is the stream's sequence number, for tables whose writers cannot be changed.
GuardBy = Literal["version", "sequence"]
#: An item in DynamoDB's wire format, with `bytes` for binaries.
Item = Mapping[str, Wire]

DELETED: Final = "deleted"
EXPIRES_AT: Final = "expiresAt"


@dataclass(frozen=True, slots=True)
class Guard:
    """The guard of a change.

    Attributes:
        by: Name of the attribute that stores it.
        wire: Its value in wire format: a number, or text of one length, so that either compares as numbers do.
    """

    by: GuardBy
    wire: Wire

    def is_older(self, stored: Wire | None) -> bool:
        """Check if this guard is older than a stored one; it is not older than none."""
        return stored is not None and decode(self.wire) < decode(stored)

    def is_newer(self, stored: Wire | None) -> bool:
        """Check if this guard is newer than a stored one; it is newer than none."""
        return stored is None or decode(self.wire) > decode(stored)

    @property
    def names(self) -> str:
        """The attribute with the names of those that were written alone."""
        return f"{self.by}#"

    def of(self, attribute: str) -> str:
        """Return the attribute that has the guard of another one."""
        return f"{self.by}#{attribute}"

    def alone(self, stored: Item | None) -> list[str]:
        """Return the names of the stored item's attributes that were written alone."""
        return [] if stored is None else stored.get(self.names, {"SS": []})["SS"]


@dataclass(frozen=True, slots=True)
class WholeWrite:
    """A write of a whole item, or of the tombstone that takes its place.

    Attributes:
        guard: The change's guard.
        item: All attributes, the key among them, without those that a projection adds.
        is_tombstone: The item was deleted.
        expires_at: Time at which DynamoDB removes the tombstone, in seconds since 1970.
    """

    guard: Guard
    item: Item
    is_tombstone: bool = False
    expires_at: int | None = None

    def after(self, stored: Item | None) -> Item | None:
        """Return the item to store in place of `stored`; `None` if that is newer."""
        guard, stored = self.guard, stored or {}
        whole = stored.get(guard.by)
        # A REMOVE carries the guard of the write before it, so a tombstone also replaces an equal one.
        if guard.is_older(whole) or not (self.is_tombstone or guard.is_newer(whole)):
            return None
        item: dict[str, Any] = {**self.item, guard.by: guard.wire}
        if newer := [name for name in guard.alone(stored) if guard.is_older(stored[guard.of(name)])]:
            for name in newer:
                item |= {name: stored[name], guard.of(name): stored[guard.of(name)]}
            item[guard.names] = {"SS": newer}
        elif self.is_tombstone:
            item[DELETED] = {"BOOL": True}
            if self.expires_at is not None:
                item[EXPIRES_AT] = {"N": str(self.expires_at)}
        return item


@dataclass(frozen=True, slots=True)
class PartWrite:
    """A write of some attributes of an item.

    Attributes:
        guard: The change's guard.
        key: The item's key.
        attributes: The attributes to set, at least one.
    """

    guard: Guard
    key: Item
    attributes: Item

    def newer(self, stored: Item | None) -> Item:
        """Return the attributes that this change may set: those that are stored with older guards."""
        guard, stored = self.guard, stored or {}
        if not guard.is_newer(stored.get(guard.by)):
            return {}
        return {name: value for name, value in self.attributes.items() if guard.is_newer(stored.get(guard.of(name)))}

    def after(self, stored: Item | None) -> Item | None:
        """Return the item to store in place of `stored`; `None` if that is newer."""
        newer = self.newer(stored)
        if not newer:
            return None
        kept = {name: value for name, value in (stored or {}).items() if name not in (DELETED, EXPIRES_AT)}
        names = sorted({*self.guard.alone(stored), *newer})
        return {**kept, **self.key, **newer, **self.guards(newer), self.guard.names: {"SS": names}}

    def guards(self, attributes: Iterable[str]) -> Item:
        """Return the attributes with the guards of some attributes."""
        return {self.guard.of(name): self.guard.wire for name in attributes}


#: A write of one change.
Write = WholeWrite | PartWrite
