"""The reconciler: walks one segment of a table, and sends to each consumer the items whose effects are missing.

A backfill may read exports of the table in its place; a segment of them is every nth file.

A state machine runs one such walk per segment (components/table_walk.py). An invocation goes on for as long as its time
lasts and answers with its event brought up to date, which is the event of the next one. So nothing is kept between
invocations, and one that is repeated only sends messages that the queues or the consumers' own guards drop.

It reads the table or its exports, the effect ledger and the rows of projections, and writes to the consumers' queues,
the report and, for items that no message holds, the claim checks. It brings about nothing itself.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, NamedTuple

from handlers.cdc import claim_check, metrics
from handlers.cdc.attribute_values import decode, encode
from handlers.cdc.bounded_client import BoundedClient
from handlers.cdc.clients import client
from handlers.cdc.consumer import Consumer
from handlers.cdc.expectations import Expected, Place
from handlers.cdc.exports import (
    ExportReader,
    ExportRefused,
    check_lead,
    check_of_table,
    described,
    files_of,
    window_record,
)
from handlers.cdc.image import Image
from handlers.cdc.invocation import LambdaContext, remaining_seconds, running
from handlers.cdc.message_groups import MESSAGE_BYTES, group_of
from handlers.cdc.snapshot import json_wire, snapshot_message, snapshot_record

#: Items of one page, and keys of one BatchGetItem.
PAGE_ITEMS: Final = 100
#: Seconds kept back for the second look, the messages and the report.
RESERVE_SECONDS: Final = 20.0
#: Items for consumers after which an invocation ends its part: what is kept back has to suffice to send them.
MOST_SUSPECTS: Final = 1_000
_MESSAGES_PER_CALL: Final = 10

#: A place as a key of a dictionary: the table's variable, and the decoded key.
_Located = tuple[str, frozenset[tuple[str, Any]]]

dynamodb = BoundedClient("dynamodb")
sqs = client("sqs")
s3 = client("s3")


@dataclass(frozen=True)
class Target:
    """A consumer that gets what it misses.

    Attributes:
        name: Its name in the program.
        consumer: Its handler.
        queue_url: URL of its queue.
    """

    name: str
    consumer: Consumer
    queue_url: str


class Entry(NamedTuple):
    """An item of the table or of a full export, or one that changed within an incremental export.

    Attributes:
        item: The item in wire format, for a delete as it was before.
        change: The line of an incremental export; `None` for an item.
    """

    item: Mapping[str, Any]
    change: Mapping[str, Any] | None = None


@dataclass
class Missing:
    """An item that a consumer has to process.

    Attributes:
        target: The consumer.
        item: The item in wire format.
        expected: The effects and rows that are missing; none where every item is sent.
        uncertain: Effects whose outcome no one knows; they are reported and not repeated.
        seen: Time at which it was found, in seconds of the process's clock.
        always: Whether it is sent whatever is expected.
        change: The line of an incremental export that it comes from.
    """

    target: Target
    item: Mapping[str, Any]
    expected: list[Expected] = field(default_factory=list[Expected])
    uncertain: list[Expected] = field(default_factory=list[Expected])
    seen: float = 0.0
    always: bool = False
    change: Mapping[str, Any] | None = None


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Walk over a segment for as long as the invocation lasts.

    Args:
        event: `table`, `keys` (names of its key), `consumers` (by name: `entryPoint`, `queueUrl`), `reports` (a
            bucket), `itemsPerSecond`, `settleSeconds`, `purpose` (`reconcile` or `backfill`), `dryRun`, `run` (name of
            this walk), `segment`, `segments`, `cursor`, and the results so far. `exports` has the exports that are read
            in the table's place; with `check` they are ARNs, and are looked at alone.
        context: Lambda's context.

    Returns:
        The event with the new `cursor`, `done`, and the results so far: `checked`, and by consumer `missing`,
        `uncertain` and `sent`. With `check`, the exports in the order of their times.

    Raises:
        ExportRefused: An export is damaged, or cannot restore what its consumers miss.
    """
    with running(context) as invocation:
        if event.get("check"):
            return {"exports": _checked(event)}
        walk = Walk(event)
        try:
            return walk.run()
        finally:
            metrics.emit(invocation.counts)


