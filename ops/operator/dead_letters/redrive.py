"""Redrives dead letters: each record goes to the one consumer that gave it up, in the order of its item."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal

from aws_semantics.event_patterns import matches
from ops.operator.consumers import Consumer
from ops.operator.dead_letters.letters import (
    DeadLetter,
    Outcome,
    Receipt,
    change_in,
    event_id_of,
    has_key,
    key_text,
    keys_of,
)
from ops.operator.dead_letters.pointers import Forgotten, NotReadable, read_range
from ops.operator.stack import Stack

Record = Mapping[str, Any]
#: Stands between a change's event id and the number of the redrive in a deduplication id.
_REDRIVE = "#redrive-"
Stale = Literal["apply", "skip"]


@dataclass(frozen=True)
class Result:
    """The result for one dead letter.

    Attributes:
        letter: The dead letter.
        outcome: What became of it; `held back` if an older change of one of its items failed, `planned` in a dry run.
        records: Records that were redriven, or would be.
        stale: Keys of the records that are older than the item is now.
        skipped: Records left out: filtered out by the mapping's patterns, or stale.
        note: The reason of a failure.
    """

    letter: DeadLetter
    outcome: Outcome | Literal["held back", "planned", "forgotten"]
    records: int = 0
    stale: Sequence[str] = ()
    skipped: int = 0
    note: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the result for programs."""
        return {
            "id": self.letter.id,
            "location": self.letter.location,
            "outcome": self.outcome,
            "records": self.records,
            "stale": list(self.stale),
            "skipped": self.skipped,
            "note": self.note,
        }


