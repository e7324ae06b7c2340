"""A consumer with nothing that makes a repeat harmless."""

from __future__ import annotations

from handlers.cdc import Change, consumer


@consumer
def handler(change: Change) -> None:
    """Do nothing."""
