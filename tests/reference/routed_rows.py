"""A consumer that chooses among functions, each of which writes a row."""

from __future__ import annotations

from handlers.cdc import Change, Consumer, on
from handlers.cdc.projection import DynamoDBProjection

rows = DynamoDBProjection("ROUTED_TABLE")
handler = Consumer()


@handler.on(on.insert)
def created(change: Change) -> None:
    """Write the item."""
    rows.put(change, change.item)


@handler.on(on.remove)
def removed(change: Change) -> None:
    """Remove the row."""
    rows.delete(change, change.keys)
