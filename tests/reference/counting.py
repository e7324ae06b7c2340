"""A consumer that counts changes, of which an item implies nothing."""

from __future__ import annotations

from handlers.cdc import Change, consumer
from handlers.cdc.counters import Counters

counts = Counters("counts")


@consumer
def handler(change: Change) -> None:
    """Count a change."""
    counts.add(change.event_id, {"changes": 1})
