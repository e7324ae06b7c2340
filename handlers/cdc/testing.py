"""What a consumer's own unit tests need: changes, events, an invocation and a ledger in memory.

Not part of what is deployed.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from handlers.cdc.attribute_values import encode_item
from handlers.cdc.change import Change
from handlers.cdc.invocation import correlation_id
from handlers.cdc.ledger_table import Entry, Status

_numbers = itertools.count(1)


def record(
    *,
    old: Mapping[str, Any] | None = None,
    new: Mapping[str, Any] | None = None,
    keys: Sequence[str] = (),
    view_type: str = "NEW_AND_OLD_IMAGES",
    table: str = "users",
    ttl_delete: bool = False,
    created: float | None = None,
) -> dict[str, Any]:
    """One stream record as Lambda delivers it (docs/aws-semantics.md §1.3).

    Args:
        old: The item before the change; without it the record is an INSERT.
        new: The item after the change; without it the record is a REMOVE.
        keys: Names of the key attributes; the first attribute of the item by default.
        view_type: The stream's view type; images it does not carry are left out.
        table: Name of the table.
        ttl_delete: Whether DynamoDB itself removed the item because it expired.
        created: When the change was written, in seconds since 1970; now by default.
    """
    if not old and not new:
        raise ValueError("a change has an old image, a new image or both")
    item = new or old or {}
    number = next(_numbers)
    dynamodb: dict[str, Any] = {
        "ApproximateCreationDateTime": float(int(time.time() if created is None else created)),
        "Keys": encode_item({name: item[name] for name in keys or list(item)[:1]}),
        "SequenceNumber": str(58700000000000000000000 + number),
        "SizeBytes": len(repr(item)),
        "StreamViewType": view_type,
    }
    if new and view_type in ("NEW_IMAGE", "NEW_AND_OLD_IMAGES"):
        dynamodb["NewImage"] = encode_item(new)
    if old and view_type in ("OLD_IMAGE", "NEW_AND_OLD_IMAGES"):
        dynamodb["OldImage"] = encode_item(old)
    event: dict[str, Any] = {
        "eventID": f"{number:032x}",
        "eventName": "INSERT" if not old else "MODIFY" if new else "REMOVE",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "us-east-1",
        "dynamodb": dynamodb,
        "eventSourceARN": f"arn:aws:dynamodb:us-east-1:111122223333:table/{table}/stream/2026-01-01T00:00:00.000",
    }
    if ttl_delete:
        event["userIdentity"] = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}
    return event


def change(**arguments: Any) -> Change:
    """One change; the arguments are those of `record`.

    >>> change(new={"userId": "u1", "plan": "free"})
    <Change INSERT ...>
    """
    return Change(record(**arguments))


def stream_event(*records: Mapping[str, Any]) -> dict[str, Any]:
    """The event Lambda gives a function for a batch of these records."""
    return {"Records": list(records)}


class Invocation:
    """A Lambda context with a remaining time that really runs down.

    Args:
        seconds: How long the invocation may run.
    """

    def __init__(self, seconds: float = 30.0) -> None:
        self._ends = time.monotonic() + seconds

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until Lambda would end the invocation."""
        return max(0, int((self._ends - time.monotonic()) * 1000))


class InMemoryLedger:
    """A `LedgerStore` with the conditions of the DynamoDB table, for one process.

    Attributes:
        items: Effect key to item, as the table would hold it.
    """

    def __init__(self) -> None:
        self.items: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()

    def claim(
        self, key: str, owner: str, *, now_ms: int, lease_until_ms: int, expires_at: int | None, take_over: bool
    ) -> Entry | None:
        """As `LedgerTable.claim`."""
        with self._lock:
            item = self.items.get(key)
            if item is not None:
                expired = item["expiresAt"] is not None and item["expiresAt"] < now_ms // 1000
                lease_is_over = take_over and item["leaseUntil"] < now_ms
                free = item["status"] == "claimed" and (item["owner"] == owner or lease_is_over)
                if not expired and not free:
                    return Entry(item["status"], item["leaseUntil"], item["result"])
            self.items[key] = {
                "status": "claimed",
                "owner": owner,
                "leaseUntil": lease_until_ms,
                "expiresAt": expires_at,
                "correlationId": correlation_id(),
                "result": None,
            }
            return None

    def settle(self, key: str, owner: str, *, status: Status, expires_at: int | None, result: str | None) -> bool:
        """As `LedgerTable.settle`."""
        with self._lock:
            item = self.items.get(key)
            if item is None or item["owner"] != owner:
                return False
            item.update(status=status, expiresAt=expires_at, result=result)
            return True

    def release(self, key: str, owner: str) -> None:
        """As `LedgerTable.release`."""
        with self._lock:
            item = self.items.get(key)
            if item is not None and item["owner"] == owner and item["status"] == "claimed":
                del self.items[key]
