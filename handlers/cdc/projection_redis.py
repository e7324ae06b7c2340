"""The version guard in Redis and Valkey: a script that compares and writes in one step."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from handlers.cdc.change import Change
from handlers.cdc.effect_ledger import KEEP
from handlers.cdc.projection import SEQUENCE_DIGITS, GuardBy, check_settings, guard_of

# Guards are digits of one length, so text compares as numbers do.
_REDIS_SCRIPT: Final = """
local stored = redis.call('HGET', KEYS[1], 'guard')
if stored and (stored > ARGV[1] or (stored == ARGV[1] and ARGV[2] == 'put')) then return 0 end
if ARGV[2] == 'put' then
  redis.call('HSET', KEYS[1], 'guard', ARGV[1], 'item', ARGV[3])
  redis.call('PERSIST', KEYS[1])
else
  redis.call('HSET', KEYS[1], 'guard', ARGV[1])
  redis.call('HDEL', KEYS[1], 'item')
  if ARGV[3] == '0' then redis.call('PERSIST', KEYS[1]) else redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
end
return 1
"""


class RedisProjection:
    """A projection in Redis or Valkey: one hash per item, with the item in its field `item`. A tombstone lacks it.

    Args:
        prefix: Prefix of the hashes' names, e.g. `users:`.
        guard_by: The guard that orders changes; it is stored in the field `guard`.
        keep_deleted: Lifetime of a tombstone, at least 24 hours (how long a stream delivers a record again). Default
            400 days; `None` is forever.

    Raises:
        ValueError: `keep_deleted` is shorter than 24 hours, or there is no such guard.
    """

    def __init__(self, prefix: str, *, guard_by: GuardBy = "version", keep_deleted: timedelta | None = KEEP) -> None:
        check_settings(guard_by, keep_deleted)
        self.prefix = prefix
        self.guard_by: GuardBy = guard_by
        self.keep_deleted = keep_deleted

    def put(self, redis: Any, change: Change[Any], key: str, item: str | bytes) -> bool:
        """Write an item, e.g. as JSON text, unless a newer change was applied.

        Args:
            redis: A client of redis-py or valkey-py.
            change: The change that the item comes from.
            key: The item's name after the prefix.
            item: The content of the field `item`.

        Returns:
            True if it was written; `False` if the change is older than the stored item, and so done.

        Raises:
            GuardNotAvailable: The change has no guard.
        """
        return self._run(redis, change, key, "put", item)

    def delete(self, redis: Any, change: Change[Any], key: str) -> bool:
        """Replace an item by a tombstone unless a newer change was applied. Returns and raises as `put`."""
        lifetime = 0 if self.keep_deleted is None else int(self.keep_deleted.total_seconds() * 1000)
        return self._run(redis, change, key, "delete", lifetime)

    def _run(self, redis: Any, change: Change[Any], key: str, what: str, argument: str | bytes | int) -> bool:
        guard = str(guard_of(change, self.guard_by)).zfill(SEQUENCE_DIGITS)
        return redis.eval(_REDIS_SCRIPT, 1, f"{self.prefix}{key}", guard, what, argument) == 1
