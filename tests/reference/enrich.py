"""An enrichment of a pipe."""

from __future__ import annotations

from typing import Any


def handler(events: list[dict[str, Any]], context: Any) -> list[dict[str, Any]]:
    """Return the events as they are."""
    return events
