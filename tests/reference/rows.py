"""A consumer that keeps a copy of each user's plan, and expects it to be there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from handlers.cdc import Change, Expectations, consumer, on
from handlers.cdc.projection import DynamoDBProjection

copies = DynamoDBProjection("COPIES_TABLE")


@consumer(when=on.changed("plan"))
def handler(change: Change) -> None:
    """Copy a plan."""
    copies.put(change, {"userId": change.item["userId"], "plan": change.item["plan"]})


@handler.expects
def row(user: Mapping[str, Any]) -> Expectations:
    """Expect a copy as new as the user."""
    return copies.expected(user, {"userId": user["userId"]}, {"plan": user["plan"]})
