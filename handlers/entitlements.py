"""Entitlements: the features of each user, in a table of their own for readers in a hurry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from handlers.cdc import Change, Expectations, consumer, on
from handlers.cdc.projection import VERSIONED, DynamoDBProjection
from handlers.plans import FEATURES

entitlements = DynamoDBProjection("ENTITLEMENTS_TABLE")


@consumer(when=on.changed("plan") & VERSIONED)
def handler(change: Change) -> None:
    """Write the features of a user's plan; a repeated or late change does not undo a newer one."""
    key = {"userId": change.item["userId"]}
    if change.new is None:
        entitlements.delete(change, key)
    else:
        entitlements.put(change, {**key, **features_of(change.new)})


@handler.expects
def row(user: Mapping[str, Any]) -> Expectations:
    """Expect the features of each user's plan."""
    if "version" not in user:
        return None
    return entitlements.expected(user, {"userId": user["userId"]}, features_of(user))


def features_of(user: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes of a user's row, beside its key."""
    plan = user.get("plan")
    return {"plan": plan, "features": FEATURES.get(str(plan), [])}
