"""One dead letter in detail: its records beside the items as they are now, and the log of its attempts."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from ops.function_logs import LogReader
from ops.operator.dead_letters.letters import DeadLetter, change_in, key_text, keys_of
from ops.operator.dead_letters.pointers import Forgotten, NotReadable, read_range
from ops.operator.pipes import Pipe, Reader
from ops.operator.sending import items_of, table_of
from ops.operator.stack import Stack

#: Seconds of the log before a dead letter was given up that are searched for its attempts: the longest retries.
LOG_SECONDS = 24 * 3600
#: Errors of a pipe's log that are shown: each execution that fails logs two or three.
LAST_ERRORS = 10


def detail_of(stack: Stack, reader: Reader, letter: DeadLetter) -> dict[str, Any]:
    """Describe a dead letter as a JSON document, contents included."""
    note = ""
    records: Sequence[Mapping[str, Any]] = letter.records or ()
    if letter.records is None and letter.failure.batch is not None:
        try:
            records = read_range(stack.client, letter.failure.batch)
        except (Forgotten, NotReadable) as problem:
            note = str(problem)
    return {
        "consumer": reader.name,
        "id": letter.id,
        "document": letter.document,
        "records": [_record(stack, record) for record in records],
        "log": _log(stack, reader, letter, records),
        "receipt": None if letter.receipt is None else json.loads(letter.receipt.as_json()),
        "note": note,
    }


def _record(stack: Stack, record: Mapping[str, Any]) -> dict[str, Any]:
    change = change_in(record)
    old, new = (change.get("dynamodb", {}).get(name, {}) for name in ("OldImage", "NewImage"))
    keys = keys_of(record)
    now: Mapping[str, Any] = {}
    if (table := table_of(record)) and keys:
        now = items_of(stack.client("dynamodb"), table, {key_text(keys): keys}).get(key_text(keys), {})
    return {
        "eventID": change.get("eventID"),
        "eventName": change.get("eventName"),
        "key": key_text(keys),
        "attributes": {
            name: {
                "old": _text(old.get(name)),
                "new": _text(new.get(name)),
                "now": _text(now.get(name)),
                "differs": new.get(name) != now.get(name),
            }
            for name in sorted({*old, *new, *now})
        },
    }


def _text(value: Mapping[str, Any] | None) -> str | None:
    if value is None:
        return None
    (inner,) = value.values()
    return inner if isinstance(inner, str) else json.dumps(inner, default=str)


def _log(
    stack: Stack, reader: Reader, letter: DeadLetter, records: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """List the lines of the log about these records, and about the last invocation."""
    if isinstance(reader, Pipe):
        return _log_of_pipe(stack, reader, letter)
    events = {change_in(record).get("eventID") for record in records} - {None}
    request = letter.document.get("requestContext", {}).get("requestId")
    logs = stack.client("logs")
    log = LogReader(logs, function=reader.name, group=reader.log_group, since=letter.at - LOG_SECONDS)
    found: list[dict[str, Any]] = []
    try:
        for line in log.new():
            about = line.members.get("eventId") in events if line.members.get("eventId") else line.request_id == request
            if about and line.kind in ("failure", "parked", "log") and line.at <= letter.at + 1:
                found.append({"at": line.at, "requestId": line.request_id, "text": line.text})
    except logs.exceptions.ResourceNotFoundException:
        return []
    return found


def _log_of_pipe(stack: Stack, pipe: Pipe, letter: DeadLetter) -> list[dict[str, Any]]:
    """List the last errors that a pipe logged before a dead letter: its log names no records."""
    if pipe.log_group is None:
        return []
    logs = stack.client("logs")
    log = LogReader(logs, function=pipe.name, group=pipe.log_group, since=letter.at - LOG_SECONDS)
    last: deque[dict[str, Any]] = deque(maxlen=LAST_ERRORS)
    try:
        for line in log.new():
            if "error" in line.members and line.at <= letter.at + 1:
                last.append({"at": line.at, "requestId": line.request_id, "text": line.text})
    except logs.exceptions.ResourceNotFoundException:
        return []
    return list(last)
