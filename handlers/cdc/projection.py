"""Projections: a copy of the items elsewhere, in which an older change never overwrites a newer one.

Deliveries repeat, and replays and backfills bring old changes back after newer ones. So each copy keeps the guard of
the change that wrote it, and a write is conditional on being newer. A delete leaves a tombstone with its guard:
without one, a late write would bring the item back (docs/decisions/0009). This file has the guard and its use in
DynamoDB and in search engines; SQL and Redis have files of their own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final, Protocol, get_args

from handlers.cdc.attribute_values import encode
from handlers.cdc.change import Change, ImageNotAvailable
from handlers.cdc.conditions import on
from handlers.cdc.effect_ledger import KEEP
from handlers.cdc.expectations import ExpectedRow
from handlers.cdc.projection_table import ProjectionContended, ProjectionTable
from handlers.cdc.projection_writes import DELETED, EXPIRES_AT, Guard, GuardBy, PartWrite, WholeWrite, Write

__all__ = [
    "VERSIONED",
    "DynamoDBProjection",
    "GuardBy",
    "GuardNotAvailable",
    "ProjectionContended",
    "ProjectionStore",
    "guard_of",
    "search_version",
]

#: Changes of items that have a version; without one nothing orders an item's changes.
VERSIONED: Final = on.new("version").exists() | on.old("version").exists()

#: A stream delivers a record again for as long.
SHORTEST_KEEP: Final = timedelta(hours=24)

#: Sequence numbers have 21 to 40 digits (docs/aws-semantics.md §1.3); padded, text compares as numbers do.
SEQUENCE_DIGITS: Final = 40


class GuardNotAvailable(ValueError):
    """The change has no guard, so it cannot be compared with the stored copy."""


def guard_of(change: Change[Any], by: GuardBy = "version") -> int | str:
    """Return the guard that orders the changes of one item: an `int`, or 40 digits as text.

    A REMOVE carries the version of the last write before it, so a delete must also win over an equal guard.

    Raises:
        GuardNotAvailable: The item has no `version`, or the route has no sequence numbers.
        ImageNotAvailable: The stream's view type does not carry the image that holds the version.
    """
    if by == "sequence":
        if change.sequence_number is None:
            raise GuardNotAvailable(
                f"a change of origin {change.origin} without a sequence number cannot be guarded by it: "
                "guard by version, which works on every route"
            )
        return change.sequence_number.zfill(SEQUENCE_DIGITS)
    version = change.version
    if version is None:
        raise GuardNotAvailable(
            "the item has no version: advance it in every write (SET version = if_not_exists(version, :now) + :one), "
            "or guard by sequence"
        )
    return version


class ProjectionStore(Protocol):
    """The place where a `DynamoDBProjection` keeps its items. `ProjectionTable` is the one in DynamoDB."""

    def apply(self, write: Write) -> bool:
        """Store what a write makes of the stored item, in one atomic step: `write.after(stored)`.

        Returns:
            True if something was written, `False` if everything that is stored is newer.
        """
        ...


class DynamoDBProjection:
    """A projection in a DynamoDB table. Readers skip items whose `deleted` is true.

    The function needs `dynamodb:PutItem` and `dynamodb:UpdateItem` on the table, whose TTL attribute is `expiresAt`.

    These attributes are the projection's own: `version` and `sequence` (the guards), every name that begins with one of
    them and a `#` (the guards of attributes that `update` wrote), `deleted` and `expiresAt`. A caller may give a guard
    with the value that the change has, as `put(change, change.new)` does; any other value is refused.

    Args:
        variable: The environment variable that holds the table's name.
        guard_by: The guard that orders changes; it is stored in the attribute `version` or `sequence`.
        keep_deleted: Lifetime of a tombstone, at least 24 hours (how long a stream delivers a record again), and longer
            than every route that brings a change back. Default 400 days; `None` is forever.
        store: The place where items are kept; the DynamoDB table by default.
        clock: Returns seconds since 1970.

    Raises:
        ValueError: `keep_deleted` is shorter than 24 hours, or there is no such guard.
    """

    def __init__(
        self,
        variable: str,
        *,
        guard_by: GuardBy = "version",
        keep_deleted: timedelta | None = KEEP,
        store: ProjectionStore | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        check_settings(guard_by, keep_deleted)
        self.variable = variable
        self.guard_by: GuardBy = guard_by
        self.keep_deleted = keep_deleted
        self.store: ProjectionStore = ProjectionTable(variable) if store is None else store
        self._clock = clock

    def put(self, change: Change[Any], item: Mapping[str, Any]) -> bool:
        """Write a whole item, its key included, unless a newer change was applied.

        Attributes that `update` wrote for a newer change stay as they are.

        Returns:
            True if it was written; `False` if the change is older than the stored copy, and so done.

        Raises:
            GuardNotAvailable: The change has no guard.
            ValueError: An attribute is the projection's own, or has a number that DynamoDB cannot store.
            TypeError: DynamoDB has no type for an attribute.
            ProjectionContended: Other writers kept changing the item.
        """
        return self.store.apply(WholeWrite(self._guard(change), self._wire(change, item)))

    def delete(self, change: Change[Any], key: Mapping[str, Any]) -> bool:
        """Replace an item by a tombstone, unless a newer change was applied. Returns and raises as `put`."""
        expires = None if self.keep_deleted is None else int(self._clock() + self.keep_deleted.total_seconds())
        return self.store.apply(WholeWrite(self._guard(change), self._wire(change, key), True, expires))

    def update(self, change: Change[Any], key: Mapping[str, Any], attributes: Mapping[str, Any]) -> bool:
        """Set some attributes of an item, each unless a newer change was applied to it.

        Each attribute has a guard of its own, so changes that write different attributes lose nothing, whatever order
        they arrive in. An item that is deleted comes back with these attributes.

        Args:
            change: The change that the attributes come from.
            key: The item's key.
            attributes: The attributes to set. Those of the key may be among them, with the same values.

        Returns:
            True if at least one attribute was written; `False` if the change is older than all of them, and so done.

        Raises:
            GuardNotAvailable: The change has no guard.
            ValueError: There is no attribute, one is the projection's own or differs from the key, or has a number that
                DynamoDB cannot store.
            TypeError: DynamoDB has no type for an attribute.
            ProjectionContended: Other writers kept changing the item.
        """
        if changed := [name for name in attributes if name in key and attributes[name] != key[name]]:
            raise ValueError(f"{', '.join(changed)} is the item's key and has another value in it: a key never changes")
        wire = self._wire(change, {name: value for name, value in attributes.items() if name not in key})
        wire.pop(self.guard_by, None)
        if not wire:
            raise ValueError("there is no attribute to set beside the key and the guard")
        return self.store.apply(PartWrite(self._guard(change), self._wire(change, key), wire))

    def expected(
        self, item: Mapping[str, Any], key: Mapping[str, Any], attributes: Mapping[str, Any] | None = None
    ) -> ExpectedRow:
        """Return a row as an expectation, for `@handler.expects`: it must be as new as its item.

        Args:
            item: The item that the row is made from; it has a `version`.
            key: The row's key.
            attributes: Attributes that the row has, if its item alone decides about them. A row that has them is up to
                date though its guard is older: the consumer need not see writes that change nothing of the row.

        Raises:
            GuardNotAvailable: Rows are guarded by sequence, which a table's items do not have.
            KeyError: The item has no version: `expects` returns `None` for such an item.
        """
        if self.guard_by != "version":
            raise GuardNotAvailable(
                "an item has no sequence number, so it cannot be compared with a row that is guarded by one: guard by "
                "version, which works on every route"
            )
        guard = Guard("version", encode(item["version"]))
        return ExpectedRow(self.variable, _stored(key), guard, _stored(attributes or {}))

    def _guard(self, change: Change[Any]) -> Guard:
        return Guard(self.guard_by, encode(guard_of(change, self.guard_by)))

    def _wire(self, change: Change[Any], attributes: Mapping[str, Any]) -> dict[str, Any]:
        wire: dict[str, Any] = {}
        for name, value in attributes.items():
            if is_reserved(name) and not _is_guard_of(change, name, value):
                raise ValueError(
                    f"{name} is an attribute of the projection's own, and the caller's value is not the one that this "
                    "change has: leave it out, or write it under another name"
                )
            try:
                wire[name] = encode(value, binary=bytes)
            except (TypeError, ValueError) as error:
                raise type(error)(f"{name} cannot be stored: {error}") from None
        return wire


def _stored(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: encode(value, binary=bytes) for name, value in attributes.items()}


def is_reserved(name: str) -> bool:
    """Check if an attribute's name is one of those that a projection writes itself."""
    return name in (DELETED, EXPIRES_AT) or name.partition("#")[0] in get_args(GuardBy)


