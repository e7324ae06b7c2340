"""How many users are on each plan, and how many upgrade each day: counted exactly once, whatever is repeated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from handlers.cdc import Change, consumer, on
from handlers.cdc.counters import Counters
from handlers.plans import is_upgrade

counts = Counters("plan-counts")


@consumer(when=on.changed("plan"))
def handler(change: Change) -> None:
    """Move a user from one plan's counter to another's, and count upgrades by day (UTC)."""
    before = change.old.get("plan") if change.old is not None else None
    after = change.new.get("plan") if change.new is not None else None
    amounts = {f"users#{plan}": amount for plan, amount in ((before, -1), (after, +1)) if plan is not None}
    if change.event_name == "MODIFY" and is_upgrade(before, after):
        amounts[f"upgrades#{change.approximate_creation_time:%Y-%m-%d}"] = 1
    counts.add(change.event_id, amounts)


def counted_by(item: Mapping[str, Any]) -> Mapping[str, int]:
    """Return the counters that a user is in, for `weir recount`; the table does not have upgrades of the past."""
    plan = item.get("plan")
    return {} if plan is None else {f"users#{plan}": 1}
