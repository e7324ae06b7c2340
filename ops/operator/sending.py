"""Sends records again: to a consumer's function, or to the queue that a consumer or a pipe reads."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from aws_semantics.event_patterns import matches
from aws_semantics.limits import INVOCATION_PAYLOAD_BYTES
from handlers.cdc.message_groups import MESSAGE_BYTES, compact_json, group_of
from local.engine.streams.filtering import seen
from ops.operator.dead_letters.letters import change_in, event_id_of, key_text, keys_of, sequence_of
from ops.operator.pipes import Reader
from ops.operator.stack import Stack

Record = Mapping[str, Any]
#: Stands between a change's event id and the number of the redrive in a deduplication id.
_REDRIVE = "#redrive-"
#: Room for what an event has beside its records.
_WRAPPING_BYTES = 100


class Sender(Protocol):
    """Sends records in the order of their items, so that no newer change overtakes one that fails.

    Attributes:
        blocked: Items, by their keys as text, with a change that failed; newer ones of theirs are not sent.
    """

    blocked: set[str]

    def send(self, records: Sequence[Record]) -> tuple[list[str], str]:
        """Send records; returns the event ids of those that are done, and why the others are not."""
        ...


class FunctionSender:
    """A `Sender` to a consumer's function.

    Args:
        stack: The stack.
        function: The function's ARN.
        pause: Called before each invocation, to limit the rate.
    """

    def __init__(self, stack: Stack, function: str, pause: Callable[[], None]) -> None:
        self._stack = stack
        self._function = function
        self._pause = pause
        self.blocked: set[str] = set()

    def send(self, records: Sequence[Record]) -> tuple[list[str], str]:  # noqa: D102 - see `Sender`
        done: list[str] = []
        note = ""
        for part in _parts(records):
            finished, reason = self._send(part)
            done += finished
            note = note or reason
        return done, note

    def _send(self, records: Sequence[Record]) -> tuple[list[str], str]:
        done: list[str] = []
        note = ""
        left = [record for record in records if key_text(keys_of(record)) not in self.blocked]
        while left:
            self._pause()
            failed, reason = self._invoke(left)
            if failed is None and reason and len(left) > 1:
                # The function crashed and named no record: one record at a time finds it.
                first, left = left[:1], left[1:]
                failed, reason = self._invoke(first)
                if not reason:
                    done.append(event_id_of(first[0]))
                    continue
                left = [*first, *left]
                failed = event_id_of(first[0])
            if not reason:
                done += [event_id_of(record) for record in left]
                break
            at = next((place for place, record in enumerate(left) if event_id_of(record) == failed), 0)
            done += [event_id_of(record) for record in left[:at]]
            note = note or reason
            # Newer changes of the item that failed wait for it; those of others need not.
            self.blocked.add(key_text(keys_of(left[at])))
            left = [record for record in left[at + 1 :] if key_text(keys_of(record)) not in self.blocked]
        return done, note

    def _invoke(self, records: Sequence[Record]) -> tuple[str | None, str]:
        """Invoke the function with records; returns the record that it reports, and the reason, empty on success."""
        event = {"origin": "replay", "Records": list(records)}
        answer = self._stack.client("lambda").invoke(FunctionName=self._function, Payload=json.dumps(event))
        content = json.loads(answer["Payload"].read() or b"null")
        if "FunctionError" in answer:
            error = content if isinstance(content, dict) else {}
            if error.get("errorType") == "NotDone":  # a failed replay, which names its first record
                named = [event_id_of(r) for r in records if event_id_of(r) in error.get("errorMessage", "")]
                return (named or [event_id_of(records[0])])[
                    0
                ], "the function failed the record; its log has the exception"
            return None, f"{error.get('errorType', answer['FunctionError'])}: {error.get('errorMessage', '')}"
        reported = content.get("batchItemFailures", []) if isinstance(content, dict) else []
        if not reported:
            return None, ""
        identifier = reported[0].get("itemIdentifier", "")
        matching = [event_id_of(r) for r in records if identifier in (event_id_of(r), sequence_of(r))]
        return (matching or [event_id_of(records[0])])[0], "the function reported the record; its log has the exception"


class QueueSender:
    """A `Sender` to the queue that a consumer or a pipe reads, under deduplication ids of its own.

    Args:
        stack: The stack.
        queue: The queue's ARN.
        pause: Called before each message, to limit the rate.
    """

    def __init__(self, stack: Stack, queue: str, pause: Callable[[], None]) -> None:
        self._stack = stack
        self._queue = queue
        self._pause = pause
        self.blocked: set[str] = set()

    def send(self, records: Sequence[Record]) -> tuple[list[str], str]:  # noqa: D102 - see `Sender`
        sqs = self._stack.client("sqs")
        url = sqs.get_queue_url(QueueName=self._queue.rpartition(":")[2])["QueueUrl"]
        done: list[str] = []
        note = ""
        for record in records:
            body, group, former = _message(record)
            if len(body.encode()) > MESSAGE_BYTES:
                note = "a change is larger than a message: bring it to the consumer's target by hand, then drop it"
                self.blocked.add(key_text(keys_of(record)))
            if key_text(keys_of(record)) in self.blocked:
                continue
            self._pause()
            fifo: dict[str, str] = {}
            if self._queue.endswith(".fifo"):
                # SQS swallows an id that it has seen within five minutes, so each redrive has one of its own.
                identity, _, attempt = former.partition(_REDRIVE)
                fifo = {
                    "MessageGroupId": group or identity,
                    "MessageDeduplicationId": f"{identity}{_REDRIVE}{int(attempt or 0) + 1}",
                }
            elif group:  # of a standard queue with fair shares
                fifo = {"MessageGroupId": group}
            own = {"MessageAttributes": kept} if (kept := record.get("MessageAttributes")) else {}
            sqs.send_message(QueueUrl=url, MessageBody=body, **fifo, **own)
            done.append(event_id_of(record))
        return done, note


def _message(record: Record) -> tuple[str, str, str]:
    """Return the body of a record's message, its group, empty if none is known, and its former deduplication id.

    A change that the consumer parked when it was read again, or when it read the stream itself, was in no message. It
    becomes the one that a forwarder makes of it.
    """
    if "body" in record:
        attributes = record.get("attributes", {})
        former = attributes.get("MessageDeduplicationId") or record.get("messageId", "")
        return record["body"], attributes.get("MessageGroupId", ""), former
    change = change_in(record)
    return compact_json(change), group_of(change["dynamodb"]["Keys"]), str(change["eventID"])


def _parts(records: Sequence[Record]) -> Iterator[list[Record]]:
    """Split records so that each part fits into one invocation."""
    part: list[Record] = []
    size = 0
    for record in records:
        more = len(json.dumps(record)) + len(", ")
        if part and size + more > INVOCATION_PAYLOAD_BYTES - _WRAPPING_BYTES:
            yield part
            part, size = [], 0
        part.append(record)
        size += more
    if part:
        yield part


def passes(reader: Reader, record: Record) -> bool:
    """Return whether a mapping or a pipe would pass a record on, as a range of a stream holds all records."""
    if isinstance(record.get("body"), str):
        return True  # a message that goes back to its queue meets the filter there
    event = {"body": change_in(record)} if reader.reads_queue else seen(record)
    return not reader.patterns or any(matches(pattern, event) for pattern in reader.patterns)


def stale_items(stack: Stack, records: Sequence[Record]) -> set[str]:
    """Find the items, by their keys as text, that have a newer version now than their last record here."""
    versions: dict[str, dict[str, int]] = {}
    wanted: dict[str, dict[str, Mapping[str, Any]]] = {}
    for record in records:
        table, version = table_of(record), version_of(record)
        if table and version is not None:
            keys = keys_of(record)
            versions.setdefault(table, {})[key_text(keys)] = version
            wanted.setdefault(table, {})[key_text(keys)] = keys
    found: set[str] = set()
    dynamodb = stack.client("dynamodb") if wanted else None
    for table, keys in wanted.items():
        for key, item in items_of(dynamodb, table, keys).items():
            present = item.get("version", {}).get("N")
            if present is not None and int(present) > versions[table][key]:
                found.add(key)
    return found


def limit_rate(per_second: float) -> Callable[[], None]:
    """Return a function that waits so long that it is not called more often than this."""
    last = [0.0]

    def pause() -> None:
        wait = last[0] + 1 / per_second - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        last[0] = time.monotonic()

    return pause


def table_of(record: Record) -> str | None:
    """Return the name of the table that a record's change is of."""
    change = change_in(record)
    if "tableName" in change:
        return change["tableName"]
    arn = change.get("eventSourceARN", "")
    return arn.split("/")[1] if ":dynamodb:" in arn else None


def version_of(record: Record) -> int | None:
    """Return the item's `version` after the change, or before a deletion; `None` where it has none."""
    dynamodb = change_in(record).get("dynamodb", {})
    image = dynamodb.get("NewImage") or dynamodb.get("OldImage") or {}
    version = image.get("version", {}).get("N")
    return None if version is None else int(version)


def items_of(dynamodb: Any, table: str, keys: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Read items of a table, by their keys as text; those that do not exist are missing."""
    found: dict[str, Mapping[str, Any]] = {}
    names = list(next(iter(keys.values())))
    wanted = list(keys.values())
    for start in range(0, len(wanted), 100):
        request: dict[str, Any] = {table: {"Keys": wanted[start : start + 100], "ConsistentRead": True}}
        while request:
            answer = dynamodb.batch_get_item(RequestItems=request)
            for item in answer["Responses"].get(table, []):
                found[key_text({name: item[name] for name in names})] = item
            request = answer.get("UnprocessedKeys") or {}
    return found
