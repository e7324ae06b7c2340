"""A consumer whose rows are guarded by sequence numbers."""

from __future__ import annotations

from handlers.cdc import Change, consumer
from handlers.cdc.projection import DynamoDBProjection

rows = DynamoDBProjection("LATE_TABLE", guard_by="sequence")


@consumer
def handler(change: Change) -> None:
    """Write the item."""
    rows.put(change, change.item)
