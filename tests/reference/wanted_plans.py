"""An enrichment that evaluates what no event pattern says, and prepares the event."""

from __future__ import annotations

from typing import Any

from handlers.cdc import Change, on
from handlers.cdc.enrichment import enrichment


@enrichment(when=on.modify & on.changed("plan"))
def handler(change: Change) -> dict[str, Any]:
    """Name the user and both plans."""
    assert change.old is not None
    return {"user": change.keys["userId"], "from": change.old["plan"], "to": change.item["plan"]}