def _is_guard_of(change: Change[Any], name: str, value: Any) -> bool:
    if name not in ("version", "sequence"):
        return False
    try:
        return bool(value == guard_of(change, name))
    except (GuardNotAvailable, ImageNotAvailable):
        return False


def check_settings(guard_by: GuardBy, keep_deleted: timedelta | None) -> None:
    """Check the settings that all projections have.

    Raises:
        ValueError: `keep_deleted` is shorter than 24 hours, or there is no such guard.
    """
    if guard_by not in get_args(GuardBy):
        raise ValueError(f"guard_by={guard_by!r} must be one of {', '.join(get_args(GuardBy))}")
    if keep_deleted is not None and keep_deleted < SHORTEST_KEEP:
        raise ValueError(
            f"keep_deleted={keep_deleted} is shorter than the 24 hours in which a stream can deliver a record again: a "
            "deleted item would come back"
        )


def search_version(change: Change[Any]) -> dict[str, Any]:
    """Return the parameters that make OpenSearch and Elasticsearch keep the newer of two documents.

    They go into `client.index(..., **search_version(change))` or into an action of `_bulk`. A write that is not newer
    is answered with 409 (`version_conflict_engine_exception`): a newer change was applied, so this one is done. A
    REMOVE has the version of the write before it, so it is `external_gte`. A deleted document's version is forgotten
    after `index.gc_deletes` (60 s): index a tombstone, e.g. `{"deleted": true}`, and leave it out of searches.

    >>> from handlers.cdc.testing import change
    >>> search_version(change(new={"id": "u1", "version": 1767225600001}))
    {'version': 1767225600001, 'version_type': 'external'}

    Raises:
        GuardNotAvailable: The item has no `version`. A sequence number will not do: it is longer than the 64 bits
            that a document's version has.
    """
    kind = "external_gte" if change.event_name == "REMOVE" else "external"
    return {"version": guard_of(change), "version_type": kind}
