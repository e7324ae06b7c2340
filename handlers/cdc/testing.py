"""Test doubles for consumers: changes, events, an invocation and a ledger in memory.

This module is not deployed.
"""

from __future__ import annotations

import base64
import itertools
import json
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal, TypedDict, Unpack, get_args, overload

from handlers.cdc.attribute_values import decode, encode_item
from handlers.cdc.change import Change, Model
from handlers.cdc.counter_table import EXACT
from handlers.cdc.invocation import correlation_id
from handlers.cdc.ledger_table import Entry, Status
from handlers.cdc.model import reader
from handlers.cdc.projection import is_reserved
from handlers.cdc.projection_writes import DELETED, Item, WholeWrite, Write

_numbers = itertools.count(1)

ViewType = Literal["KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES"]


class RecordArguments(TypedDict, total=False):
    """The arguments of `record`, which `change` and `kinesis_change` take too."""

    old: Mapping[str, Any] | None
    new: Mapping[str, Any] | None
    keys: Sequence[str]
    view_type: ViewType
    table: str
    ttl_delete: bool
    created: float | None
    region: str


def record(
    *,
    old: Mapping[str, Any] | None = None,
    new: Mapping[str, Any] | None = None,
    keys: Sequence[str] = (),
    view_type: ViewType = "NEW_AND_OLD_IMAGES",
    table: str = "users",
    ttl_delete: bool = False,
    created: float | None = None,
    region: str = "us-east-1",
) -> dict[str, Any]:
    """Make a stream record as Lambda delivers it (docs/aws-semantics.md §1.3).

    Args:
        old: The item before the change; a record without it is an INSERT.
        new: The item after the change; a record without it is a REMOVE.
        keys: Names of the key attributes; the first attribute of the item by default.
        view_type: The stream's view type; images that it does not carry are left out.
        table: Name of the table.
        ttl_delete: True if DynamoDB itself removed the item because it expired.
        created: Time of the write in seconds since 1970; now by default.
        region: Region of the stream.

    Raises:
        ValueError: There is no image, a key is not an attribute of the item, or there is no such view type.
        TypeError: DynamoDB has no type for a value.
    """
    if not old and not new:
        raise ValueError("a change has an old image, a new image or both")
    if view_type not in get_args(ViewType):
        raise ValueError(f"there is no view type {view_type!r}: {', '.join(get_args(ViewType))}")
    item = new or old or {}
    names = list(keys) or list(item)[:1]
    if missing := [name for name in names if name not in item]:
        raise ValueError(f"the item has no key attribute {', '.join(missing)}")
    number = next(_numbers)
    dynamodb: dict[str, Any] = {
        "ApproximateCreationDateTime": float(int(time.time() if created is None else created)),
        "Keys": encode_item({name: item[name] for name in names}),
        "SequenceNumber": str(58700000000000000000000 + number),
        "SizeBytes": len(repr(item)),
        "StreamViewType": view_type,
    }
    if new and view_type in ("NEW_IMAGE", "NEW_AND_OLD_IMAGES"):
        dynamodb["NewImage"] = encode_item(new)
    if old and view_type in ("OLD_IMAGE", "NEW_AND_OLD_IMAGES"):
        dynamodb["OldImage"] = encode_item(old)
    event: dict[str, Any] = {
        "eventID": f"{number:032x}",
        "eventName": "INSERT" if not old else "MODIFY" if new else "REMOVE",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": region,
        "dynamodb": dynamodb,
        "eventSourceARN": f"arn:aws:dynamodb:{region}:111122223333:table/{table}/stream/2026-01-01T00:00:00.000",
    }
    if ttl_delete:
        event["userIdentity"] = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}
    return event


@overload
def change(**arguments: Unpack[RecordArguments]) -> Change: ...
@overload
def change(*, model: type[Model], **arguments: Unpack[RecordArguments]) -> Change[Model]: ...
def change(*, model: type | None = None, **arguments: Unpack[RecordArguments]) -> Change[Any]:
    """Make a change.

    >>> change(new={"userId": "u1", "plan": "free"})
    <Change INSERT ...>

    Args:
        model: The model of the consumer that the change is for, if it has one.
        arguments: The arguments of `record`.

    Raises:
        ValueError: See `record`.
        TypeError: See `record`; or `model` is not a model.
    """
    return Change(record(**arguments), model=None if model is None else reader(model))


def stream_event(*records: Mapping[str, Any]) -> dict[str, Any]:
    """Make the event with which Lambda calls a function for a batch of these records."""
    return {"Records": list(records)}


