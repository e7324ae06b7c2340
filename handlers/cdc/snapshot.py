"""Snapshots: items of a table in the shape of changes, for a consumer that missed what happened to them.

A snapshot has a new image and no old one, no time and no sequence number: a table shows its content without its
history. A consumer's `when` does not decide about it, since conditions ask what has changed.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from handlers.cdc.attribute_values import Wire
from handlers.cdc.message_groups import compact_json


def snapshot_record(
    item: Mapping[str, Any], keys: Iterable[str], *, table: str, history_until: int | None = None
) -> dict[str, Any]:
    """Return an item as the record of a change.

    Args:
        item: The item in DynamoDB's wire format, as botocore or JSON has it.
        keys: Names of the key's attributes.
        table: Name of the table.
        history_until: Seconds since 1970, for a backfill: effects of the changes before are marked as done and not run.
    """
    image = json_wire(item)
    key = {name: image[name] for name in keys}
    version = image.get("version", {}).get("N")
    identity = [table, key, image if version is None else version]
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
    record: dict[str, Any] = {
        "eventID": f"snapshot-{digest[:32]}",
        "eventName": "INSERT",
        "tableName": table,
        "dynamodb": {"Keys": key, "NewImage": image, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    }
    return record if history_until is None else {**record, "historyUntil": history_until}


def snapshot_message(record: Mapping[str, Any], *, origin: Literal["snapshot", "export"] = "snapshot") -> str:
    """Return the body of a queue's message with a snapshot, or with what an incremental export has of an item.

    The record is wrapped: the filters of a consumer's queue let pass what is not a change itself.
    """
    return compact_json({origin: record})


def json_wire(item: Mapping[str, Any]) -> dict[str, Wire]:
    """Return an item in wire format as JSON takes it: binaries are base64 text."""
    return {name: _json_value(value) for name, value in item.items()}


def _json_value(wire: Mapping[str, Any]) -> Wire:
    ((kind, content),) = wire.items()
    match kind:
        case "B":
            return {"B": _text(content)}
        case "BS":
            return {"BS": sorted(map(_text, content))}
        case "M":
            return {"M": json_wire(content)}
        case "L":
            return {"L": [_json_value(member) for member in content]}
        case _:
            return wire


def _text(binary: bytes | str) -> str:
    return binary if isinstance(binary, str) else base64.b64encode(binary).decode()