@dataclass
class Redrive:
    """One run over the dead letters of a consumer.

    Args:
        stack: The stack.
        consumer: The consumer that gave the records up.
        by: ARN of the caller, for receipts.
        stale: What to do with a record that is older than its item is now; by default it is applied where the
            consumer's effect ledger decides, and skipped where it has none.
        only: A key; records of other items stay where they are.
        dry_run: Whether to only say what would be done.
        pause: Called before each record's invocation, to limit the rate.
    """

    stack: Stack
    consumer: Consumer
    by: str
    stale: Stale | None = None
    only: str | None = None
    dry_run: bool = True
    pause: Callable[[], None] = lambda: None
    _blocked: set[str] = field(default_factory=set[str])

    def run(self, letters: Iterable[DeadLetter], settle: Callable[[DeadLetter, Receipt], None]) -> Iterator[Result]:
        """Redrive dead letters in their order; each receipt is written when its records are done."""
        for letter in letters:
            if not letter.waits:
                continue
            result = self._redrive(letter, settle)
            if result is not None:
                yield result

    def _redrive(self, letter: DeadLetter, settle: Callable[[DeadLetter, Receipt], None]) -> Result | None:
        try:
            records = self._records(letter)
        except Forgotten as forgotten:
            return Result(letter, "forgotten", note=str(forgotten))
        except NotReadable as reason:
            return Result(letter, "failed", note=str(reason))
        done = set(letter.receipt.done if letter.receipt else ())
        left = [record for record in records if event_id_of(record) not in done]
        chosen = [record for record in left if self.only is None or has_key(record, self.only)]
        if self.only is not None and not chosen:
            return None
        wanted = [record for record in chosen if self._passes(record)]
        stale = self._stale(wanted)
        if stale and self._skips_stale:
            wanted = [record for record in wanted if key_text(keys_of(record)) not in stale]
        result = Result(letter, "planned", len(wanted), sorted(stale), len(chosen) - len(wanted))
        if self.dry_run:
            return result
        free = [record for record in wanted if key_text(keys_of(record)) not in self._blocked]
        if wanted and not free:
            return replace(result, outcome="held back", records=0, note="an older change of the item failed")
        gone, note = self._send(free)
        settled_here = {event_id_of(record) for record in chosen if record not in wanted} | {*gone}
        complete = {event_id_of(record) for record in left} <= settled_here
        outcome: Outcome = "applied" if complete else "partial" if settled_here | done else "failed"
        if complete and self.consumer.reads_queue:
            outcome = "queued"
        settle(letter, self._receipt(letter, outcome, sorted(done | settled_here), note))
        return replace(result, outcome=outcome, records=len(gone), note=note)

    def _records(self, letter: DeadLetter) -> Sequence[Record]:
        if letter.records is not None:
            return letter.records
        if letter.failure.batch is None or not letter.failure.batch.size:
            return []
        return read_range(self.stack.client("dynamodbstreams"), letter.failure.batch)

    def _passes(self, record: Record) -> bool:
        """Return whether the mapping would pass the record on; a pointer's range holds filtered-out records too."""
        patterns = self.consumer.patterns
        return not patterns or self.consumer.reads_queue or any(matches(pattern, record) for pattern in patterns)

    @property
    def _skips_stale(self) -> bool:
        return self.stale == "skip" or (self.stale is None and not self.consumer.guarded)

    def _stale(self, records: Sequence[Record]) -> set[str]:
        """Find the items, by their keys as text, that have a newer version now than the record has."""
        versions: dict[str, dict[str, int]] = {}
        wanted: dict[str, dict[str, Mapping[str, Any]]] = {}
        for record in records:
            table, version = table_of(record), version_of(record)
            if table and version is not None:
                keys = keys_of(record)
                versions.setdefault(table, {})[key_text(keys)] = version
                wanted.setdefault(table, {})[key_text(keys)] = keys
        found: set[str] = set()
        dynamodb = self.stack.client("dynamodb") if wanted else None
        for table, keys in wanted.items():
            for key, item in items_of(dynamodb, table, keys).items():
                present = item.get("version", {}).get("N")
                if present is not None and int(present) > versions[table][key]:
                    found.add(key)
        return found

    def _send(self, records: Sequence[Record]) -> tuple[list[str], str]:
        """Send records; returns the event ids of those that are done, and why the others are not."""
        if self.consumer.reads_queue:
            return self._enqueue(records)
        done: list[str] = []
        note = ""
        left = list(records)
        while left:
            self.pause()
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
            self._blocked.add(key_text(keys_of(left[at])))
            left = [record for record in left[at + 1 :] if key_text(keys_of(record)) not in self._blocked]
        return done, note

    def _invoke(self, records: Sequence[Record]) -> tuple[str | None, str]:
        """Invoke the function with records; returns the record that it reports, and the reason, empty on success."""
        event = {"origin": "replay", "Records": list(records)}
        answer = self.stack.client("lambda").invoke(
            FunctionName=self.consumer.mapping["FunctionArn"], Payload=json.dumps(event)
        )
        content = json.loads(answer["Payload"].read() or b"null")
        if "FunctionError" in answer:
            error = content if isinstance(content, dict) else {}
            return None, f"{error.get('errorType', answer['FunctionError'])}: {error.get('errorMessage', '')}"
        reported = content.get("batchItemFailures", []) if isinstance(content, dict) else []
        if not reported:
            return None, ""
        identifier = reported[0].get("itemIdentifier", "")
        matching = [event_id_of(r) for r in records if identifier in (event_id_of(r), _sequence(r))]
        return (matching or [event_id_of(records[0])])[0], "the function reported the record; its log has the exception"

    def _enqueue(self, records: Sequence[Record]) -> tuple[list[str], str]:
        """Send messages to the queue that the consumer reads, under a deduplication id of their own."""
        sqs = self.stack.client("sqs")
        url = sqs.get_queue_url(QueueName=self.consumer.source.rpartition(":")[2])["QueueUrl"]
        for record in records:
            self.pause()
            attributes = record.get("attributes", {})
            fifo: dict[str, str] = {}
            if self.consumer.source.endswith(".fifo"):
                # SQS swallows an id that it has seen within five minutes, so each redrive has one of its own.
                former = attributes.get("MessageDeduplicationId") or record.get("messageId", "")
                identity, _, attempt = former.partition(_REDRIVE)
                fifo = {
                    "MessageGroupId": attributes.get("MessageGroupId", identity),
                    "MessageDeduplicationId": f"{identity}{_REDRIVE}{int(attempt or 0) + 1}",
                }
            sqs.send_message(QueueUrl=url, MessageBody=record["body"], **fifo)
        return [event_id_of(record) for record in records], ""

    def _receipt(self, letter: DeadLetter, outcome: Outcome, done: Sequence[str], note: str) -> Receipt:
        attempt = 1 + (letter.receipt.attempt if letter.receipt else 0)
        return Receipt(outcome, now_text(), self.by, attempt, done, note)


def now_text() -> str:
    """Return the present time as receipts have it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def caller_of(stack: Stack) -> str:
    """Return the ARN of the caller."""
    return stack.client("sts").get_caller_identity()["Arn"]


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


def count_outcomes(results: Iterable[Result]) -> Counter[str]:
    """Count results by their outcome."""
    return Counter(result.outcome for result in results)


def _sequence(record: Record) -> str:
    return str(record.get("dynamodb", {}).get("SequenceNumber", ""))
