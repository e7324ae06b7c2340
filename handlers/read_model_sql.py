"""The users in PostgreSQL, for readers who join, sort and count."""

from __future__ import annotations

from typing import Any

from handlers.cdc import Change, Discard, consumer, lazy_import
from handlers.cdc.postgresql import Database
from handlers.cdc.projection import VERSIONED
from handlers.cdc.projection_sql import SqlProjection
from handlers.cdc.secrets import Secret

psycopg = lazy_import("psycopg")

#: Applied once each, when an environment connects first. Append, and never edit.
MIGRATIONS = (
    """
    CREATE TABLE users (
        userId text PRIMARY KEY, email text, plan text, item jsonb,
        deleted boolean NOT NULL, version bigint NOT NULL
    )
    """,
    "CREATE INDEX users_by_plan ON users (plan) WHERE NOT deleted",
)

database = Database(
    "POSTGRESQL_URL", password=Secret("POSTGRESQL_PASSWORD_SECRET"), name="users", migrations=MIGRATIONS
)
users = SqlProjection("users", key=["userId"], columns=["email", "plan", "item"])


@consumer(when=VERSIONED)
def handler(change: Change) -> None:
    """Write a user's row, or a tombstone in its place; a repeated or late change does not undo a newer one.

    Raises:
        Discard: PostgreSQL has no place for a value of the item.
    """
    if change.version is None:
        return  # a snapshot of an item that nothing orders the changes of
    try:
        database.run(lambda cursor: write(cursor, change))
    except (TypeError, ValueError, psycopg.DataError) as unusable:
        raise Discard(f"PostgreSQL cannot store the item: {type(unusable).__name__}") from unusable


def write(cursor: Any, change: Change) -> None:
    """Apply a change in the cursor's transaction."""
    if change.new is None:
        users.delete(cursor, change, change.keys)
    else:
        users.put(cursor, change, {**change.new, "item": change.new})
