"""`DeadLetter`: a document about records that were given up, and `Receipt`: what an operator did about it."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from handlers.cdc.failure_document import Failure

Outcome = Literal["applied", "queued", "dropped", "partial", "failed"]

#: Outcomes after which a dead letter no longer waits.
SETTLED: frozenset[Outcome] = frozenset({"applied", "queued", "dropped"})


@dataclass(frozen=True)
class Receipt:
    """The record of what became of a dead letter.

    Attributes:
        outcome: `applied` by the function, `queued` again, `dropped`; `partial` and `failed` still wait.
        at: When, as ISO 8601.
        by: ARN of the caller.
        attempt: Number of the redrive, from 1.
        done: Event ids of the records that need no other redrive.
        note: The reason of a failure or of a drop.
    """

    outcome: Outcome
    at: str
    by: str
    attempt: int = 1
    done: Sequence[str] = ()
    note: str = ""

    @property
    def settled(self) -> bool:
        """`True` if the dead letter no longer waits."""
        return self.outcome in SETTLED

    def as_json(self) -> bytes:
        """Return the receipt as it is stored."""
        return json.dumps({"version": 1, **asdict(self)}).encode()

    @classmethod
    def from_json(cls, stored: bytes) -> Receipt:
        """Read a stored receipt."""
        members = json.loads(stored)
        return cls(**{name: members[name] for name in cls.__dataclass_fields__ if name in members})


@dataclass(frozen=True)
class DeadLetter:
    """One document in a failure destination.

    Attributes:
        id: Object key or message id.
        location: Where it lies, as `s3://bucket/key` or a queue's URL.
        at: When it was given up, in seconds since 1970.
        deadline: When the records can no longer be had, in seconds since 1970; `None` if never.
        failure: The document, as it was read.
        document: The document as JSON.
        receipt: The last receipt.
        handle: Handle of the store, e.g. an SQS receipt handle.
    """

    id: str
    location: str
    at: float
    deadline: float | None
    failure: Failure
    document: Mapping[str, Any]
    receipt: Receipt | None = None
    handle: str = field(default="", repr=False)

    @property
    def waits(self) -> bool:
        """`True` until it is redriven or dropped."""
        return self.receipt is None or not self.receipt.settled

    @property
    def records(self) -> Sequence[Mapping[str, Any]] | None:
        """The records as the function gets them; `None` if the document only points at them."""
        return None if self.failure.event is None else self.failure.event.get("Records", [])

    @property
    def order(self) -> tuple[int, int]:
        """A key that sorts dead letters by the second they were given up in, and then as their stream has them."""
        first = self.failure.batch.first if self.failure.batch else ""
        if not first and self.records:
            first = sequence_of(self.records[0])
        return int(self.at), int(first) if first.isdecimal() else 0


def sequence_of(record: Mapping[str, Any]) -> str:
    """Return the sequence number of a record; empty for one that has none."""
    if "kinesis" in record:
        return str(record["kinesis"].get("sequenceNumber", ""))
    return str(record.get("dynamodb", {}).get("SequenceNumber", ""))


def event_id_of(record: Mapping[str, Any]) -> str:
    """Return the id by which receipts name a record: its event id, or a message's id."""
    return str(record.get("eventID") or record.get("messageId") or "")


def change_in(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the stream record in a record: itself, a message's body or a Kinesis record's data; empty without one."""
    if "dynamodb" in record:
        return record
    try:
        data = record["kinesis"]["data"] if "kinesis" in record else None
        body = json.loads(record.get("body", "null") if data is None else base64.b64decode(data))
    except ValueError:
        return {}
    return body if isinstance(body, dict) and "dynamodb" in body else {}


def keys_of(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the keys of a record's item in DynamoDB's JSON; empty where they are not known."""
    return change_in(record).get("dynamodb", {}).get("Keys", {})


def key_text(keys: Mapping[str, Any]) -> str:
    """Write keys as `userId=bob`, several separated by a space."""
    return " ".join(f"{name}={next(iter(value.values()))}" for name, value in keys.items())


def has_key(record: Mapping[str, Any], wanted: str) -> bool:
    """Return whether a record's item has a key, given as `userId=bob`, `bob` or all keys as `key_text` writes them."""
    return is_key(key_text(keys_of(record)), wanted)


def is_key(text: str, wanted: str) -> bool:
    """Return whether keys that `key_text` wrote are those of the item that is wanted, as for `has_key`."""
    return wanted == text or wanted in text.split(" ") or wanted in [part.partition("=")[2] for part in text.split(" ")]
