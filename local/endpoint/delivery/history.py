"""History of mappings and pipes: invocations, records that were given up or filtered out, and throttled reads."""

from __future__ import annotations

import itertools
import json
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from local.engine.outcomes import OutcomeName
from local.engine.records import Record

#: Maximum of entries for one mapping; older ones are dropped.
KEPT_ENTRIES = 100_000


@dataclass(frozen=True, kw_only=True)
class Invocation:
    """One attempt at a batch.

    Attributes:
        at: Time when it began, in seconds since 1970.
        shard_id: The shard of the batch; empty for a queue.
        request_id: The request id that the function sees.
        attempt: Number of the attempt at this batch, from 1. Attempts that never ran the function count.
        identifiers: Identifiers of the records: sequence numbers, a queue's message ids, or a stream pipe's event IDs.
        keys: Keys of the items, in DynamoDB's JSON; the partition keys of Kinesis records; empty for messages.
        event_ids: Event ids of the changes, also of those in a queue's messages; an empty text for any other record.
        outcome: The word for its outcome.
        accepted: How many records it finished.
        error_type: The type of the function's error, e.g. `Sandbox.Timedout`; `None` if it answered.
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
    event_ids: list[str]
    outcome: OutcomeName
    accepted: int
    error_type: str | None
    bisected: bool
    iterator_age_ms: int


@dataclass(frozen=True, kw_only=True)
class GivenUp:
    """Records that were given up.

    Attributes:
        condition: The reason in AWS's word; `retention` if the stream forgot them, which AWS reports nowhere.
        document: The document for the destination; `None` without a destination.
        location: The document's place, as `s3://bucket/key`, a queue's URL or a topic's ARN; `None` if it was not
            delivered.
    """

    kind: Literal["given up"] = "given up"
    at: float
    shard_id: str
    condition: str
    identifiers: list[str]
    keys: list[dict[str, Any]]
    event_ids: list[str]
    document: dict[str, Any] | None
    location: str | None


@dataclass(frozen=True, kw_only=True)
class FilteredOut:
    """Records that no filter of the mapping matched; a queue's messages are deleted."""

    kind: Literal["filtered out"] = "filtered out"
    at: float
    shard_id: str
    identifiers: list[str]
    keys: list[dict[str, Any]]
    event_ids: list[str]


@dataclass(frozen=True, kw_only=True)
class ThrottledRead:
    """A refused read of a shard that had more readers than it serves."""

    kind: Literal["throttled read"] = "throttled read"
    at: float
    shard_id: str


Entry = Invocation | GivenUp | FilteredOut | ThrottledRead


@dataclass
class History:
    """Entries in the order they happened. Safe for threads."""

    _entries: deque[Entry] = field(default_factory=lambda: deque[Entry](maxlen=KEPT_ENTRIES))
    _added: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, entry: Entry) -> None:
        """Append one entry."""
        with self._lock:
            self._entries.append(entry)
            self._added += 1

    def count(self, applies: Callable[[Entry], bool]) -> int:
        """Count the entries that satisfy a condition."""
        with self._lock:
            return sum(map(applies, self._entries))

    def as_json(self, after: int = 0) -> list[dict[str, Any]]:
        """Return the entries, oldest first, without the first `after` that were ever added."""
        with self._lock:
            seen = max(0, after - (self._added - len(self._entries)))
            return [asdict(entry) for entry in itertools.islice(self._entries, seen, None)]


def keys_of(records: Sequence[Record]) -> list[dict[str, Any]]:
    """Return the item keys of records in order: of a Kinesis record its partition key, of messages none."""
    events = (record.event for record in records)
    return [
        event["dynamodb"]["Keys"]
        if "dynamodb" in event
        else {"partitionKey": event.get("kinesis", event)["partitionKey"]}
        for event in events
        if event.get("eventSource") != "aws:sqs"
    ]


def filtered_out(messages: Sequence[Record], *, at: float) -> FilteredOut:
    """Return the entry for messages of a queue that no filter matches."""
    return FilteredOut(
        at=at,
        shard_id="",
        identifiers=[message.identifier for message in messages],
        keys=[],
        event_ids=event_ids_of(messages),
    )


def event_ids_of(records: Sequence[Record]) -> list[str]:
    """Return the event ids of the changes in records or in a queue's messages; empty texts for other records."""
    return [_event_id(record.event) for record in records]


def _event_id(event: Mapping[str, Any]) -> str:
    try:
        change = json.loads(event["body"]) if event.get("eventSource") == "aws:sqs" else event
        found = change.get("eventID")
    except (ValueError, AttributeError):
        return ""
    return found if isinstance(found, str) else ""
