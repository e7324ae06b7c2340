"""The audit log: every change of the table as an object of its own, which nothing overwrites."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from handlers.cdc import Change, consumer
from handlers.cdc.image_json import from_json, to_json
from handlers.cdc.redaction import Redaction
from handlers.cdc.secrets import Secret
from handlers.cdc.write_once import WriteOnceBucket

log = WriteOnceBucket("AUDIT_BUCKET")
redaction = Redaction("AUDIT_DROP", "AUDIT_HASH", key=Secret("AUDIT_HASH_KEY_SECRET"))

#: The members of an entry that make two entries without sequence numbers those of one change.
CONTENT = ("table", "eventName", "keys", "old", "new")


@consumer
def handler(change: Change) -> None:
    """Write the change under its own day, item and version, unless it is there already."""
    at = change.approximate_creation_time
    if at is None or change.origin == "export":
        return  # a snapshot has an item's content, and an export no change but what became of several
    keys = redaction.apply(change.keys)
    body = to_json(
        {
            "eventId": change.event_id,
            "eventName": change.event_name,
            "table": change.table_name,
            "at": at.isoformat(),
            "sequenceNumber": change.sequence_number,
            "version": change.version,
            "correlationId": change.correlation_id,
            "isTtlDelete": change.is_ttl_delete,
            "keys": keys,
            "old": None if change.old is None else redaction.apply(change.old),
            "new": None if change.new is None else redaction.apply(change.new),
        }
    ).encode()
    version = change.event_id if change.version is None else change.version
    name = f"dt={at:%Y-%m-%d}/{change.table_name}/{item_name(keys)}/{version}-{change.event_name}"
    lying = log.create(name, body)
    if lying is not None and not is_same_change(lying, body):
        # A writer that does not advance the version made both.
        log.create(f"{name}-{change.event_id}", body)


def item_name(keys: Mapping[str, Any]) -> str:
    """Return an item's key as one part of an object's key: percent-encoded values, with commas between them.

    An object's key takes 1,024 bytes, so a name that is longer than half of them becomes its SHA-256.
    """
    texts = (base64.b64encode(each).decode() if isinstance(each, bytes) else str(each) for each in keys.values())
    # A name of dots alone is a directory to many tools.
    name = ",".join(quote(text, safe="") if text.strip(".") else text.replace(".", "%2E") for text in texts)
    return name if len(name) <= 512 else hashlib.sha256(name.encode()).hexdigest()


def is_same_change(lying: bytes, body: bytes) -> bool:
    """Tell whether two entries are of one change.

    A stream numbers its changes, so two of its entries are the same if their numbers are. On other routes an event has
    another id and no number; there the content decides.
    """
    try:
        one, other = from_json(lying), from_json(body)
        if one["eventId"] == other["eventId"]:
            return True
        if one["sequenceNumber"] and other["sequenceNumber"]:
            return bool(one["sequenceNumber"] == other["sequenceNumber"])
        return all(one[each] == other[each] for each in CONTENT)
    except (KeyError, TypeError, ValueError):
        return False  # no entry of this log
