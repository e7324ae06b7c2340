"""What the mappings did: invocations, batches that were given up, what was filtered out, and throttled reads."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from local.engine.streams.lane import Records

#: Entries kept of one mapping; older ones are forgotten.
KEPT_ENTRIES = 100_000

Outcome = Literal["success", "partial", "error", "timeout", "throttled", "service error"]


@dataclass(frozen=True, kw_only=True)
class Invocation:
    """One attempt at a batch.

    Attributes:
        at: When it began, in seconds since 1970.
        attempt: Counts from 1 for each batch, those included that never ran the function.
        identifiers: Of the batch: sequence numbers; message ids of a queue; event IDs of a pipe from a stream.
        keys: Keys of its items, in DynamoDB's JSON; of a Kinesis record, its partition key; of messages none.
        outcome: What it came to; a service error ran the function or not, and its answer was lost.
        accepted: How many records are done by it.
        error_type: The function's error, e.g. `Sandbox.Timedout`; `None` when it answered.
        bisected: Whether the batch was split because of it.
        iterator_age_ms: Age of the last record when the batch was sent, in milliseconds.
    """

    kind: Literal["invocation"] = "invocation"
    at: float
    shard_id: str
    request_id: str
    attempt: int
    identifiers: list[str]
    keys: list[dict[str, Any]]
    outcome: Outcome
    accepted: int
    error_type: str | None
    bisected: bool
    iterator_age_ms: int


@dataclass(frozen=True, kw_only=True)
class GivenUp:
    """Records that were given up.

    Attributes:
        condition: Why, in AWS's word; `retention` when the stream forgot them, of which AWS tells nobody.
        document: What the destination was told; `None` without a destination.
        location: Where it went, as `s3://bucket/key`, a queue's URL or a topic's ARN; `None` when it was not delivered.
    """

    kind: Literal["given up"] = "given up"
    at: float
    shard_id: str
    condition: str
    identifiers: list[str]
    keys: list[dict[str, Any]]
    document: dict[str, Any] | None
    location: str | None


@dataclass(frozen=True, kw_only=True)
class FilteredOut:
    """Records that no filter of the mapping matched."""

    kind: Literal["filtered out"] = "filtered out"
    at: float
    shard_id: str
    identifiers: list[str]
    keys: list[dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class ThrottledRead:
    """A read of a shard that was refused because the shard had more readers than it serves."""

    kind: Literal["throttled read"] = "throttled read"
    at: float
    shard_id: str


Entry = Invocation | GivenUp | FilteredOut | ThrottledRead


@dataclass
class History:
    """Entries in the order they happened. Safe for threads."""

    _entries: deque[Entry] = field(default_factory=lambda: deque[Entry](maxlen=KEPT_ENTRIES))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, entry: Entry) -> None:
        """Append one entry."""
        with self._lock:
            self._entries.append(entry)

    def count(self, applies: Callable[[Entry], bool]) -> int:
        """How many entries satisfy a condition."""
        with self._lock:
            return sum(map(applies, self._entries))

    def as_json(self) -> list[dict[str, Any]]:
        """All entries, oldest first."""
        with self._lock:
            return [asdict(entry) for entry in self._entries]


def keys_of(records: Records) -> list[dict[str, Any]]:
    """The item keys of records, in order; a Kinesis record has its partition key, a message none."""
    return [
        record.event["dynamodb"]["Keys"] if "dynamodb" in record.event else {"partitionKey": record.item_key}
        for record in records
        if record.event.get("eventSource") != "aws:sqs"
    ]
