"""Projections: a copy of the items elsewhere, in which an older change never overwrites a newer one.

Deliveries repeat, and replays and backfills bring old changes back after newer ones. So each copy keeps the guard of
the change that wrote it, and a write is conditional on being newer. A delete leaves a tombstone with its guard:
without one, a late write would bring the item back (docs/decisions/0009). This file has the guard and its use in
DynamoDB and in search engines; SQL and Redis have files of their own.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final, Literal

from handlers.cdc.attribute_values import encode
from handlers.cdc.change import Change
from handlers.cdc.clients import client
from handlers.cdc.effect_ledger import KEEP

#: `version` is the item's own attribute, which every writer advances in its write; it works on every route.
#: `sequence` is the stream's sequence number, for tables whose writers cannot be changed.
GuardBy = Literal["version", "sequence"]

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


class DynamoDBProjection:
    """A projection in a DynamoDB table. Readers skip items whose `deleted` is true.

    The function needs `dynamodb:PutItem` and `dynamodb:UpdateItem` on the table, whose TTL attribute is `expiresAt`.

    Args:
        variable: The environment variable that holds the table's name.
        guard_by: The guard that orders changes; it is stored in the attribute `version` or `sequence`.
        keep_deleted: Lifetime of a tombstone: longer than every route that brings a change back. Default 400 days;
            `None` is forever.
        clock: Returns seconds since 1970.
    """

    def __init__(
        self,
        variable: str,
        *,
        guard_by: GuardBy = "version",
        keep_deleted: timedelta | None = KEEP,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.variable = variable
        self.guard_by: GuardBy = guard_by
        self.keep_deleted = keep_deleted
        self._clock = clock
        self._dynamodb: Any = client("dynamodb")

    def put(self, change: Change[Any], item: Mapping[str, Any]) -> bool:
        """Write a whole item, its key included, unless a newer change was applied.

        Returns:
            True if it was written; `False` if the change is older than the stored copy, and so done.

        Raises:
            GuardNotAvailable: The change has no guard.
        """
        return self._put(change, dict(item), "<")

    def delete(self, change: Change[Any], key: Mapping[str, Any]) -> bool:
        """Replace an item by a tombstone, unless a newer change was applied. Returns and raises as `put`."""
        tombstone = {**key, "deleted": True}
        if self.keep_deleted is not None:
            tombstone["expiresAt"] = int(self._clock() + self.keep_deleted.total_seconds())
        return self._put(change, tombstone, "<=")

    def update(self, change: Change[Any], key: Mapping[str, Any], attributes: Mapping[str, Any]) -> bool:
        """Set some attributes of an item, unless a newer change was applied. Returns and raises as `put`."""
        names = {f"#a{index}": name for index, name in enumerate(attributes)}
        values = {f":a{index}": _wire(value) for index, value in enumerate(attributes.values())}
        sets = ", ".join(f"{name} = :{name[1:]}" for name in names)
        return self._applied(
            self._dynamodb.update_item,
            Key={name: _wire(value) for name, value in key.items()},
            UpdateExpression=f"SET #guard = :guard{', ' if sets else ''}{sets} REMOVE deleted, expiresAt",
            ConditionExpression="attribute_not_exists(#guard) OR #guard < :guard",
            ExpressionAttributeNames={"#guard": self.guard_by, **names},
            ExpressionAttributeValues={":guard": _wire(guard_of(change, self.guard_by)), **values},
        )

    def _put(self, change: Change[Any], item: Mapping[str, Any], older: str) -> bool:
        guard = _wire(guard_of(change, self.guard_by))
        return self._applied(
            self._dynamodb.put_item,
            Item={**{name: _wire(value) for name, value in item.items()}, self.guard_by: guard},
            ConditionExpression=f"attribute_not_exists(#guard) OR #guard {older} :guard",
            ExpressionAttributeNames={"#guard": self.guard_by},
            ExpressionAttributeValues={":guard": guard},
        )

    def _applied(self, call: Callable[..., Any], **request: Any) -> bool:
        table = os.environ.get(self.variable)
        if not table:
            raise RuntimeError(f"{self.variable} is not set, so there is no table to project into")
        try:
            call(TableName=table, **request)
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            return False
        return True


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


def _wire(value: Any) -> dict[str, Any]:
    return encode(value, binary=bytes)
