"""The version guard in Redis and Valkey: a script that compares and writes in one step."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from handlers.cdc.change import Change
from handlers.cdc.effect_ledger import KEEP
from handlers.cdc.projection import SEQUENCE_DIGITS, GuardBy, check_settings, guard_of

# Guards are digits of one length, so text compares as numbers do. The guard outlives the item, whose own expiry would
# else let a late change bring back what is older.
_REDIS_SCRIPT: Final = """
local guard, what, item, lifetime, keep = unpack(ARGV)
local stored = redis.call('HGET', KEYS[1], 'guard')
if stored and (stored > guard or (stored == guard and what == 'put')) then return 0 end
redis.call('HSET', KEYS[1], 'guard', guard)
if what == 'put' then
  redis.call('HSET', KEYS[1], 'item', item)
  if lifetime ~= '0' then redis.call('HPEXPIRE', KEYS[1], lifetime, 'FIELDS', 1, 'item') end
else
  redis.call('HDEL', KEYS[1], 'item')
end
if keep == '0' or (what == 'put' and lifetime == '0') then
  redis.call('PERSIST', KEYS[1])
else
  redis.call('PEXPIRE', KEYS[1], keep)
end
return 1
"""


class RedisProjection:
    """A projection in Redis or Valkey: one hash per item, with the item in its field `item`. A tombstone lacks it.

    Args:
        prefix: Prefix of the hashes' names, e.g. `users:`.
        guard_by: The guard that orders changes; it is stored in the field `guard`.
        keep_deleted: Lifetime of a tombstone, and of the guard of an item that expired; at least 24 hours (how long a
            stream delivers a record again). Default 400 days; `None` is forever.
        lifetime: Time after its last write at which an item leaves the hash, not longer than `keep_deleted`; by
            default it stays. It needs the command HPEXPIRE: Valkey 9 or Redis 7.4.

    Raises:
        ValueError: `keep_deleted` is shorter than 24 hours or than `lifetime`, `lifetime` is not positive, or there is
            no such guard.
    """

    def __init__(
        self,
        prefix: str,
        *,
        guard_by: GuardBy = "version",
        keep_deleted: timedelta | None = KEEP,
        lifetime: timedelta | None = None,
    ) -> None:
        check_settings(guard_by, keep_deleted)
        if lifetime is not None and not timedelta(0) < lifetime <= (keep_deleted or timedelta.max):
            raise ValueError(
                f"lifetime={lifetime} must be positive and not longer than keep_deleted={keep_deleted}, which is how "
                "long the guard stays: without it a late change would bring back what is older"
            )
        self.prefix = prefix
        self.guard_by: GuardBy = guard_by
        self.keep_deleted = keep_deleted
        self.lifetime = lifetime

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
        return self._run(redis, change, key, "delete", "")

    def _run(self, redis: Any, change: Change[Any], key: str, what: str, item: str | bytes) -> bool:
        guard = str(guard_of(change, self.guard_by)).zfill(SEQUENCE_DIGITS)
        lifetime, keep = (_milliseconds(each) for each in (self.lifetime, self.keep_deleted))
        return redis.eval(_REDIS_SCRIPT, 1, f"{self.prefix}{key}", guard, what, item, lifetime, keep) == 1


def _milliseconds(time: timedelta | None) -> int:
    return 0 if time is None else int(time.total_seconds() * 1000)
