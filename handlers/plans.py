"""The plans that are sold, cheapest first, and what each one allows."""

from __future__ import annotations

FEATURES: dict[str, list[str]] = {
    "free": ["boards"],
    "pro": ["boards", "exports", "guests"],
    "enterprise": ["boards", "exports", "guests", "audit", "single-sign-on"],
}


def is_upgrade(before: str | None, after: str | None) -> bool:
    """Tell whether a change of plan is one to a higher plan; an unknown plan is the lowest."""
    order = list(FEATURES)
    rank = {plan: place for place, plan in enumerate(order)}
    return rank.get(after or "", -1) > rank.get(before or "", -1)
