"""The limit of readers at the same time on a shard of a table's stream (docs/aws-semantics.md §1.1, DDB-LIMIT-6).

AWS documents that two processes may read a shard at the same time, without defining "the same time". Here it is one
period of Lambda's base rate, a quarter of a second (ESM-BATCH-1). So two readers are always served, however often they
read, and of three that poll at that rate, one is refused in each period.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from aws_semantics.limits import STREAM_POLL_SECONDS, STREAM_READERS

#: Seconds after which a refused reader that does not try again loses its turn.
PATIENCE_SECONDS = 4 * STREAM_POLL_SECONDS

ADVICE = (
    f"more than {STREAM_READERS} readers read a shard of this stream, and AWS throttles them all: every event source "
    "mapping, pipe and client of GetRecords counts; let one of them forward the changes (to SNS FIFO, EventBridge or "
    "Kinesis) and attach the others there"
)


class SharedShard:
    """The seats of one shard. A reader with a seat reads any number of times in that period; refused readers go first.

    Args:
        seats: Number of readers served in a period.
    """

    def __init__(self, seats: int = STREAM_READERS) -> None:
        self._seats = seats
        self._period = 0
        self._served: set[str] = set()
        #: Time of each refused reader's last attempt, in the order of their turns.
        self._waiting: dict[str, float] = {}

    def admits(self, reader: str, now: float) -> bool:
        """Return whether a reader may read, at a time in seconds that never goes back."""
        period = int(now / STREAM_POLL_SECONDS)
        if period != self._period:
            self._period, self._served = period, set()
            self._waiting = {each: at for each, at in self._waiting.items() if now - at < PATIENCE_SECONDS}
        if reader in self._served:
            return True
        self._waiting[reader] = now
        if list(self._waiting).index(reader) >= self._seats - len(self._served):
            return False
        del self._waiting[reader]
        self._served.add(reader)
        return True


@dataclass
class _Shard:
    seats: SharedShard = field(default_factory=SharedShard)
    throttled: int = 0


class ReaderLimit:
    """The seats of every shard, and the number of reads that each refused."""

    def __init__(self) -> None:
        self._shards: dict[tuple[str, str], _Shard] = {}

    def admits(self, reader: str, *, stream_arn: str, shard_id: str, now: float) -> bool:
        """Return whether a reader may read a shard, and count a refusal."""
        shard = self._shards.setdefault((stream_arn, shard_id), _Shard())
        admitted = shard.seats.admits(reader, now)
        shard.throttled += not admitted
        return admitted

    def throttled(self) -> list[dict[str, str | int]]:
        """List the shards that refused reads: stream, shard, number of refused reads, and advice."""
        return [
            {"streamArn": stream_arn, "shardId": shard_id, "throttledReads": shard.throttled, "advice": ADVICE}
            for (stream_arn, shard_id), shard in self._shards.items()
            if shard.throttled
        ]