class Walk:
    """One invocation's part of the walk over a segment.

    Args:
        event: As for `handler`.
        clock: Seconds of a clock that never goes back.
        now: Seconds since 1970.
        sleep: Waits for a number of seconds.
    """

    def __init__(
        self,
        event: Mapping[str, Any],
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._event = event
        self._clock, self._now, self._sleep = clock, now, sleep
        self._targets = [
            Target(name, _consumer(each["entryPoint"]), each["queueUrl"]) for name, each in event["consumers"].items()
        ]
        self._is_backfill = event["purpose"] == "backfill"
        self._history: dict[str, int] = {}
        exports = event.get("exports")
        self._exports = ExportReader(exports, event["segment"], event["segments"], s3) if exports else None
        self._results: dict[str, dict[str, int]] = {
            name: dict(event.get(name, {})) for name in ("missing", "uncertain", "sent")
        }
        self._lines: list[str] = []

    def run(self) -> dict[str, Any]:
        """Walk, send and report, as `handler` describes."""
        event, checked, suspects = self._event, 0, list[Missing]()
        cursor = event.get("cursor")
        while True:
            began = self._clock()
            page, cursor = self._page(cursor)
            found = [each for entry in page for each in self._found(entry, began)]
            self._look_up(found)
            suspects += [each for each in found if each.expected or each.uncertain or each.always]
            checked += len(page)
            if cursor is None or len(suspects) >= MOST_SUSPECTS or not self._has_time():
                break
            self._sleep(max(0.0, len(page) / event["itemsPerSecond"] - (self._clock() - began)))
        part = int(event.get("part", 0))
        confirmed = suspects if self._is_backfill else self._confirmed(suspects)
        self._settle(confirmed)
        self._report(part)
        metrics.count("Checked", checked)
        return {
            **event,
            "cursor": cursor,
            "done": cursor is None,
            "part": part + 1,
            "checked": event.get("checked", 0) + checked,
            **self._results,
        }

    def _page(self, cursor: Mapping[str, Any] | None) -> tuple[list[Entry], Mapping[str, Any] | None]:
        """Return the next items, and the cursor after them; `None` at the end."""
        if self._exports is not None:
            lines, after = self._exports.page(cursor, PAGE_ITEMS)
            return [_entry(line) for line in lines], after
        where = {} if cursor is None else {"ExclusiveStartKey": _from_json(cursor)}
        page = dynamodb.scan(
            TableName=self._event["table"],
            Segment=self._event["segment"],
            TotalSegments=self._event["segments"],
            Limit=PAGE_ITEMS,
            ConsistentRead=True,
            **where,
        )
        after = page.get("LastEvaluatedKey")
        return [Entry(item) for item in page["Items"]], None if after is None else json_wire(after)

    def _found(self, entry: Entry, seen: float) -> Iterator[Missing]:
        image = Image(json_wire(entry.item))
        for target in self._targets:
            # Rows of a former key are implied by nothing, so a change is sent though a present row may be there.
            expected = target.consumer.expected(image) if entry.change is None else []
            always = self._is_backfill and (entry.change is not None or not target.consumer.has_expectations)
            if expected or always:
                yield Missing(target, entry.item, expected, seen=seen, always=always, change=entry.change)

    def _look_up(self, found: Sequence[Missing]) -> None:
        """Keep of the expectations those that are not met."""
        entries = self._entries([place for each in found for expected in each.expected for place in expected.places])
        now = self._now()
        for each in found:
            states = [
                (expected, expected.state([entries.get(_located(place)) for place in expected.places], now))
                for expected in each.expected
            ]
            each.expected = [expected for expected, state in states if state == "missing"]
            each.uncertain = [expected for expected, state in states if state == "uncertain"]

    def _entries(self, places: Iterable[Place]) -> dict[_Located, Mapping[str, Any]]:
        entries: dict[_Located, Mapping[str, Any]] = {}
        by_table: dict[str, dict[_Located, Place]] = {}
        for place in places:
            by_table.setdefault(place.variable, {})[_located(place)] = place
        for variable, wanted in by_table.items():
            sample = next(iter(wanted.values()))
            for item in self._read(_table(variable), [each.key for each in wanted.values()]):
                entries[_located(Place(variable, {name: item[name] for name in sample.key}))] = item
        return entries

    def _read(self, table: str, keys: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
        waiting = list(keys)
        pause = 0.05
        while waiting:
            request = {table: {"Keys": waiting[:PAGE_ITEMS], "ConsistentRead": True}}
            answer = dynamodb.batch_get_item(RequestItems=request)
            yield from answer["Responses"].get(table, [])
            unread = answer.get("UnprocessedKeys", {}).get(table, {}).get("Keys", [])
            waiting = [*unread, *waiting[PAGE_ITEMS:]]
            if unread:
                self._sleep(pause)
                pause = min(2 * pause, 1.0)

    def _confirmed(self, suspects: Sequence[Missing]) -> list[Missing]:
        """Look a second time: an effect may have been on its way, and the item may have changed since."""
        if not suspects:
            return []
        wait = self._event["settleSeconds"] - (self._clock() - max(each.seen for each in suspects))
        self._sleep(max(0.0, wait))
        keys = {self._key_text(each.item): self._key(each.item) for each in suspects}
        now_there = {self._key_text(item): item for item in self._read(self._event["table"], list(keys.values()))}
        again: list[Missing] = []
        for each in suspects:
            item = now_there.get(self._key_text(each.item))
            expected = [] if item is None else each.target.consumer.expected(Image(json_wire(item)))
            if item is not None and expected:
                again.append(Missing(each.target, item, expected))
        self._look_up(again)
        return [each for each in again if each.expected or each.uncertain]

    def _settle(self, found: Sequence[Missing]) -> None:
        """Count, note and send what is missing."""
        to_send: dict[Target, list[Missing]] = {}
        for each in found:
            name = each.target.name
            is_sent = not self._event["dryRun"] and bool(each.expected or each.always)
            if is_sent:
                to_send.setdefault(each.target, []).append(each)
            self._count("missing", name, len(each.expected) or int(each.always))
            self._count("uncertain", name, len(each.uncertain))
            for state, expected in (("missing", each.expected), ("uncertain", each.uncertain)):
                self._lines += [self._line(each, one.name, state, is_sent) for one in expected]
            if each.change is not None:
                self._lines.append(self._line(each, None, "changed", is_sent))
        for target, items in to_send.items():
            self._send(target, items)
            self._count("sent", target.name, len(items))
        metrics.count("Missing", sum(len(each.expected) for each in found))

    def _count(self, result: str, name: str, number: int) -> None:
        if number:
            counts = self._results[result]
            counts[name] = counts.get(name, 0) + number

    def _line(self, each: Missing, name: str | None, state: str, is_sent: bool) -> str:
        line = {
            "consumer": each.target.name,
            "keys": json_wire(self._key(each.item)),
            "expected": name,
            "state": state,
            "sent": is_sent and state != "uncertain",
        }
        return json.dumps(line, separators=(",", ":"))

    def _send(self, target: Target, items: Sequence[Missing]) -> None:
        until = self._history_until(target) if self._is_backfill else None
        call: list[dict[str, str]] = []
        size = 0
        for each in items:
            record = self._record(each, until)
            identity = f"{self._event['run']}#{target.name}#{record['eventID']}"
            digest = hashlib.sha256(identity.encode()).hexdigest()
            body = snapshot_message(record, origin="snapshot" if each.change is None else "export")
            if len(body) > MESSAGE_BYTES:
                body = json.dumps({"claimCheck": claim_check.put(digest, body)})
            if call and (len(call) == _MESSAGES_PER_CALL or size + len(body) > MESSAGE_BYTES):
                _send_batch(target, call)
                call, size = [], 0
            call.append(
                {
                    "Id": str(len(call)),
                    "MessageBody": body,
                    # The same group as the item's changes have, so that they keep their order.
                    "MessageGroupId": group_of(record["dynamodb"]["Keys"]),
                    "MessageDeduplicationId": digest,
                }
            )
            size += len(body)
        if call:
            _send_batch(target, call)

    def _record(self, each: Missing, history_until: int | None) -> dict[str, Any]:
        table = self._event["table"]
        if each.change is not None and history_until is not None:
            return window_record(each.change, table=table, history_until=history_until)
        return snapshot_record(each.item, self._event["keys"], table=table, history_until=history_until)

    def _history_until(self, target: Target) -> int:
        if target.name not in self._history:
            self._history[target.name] = _subscribed(target.queue_url)
        return self._history[target.name]

    def _report(self, part: int) -> None:
        if not self._lines:
            return
        event = self._event
        s3.put_object(
            Bucket=event["reports"],
            Key=f"{event['run']}/{event['segment']:04d}-{part:04d}.jsonl",
            Body="\n".join([*self._lines, ""]).encode(),
            ContentType="application/jsonl",
        )

    def _key(self, item: Mapping[str, Any]) -> dict[str, Any]:
        return {name: item[name] for name in self._event["keys"]}

    def _key_text(self, item: Mapping[str, Any]) -> str:
        return json.dumps(json_wire(self._key(item)), sort_keys=True)

    def _has_time(self) -> bool:
        left = remaining_seconds()
        return left is None or left > RESERVE_SECONDS + self._event["settleSeconds"]


def _checked(event: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the exports that a run names, once they are known to be what its consumers can be fed."""
    table, consumers = event["table"], event["consumers"]
    arns: Any = event["exports"]
    if not isinstance(arns, list) or not all(isinstance(each, str) for each in arns):
        raise ExportRefused(f"exports is {arns!r}: write a list of ARNs of exports")
    found: list[Any] = []
    table_id = dynamodb.describe_table(TableName=table)["Table"]["TableId"]
    for arn in dict.fromkeys(arns):
        check_of_table(arn, table)
        description = dynamodb.describe_export(ExportArn=arn)["ExportDescription"]
        found.append(described(description, table=table, table_id=table_id, within=event["exportsIn"]))
    windows = [each.arn for each in found if each.begins is not None]
    refused = [f"{name} {each['notFromWindows']}" for name, each in consumers.items() if each.get("notFromWindows")]
    if windows and refused:
        raise ExportRefused(
            f"{windows[0]} has each item once, with its state before the window and after it: of A, B, C it has A and "
            f"C, so that what happened at B cannot be restored, and {'; '.join(refused)}. Take it out of the "
            "backfill's consumers, or feed it from the fan-out's archive or from Kinesis (docs/guides/backfill.md)"
        )
    exports = check_lead(found, {name: _subscribed(each["queueUrl"]) for name, each in consumers.items()})
    checked = [asdict(each) for each in exports]
    for each in checked:
        files_of(each, s3)
    return checked


def _subscribed(queue_url: str) -> int:
    """Return the time since which a consumer gets changes: that of its queue."""
    answer = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["CreatedTimestamp"])
    return int(answer["Attributes"]["CreatedTimestamp"])


def _entry(line: Mapping[str, Any]) -> Entry:
    if "Item" in line:
        return Entry(line["Item"])
    return Entry(line.get("NewImage") or line.get("OldImage") or line["Keys"], line)


def _send_batch(target: Target, entries: Sequence[Mapping[str, str]]) -> None:
    answer = sqs.send_message_batch(QueueUrl=target.queue_url, Entries=entries)
    if refused := answer.get("Failed"):
        codes = ", ".join(sorted({each["Code"] for each in refused}))
        raise RuntimeError(f"{len(refused)} items were not sent to {target.name}: {codes}")


def _consumer(entry_point: str) -> Consumer:
    module, _, name = entry_point.rpartition(".")
    return getattr(importlib.import_module(module), name)


def _table(variable: str) -> str:
    name = os.environ.get(variable)
    if not name:
        raise RuntimeError(
            f"{variable} is not set, which names a table that a consumer expects something in: give the reconciliation "
            "access=[…] to read it"
        )
    return name


def _located(place: Place) -> _Located:
    # Decoded, since numbers that are equal may be written differently.
    return place.variable, frozenset((name, decode(value)) for name, value in place.key.items())


def _from_json(key: Mapping[str, Any]) -> dict[str, Any]:
    return {name: encode(decode(value), binary=bytes) for name, value in key.items()}
