"""A consumer that says what an item implies, for a reconciliation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from handlers.cdc import Change, Expectations, consumer, on
from handlers.cdc.projection import DynamoDBProjection

rights = DynamoDBProjection("RIGHTS_TABLE")


@consumer(when=on.new("version").exists())
def handler(change: Change) -> None:
    """Write the user's plan."""
    rights.put(change, {"userId": change.item["userId"], "plan": change.item["plan"]})


@handler.expects
def row(user: Mapping[str, Any]) -> Expectations:
    """Expect the user's plan."""
    return rights.expected(user, {"userId": user["userId"]}, {"plan": user["plan"]})
