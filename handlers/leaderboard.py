"""The most recent upgrades of each day, for a board that is read with one Query."""

from __future__ import annotations

from handlers.cdc import Change, consumer, on
from handlers.cdc.projection import VERSIONED, DynamoDBProjection
from handlers.plans import is_upgrade

board = DynamoDBProjection("LEADERBOARD_TABLE")


@consumer(when=on.modify & on.changed("plan") & VERSIONED)
def handler(change: Change) -> None:
    """Note an upgrade below its day (UTC). Each upgrade has a key of its own, so a repeat writes the same row."""
    user, before = change.item, None if change.old is None else change.old.get("plan")
    at = change.approximate_creation_time
    # An export hides changes between its two images, so an upgrade that they show may have happened otherwise.
    if at is None or change.origin == "export" or not is_upgrade(before, user.get("plan")):
        return
    place = f"{at:%H:%M:%S}#{user['userId']}#{change.version}"
    board.put(change, {"day": f"{at:%Y-%m-%d}", "place": place, "userId": user["userId"], "plan": user["plan"]})