def window_event(
    *records: Mapping[str, Any],
    state: Mapping[str, Any] | None = None,
    start: datetime = datetime(2026, 1, 1, tzinfo=UTC),
    seconds: int = 60,
    shard_id: str = "shardId-00000001767225600000-00000001",
    final: bool = False,
    terminated_early: bool = False,
) -> dict[str, Any]:
    """Make the event with which Lambda calls a function for a batch of a tumbling window (docs/aws-semantics.md §2.9).

    Args:
        records: The batch; none for the call that ends a window.
        state: Result of the previous call; `{}` by default, as in a window's first call.
        start: Start of the window, an aware time.
        seconds: Length of the window.
        shard_id: The shard.
        final: True if the call ends the window.
        terminated_early: True if it does so because the state has grown over 1 MB.
    """
    span = {"start": start, "end": start + timedelta(seconds=seconds)}
    return {
        "Records": list(records),
        "shardId": shard_id,
        "eventSourceARN": "arn:aws:dynamodb:us-east-1:111122223333:table/users/stream/2026-01-01T00:00:00.000",
        "window": {name: f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" for name, at in span.items()},
        "state": dict(state or {}),
        "isFinalInvokeForWindow": final or terminated_early,
        "isWindowTerminatedEarly": terminated_early,
    }


def pipe_event(*records: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Make the event with which a pipe calls a function: records in an array.

    A pipe from a queue has messages as `queue_event` makes them. One from Kinesis has the members of `kinesis` among
    the others:

    >>> [event] = pipe_event(*kinesis_event({"id": 1})["Records"])
    >>> "kinesis" in event, "partitionKey" in event
    (False, True)
    """
    return [
        {**record.get("kinesis", {}), **{name: record[name] for name in record if name != "kinesis"}}
        for record in records
    ]


def queue_event(*bodies: Any, group: str | None = None, receive_count: int = 1) -> dict[str, Any]:
    """Make the event with which Lambda calls a function for messages of an SQS queue.

    Args:
        bodies: One per message: an object, e.g. a `record`, or text as it is.
        group: The messages' group; with one, the queue is a FIFO queue.
        receive_count: Number of receives of the messages, this one included.
    """
    name = "changes" if group is None else "changes.fifo"
    return {"Records": [_message(body, name, group, receive_count) for body in bodies]}


def _message(body: Any, queue: str, group: str | None, receive_count: int) -> dict[str, Any]:
    number = next(_numbers)
    attributes = {"ApproximateReceiveCount": str(receive_count), "SentTimestamp": "1767225600000"}
    if group is not None:
        attributes |= {"MessageGroupId": group, "SequenceNumber": str(number), "MessageDeduplicationId": str(number)}
    return {
        "messageId": f"00000000-0000-4000-8000-{number:012x}",
        "receiptHandle": f"receipt-{number}",
        "body": body if isinstance(body, str) else json.dumps(body),
        "attributes": attributes,
        "messageAttributes": {},
        "md5OfBody": "",
        "eventSource": "aws:sqs",
        "eventSourceARN": f"arn:aws:sqs:us-east-1:111122223333:{queue}",
        "awsRegion": "us-east-1",
    }


def kinesis_event(*data: Mapping[str, Any]) -> dict[str, Any]:
    """Make the event with which Lambda calls a function for Kinesis records that contain these objects."""
    return {"Records": [_kinesis_record(each) for each in data]}


def _kinesis_record(data: Mapping[str, Any]) -> dict[str, Any]:
    number = str(49600000000000000000000000000000000000000000000000000000 + next(_numbers))
    return {
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": "0" * 32,
            "sequenceNumber": number,
            "data": base64.b64encode(json.dumps(data).encode()).decode(),
            "approximateArrivalTimestamp": 1767225600.0,
        },
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": f"shardId-000000000000:{number}",
        "eventName": "aws:kinesis:record",
        "invokeIdentityArn": "arn:aws:iam::111122223333:role/consumer",
        "awsRegion": "us-east-1",
        "eventSourceARN": "arn:aws:kinesis:us-east-1:111122223333:stream/changes",
    }


def kinesis_change(**arguments: Unpack[RecordArguments]) -> dict[str, Any]:
    """Make the record that Kinesis Data Streams for DynamoDB puts into a stream (docs/aws-semantics.md §4).

    The arguments are those of `record`.
    """
    made = record(**arguments)
    dynamodb = {name: _binaries_twice(value) for name, value in made["dynamodb"].items()}
    del dynamodb["SequenceNumber"], dynamodb["StreamViewType"]
    dynamodb["ApproximateCreationDateTime"] = int(dynamodb["ApproximateCreationDateTime"] * 1000)
    return {
        "awsRegion": made["awsRegion"],
        "eventID": made["eventID"],
        "eventName": made["eventName"],
        "userIdentity": made.get("userIdentity"),
        "recordFormat": "application/json",
        "tableName": arguments.get("table", "users"),
        "dynamodb": dynamodb,
        "eventSource": "aws:dynamodb",
    }


def _binaries_twice(value: Any) -> Any:
    match value:
        case {"B": str(binary)} if len(value) == 1:
            return {"B": base64.b64encode(binary.encode()).decode()}
        case {"BS": list(binaries)} if len(value) == 1:
            return {"BS": [base64.b64encode(binary.encode()).decode() for binary in binaries]}
        case dict():
            return {name: _binaries_twice(member) for name, member in value.items()}
        case list():
            return [_binaries_twice(member) for member in value]
        case _:
            return value


class Invocation:
    """A Lambda context whose remaining time runs down.

    Args:
        seconds: Time-out of the invocation.
    """

    def __init__(self, seconds: float = 30.0) -> None:
        self._ends = time.monotonic() + seconds

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until Lambda would end the invocation."""
        return max(0, int((self._ends - time.monotonic()) * 1000))


class InMemoryCounters:
    """A `CounterStore` with the conditions of the DynamoDB table, for one process.

    Attributes:
        totals: Value of each counter, by the names of its set and of the counter.
        events: Time at which each counted event is forgotten, in seconds since 1970 (`None` is never), by the name of
            the set and the event's key.
    """

    def __init__(self) -> None:
        self.totals: dict[tuple[str, str], Decimal] = {}
        self.events: dict[tuple[str, str], int | None] = {}
        self._lock = threading.Lock()

    def count(
        self,
        name: str,
        events: Sequence[str],
        amounts: Mapping[str, Decimal],
        *,
        now: int,
        keep: int | None,
    ) -> set[str]:
        """Count events as `CounterTable.count` does."""
        with self._lock:
            forgotten = {event for event, until in self.events.items() if until is not None and until < now}
            if counted := {key for key in events if (name, key) in self.events.keys() - forgotten}:
                return counted
            self.events |= {(name, key): None if keep is None else now + keep for key in events}
            for counter, amount in amounts.items():
                self.totals[name, counter] = EXACT.add(self.totals.get((name, counter), Decimal(0)), amount)
            return set()

    def total(self, name: str, counter: str) -> Decimal:
        """Return the value of a counter."""
        with self._lock:
            return self.totals.get((name, counter), Decimal(0))


class InMemoryProjection:
    """A `ProjectionStore` with the guards of the DynamoDB table, for one process.

    >>> from handlers.cdc.projection import DynamoDBProjection
    >>> users = InMemoryProjection(key=["id"])
    >>> DynamoDBProjection("USERS_VIEW", store=users).put(change(new={"id": "u1", "version": 1}), {"id": "u1"})
    True
    >>> users.items
    [{'id': 'u1'}]

    Args:
        key: Names of the table's key attributes.
    """

    def __init__(self, key: Sequence[str]) -> None:
        self.key = tuple(key)
        self._stored: dict[tuple[Any, ...], Item] = {}
        self._lock = threading.Lock()

    @property
    def items(self) -> list[dict[str, Any]]:
        """The items that readers see, without the projection's own attributes."""
        return [
            {name: decode(value) for name, value in item.items() if not is_reserved(name)}
            for item in self._stored.values()
            if DELETED not in item
        ]

    def apply(self, write: Write) -> bool:
        """Apply a write as `ProjectionTable.apply` does."""
        key = write.item if isinstance(write, WholeWrite) else write.key
        if missing := [name for name in self.key if name not in key]:
            raise ValueError(f"the item has no key attribute {', '.join(missing)}")
        place = tuple(decode(key[name]) for name in self.key)
        with self._lock:
            item = write.after(self._stored.get(place))
            if item is None:
                return False
            self._stored[place] = item
            return True


class InMemoryRedis:
    """A client that a `RedisProjection` takes in a test, with the conditions of its script.

    Attributes:
        hashes: Fields of each hash, by its name.
    """

    def __init__(self) -> None:
        self.hashes: dict[str, dict[str, str]] = {}
        self._lock = threading.Lock()

    def eval(self, script: str, keys: int, name: str, guard: str, what: str, item: Any, *times: int) -> int:  # noqa: ARG002
        """Put or delete an item as the script of `RedisProjection` does. Nothing expires."""
        with self._lock:
            stored = self.hashes.get(name, {}).get("guard", "")
            if stored > guard or (stored == guard and what == "put"):
                return 0
            text = item.decode() if isinstance(item, bytes) else str(item)
            self.hashes[name] = {"guard": guard, "item": text} if what == "put" else {"guard": guard}
            return 1

    def hget(self, name: str, field: str) -> str | None:
        """Return a field of a hash: `item` is what readers see."""
        return self.hashes.get(name, {}).get(field)


class InMemoryLedger:
    """A `LedgerStore` with the conditions of the DynamoDB table, for one process.

    Attributes:
        items: Items of the table, by effect key: `<consumer>#<key>`, and outside a consumer the key alone.
        takes_bare_keys: Whether keys may live under no namespace, as a table's may not.
    """

    takes_bare_keys = True

    def __init__(self) -> None:
        self.items: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()

    def claim(
        self,
        key: str,
        owner: str,
        *,
        now_ms: int,
        lease_until_ms: int,
        expires_at: int | None,
        take_over: bool,
        written: int | None = None,
    ) -> Entry | None:
        """Claim an effect as `LedgerTable.claim` does."""
        with self._lock:
            item = self.items.get(key)
            if item is not None:
                expired = item["expiresAt"] is not None and item["expiresAt"] < now_ms // 1000
                lease_is_over = take_over and item["leaseUntil"] < now_ms
                free = item["status"] == "claimed" and (item["owner"] == owner or lease_is_over)
                free |= written is not None and "historyUntil" in item and item["historyUntil"] <= written
                if not expired and not free:
                    return Entry(item["status"], item["leaseUntil"], item["result"])
            self.items[key] = {
                "status": "claimed",
                "owner": owner,
                "leaseUntil": lease_until_ms,
                "expiresAt": expires_at,
                "correlationId": correlation_id(),
                "result": None,
            }
            return None

    def mark(self, key: str, *, now: int, history_until: int, expires_at: int | None) -> None:
        """Mark an effect as done before a time as `LedgerTable.mark` does."""
        with self._lock:
            item = self.items.get(key)
            if item is None or (item["expiresAt"] is not None and item["expiresAt"] < now):
                self.items[key] = {
                    "status": "done",
                    "owner": None,
                    "leaseUntil": 0,
                    "expiresAt": expires_at,
                    "correlationId": None,
                    "result": None,
                    "historyUntil": history_until,
                }

    def settle(self, key: str, owner: str, *, status: Status, expires_at: int | None, result: str | None) -> bool:
        """Settle an effect as `LedgerTable.settle` does."""
        with self._lock:
            item = self.items.get(key)
            if item is None or item["owner"] != owner:
                return False
            item.update(status=status, expiresAt=expires_at, result=result)
            return True

    def release(self, key: str, owner: str) -> None:
        """Release a claim as `LedgerTable.release` does."""
        with self._lock:
            item = self.items.get(key)
            if item is not None and item["owner"] == owner and item["status"] == "claimed":
                del self.items[key]


class InMemorySequences:
    """A `SequencerStore` with the condition of the DynamoDB table, for one process.

    Attributes:
        items: For each key, the version and the document of each part; documents are in DynamoDB's types.
    """

    def __init__(self) -> None:
        self.items: dict[str, dict[str, tuple[int, Mapping[str, Any]]]] = {}
        self._lock = threading.Lock()

    def put(
        self, key: str, part: str, version: int, document: Mapping[str, Any], *, expires_at: int | None
    ) -> Mapping[str, Mapping[str, Any]]:
        """Put a part's document as `SequencerTable.put` does; nothing expires."""
        del expires_at
        with self._lock:
            item = self.items.setdefault(key, {})
            if part not in item or item[part][0] < version:
                item[part] = (version, document)
            return {name: stored for name, (_, stored) in item.items()}

    def get(self, key: str) -> Mapping[str, Mapping[str, Any]]:
        """Return the documents of all parts."""
        with self._lock:
            return {name: stored for name, (_, stored) in self.items.get(key, {}).items()}


class InMemoryTimer:
    """A sequencer's `Timer` whose time-outs a test runs itself.

    Attributes:
        started: When each time-out is over, in seconds since 1970, by the key with the sequencer's name.
    """

    def __init__(self) -> None:
        self.started: dict[str, float] = {}

    def start(self, name: str, key: str, moment: float) -> None:
        """Note a time-out, unless there is one."""
        del key
        self.started.setdefault(name, moment)
