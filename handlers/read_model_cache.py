"""The users in Redis or Valkey, for readers in a hurry: `HGET users:u1 item`."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from handlers.cdc import Change, consumer
from handlers.cdc.image_json import to_json
from handlers.cdc.projection import VERSIONED
from handlers.cdc.projection_redis import RedisProjection
from handlers.cdc.redis import Cache
from handlers.cdc.secrets import Secret

cache = Cache("CACHE_URL", password=Secret("CACHE_PASSWORD_SECRET"))
#: A user whom nobody changes for a month leaves the cache; a reader who misses asks the table.
users = RedisProjection("users:", lifetime=timedelta(days=30))


@consumer(when=VERSIONED)
def handler(change: Change) -> None:
    """Write a user as JSON, or a tombstone in its place; a repeated or late change does not undo a newer one."""
    if change.version is None:
        return  # a snapshot of an item that nothing orders the changes of
    cache.run(lambda redis: write(redis, change))


def write(redis: Any, change: Change) -> None:
    """Apply a change in one step."""
    key = change.keys["userId"]
    if change.new is None:
        users.delete(redis, change, key)
    else:
        users.put(redis, change, key, to_json(change.new))
