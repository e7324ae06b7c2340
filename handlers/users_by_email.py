"""Users by e-mail: a read model with another key than the table's, so that a change of the address moves the row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from handlers.cdc import Change, Expectations, consumer, on
from handlers.cdc.projection import VERSIONED, DynamoDBProjection

#: Its key is the address and the user: versions order the changes of one user, and an address may pass to another.
users = DynamoDBProjection("USERS_BY_EMAIL_TABLE")


@consumer(when=(on.changed("email") | on.changed("plan")) & VERSIONED)
def handler(change: Change) -> None:
    """Write the row of the user's address, and a tombstone in place of the row of a former one."""
    before, after = key_of(change.old), key_of(change.new)
    if after is not None:
        users.put(change, {**after, "plan": change.item.get("plan")})
    if before is not None and before != after:
        users.delete(change, before)


@handler.expects
def row(user: Mapping[str, Any]) -> Expectations:
    """Expect the plan of each user under the present address; the row of a former one is implied by nothing."""
    key = key_of(user)
    return None if key is None or "version" not in user else users.expected(user, key, {"plan": user.get("plan")})


def key_of(user: Mapping[str, Any] | None) -> dict[str, str] | None:
    """Return the key of a user's row; `None` for a user without an address, who has none."""
    email = None if user is None else user.get("email")
    return {"email": email, "userId": user["userId"]} if user and email and isinstance(email, str) else None
