"""Decoders: from the event that Lambda was given to the changes in it.

A shape that is not known is an error, never a success: a handler that quietly returns on an event it does not
understand acknowledges records that nobody has processed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from handlers.cdc.change import Change


class UnknownEventShape(ValueError):
    """The event is not one that this runtime decodes. The message names what was found, never its content."""


def changes_of(event: Any) -> list[Change]:
    """The changes in a DynamoDB stream event, in stream order (docs/aws-semantics.md §1.3).

    Raises:
        UnknownEventShape: The event, or one record in it, is of another shape.
    """
    if not isinstance(event, Mapping) or not isinstance(event.get("Records"), list):
        raise UnknownEventShape(f"expected an object with a list under 'Records', got {_outline(event)}")
    return [_change(record, index) for index, record in enumerate(event["Records"])]


def _change(record: Any, index: int) -> Change:
    if not isinstance(record, Mapping) or record.get("eventSource") != "aws:dynamodb":
        source = record.get("eventSource") if isinstance(record, Mapping) else None
        raise UnknownEventShape(f"Records[{index}] is not a DynamoDB stream record: eventSource is {source!r}")
    dynamodb = record.get("dynamodb")
    missing = [name for name in ("eventID", "eventName", "eventSourceARN") if not isinstance(record.get(name), str)]
    if not isinstance(dynamodb, Mapping):
        missing.append("dynamodb")
    else:
        missing += [f"dynamodb.{name}" for name in ("Keys", "SequenceNumber") if not dynamodb.get(name)]
    if missing:
        raise UnknownEventShape(f"Records[{index}] lacks {', '.join(missing)}")
    if record["eventName"] not in ("INSERT", "MODIFY", "REMOVE"):
        raise UnknownEventShape(f"Records[{index}] has the unknown eventName {record['eventName']!r}")
    return Change(record)


def _outline(event: Any) -> str:
    if isinstance(event, Mapping):
        return f"an object with the keys {sorted(map(str, event))}"
    return f"a {type(event).__name__}"
