"""Entitlements: the features of each user, in a table of their own for readers in a hurry."""

from __future__ import annotations

from handlers.cdc import Change, consumer, on
from handlers.cdc.projection import VERSIONED, DynamoDBProjection
from handlers.plans import FEATURES

entitlements = DynamoDBProjection("ENTITLEMENTS_TABLE")


@consumer(when=on.changed("plan") & VERSIONED)
def handler(change: Change) -> None:
    """Write the features of a user's plan; a repeated or late change does not undo a newer one."""
    key = {"userId": change.item["userId"]}
    if change.new is None:
        entitlements.delete(change, key)
        return
    plan = change.new.get("plan")
    entitlements.put(change, {**key, "plan": plan, "features": FEATURES.get(str(plan), [])})
