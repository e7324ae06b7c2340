"""Redrives dead letters: each record goes to the one consumer or pipe that gave it up, in the order of its item."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

from ops.operator.dead_letters.letters import (
    DeadLetter,
    Outcome,
    Receipt,
    event_id_of,
    has_key,
    key_text,
    keys_of,
)
from ops.operator.dead_letters.pointers import Forgotten, NotReadable, read_range
from ops.operator.pipe_target import TargetSender
from ops.operator.pipes import Pipe, Reader
from ops.operator.sending import FunctionSender, QueueSender, Record, Sender, passes, stale_items
from ops.operator.stack import Stack

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
    """One run over the dead letters of a consumer or a pipe.

    Args:
        stack: The stack.
        reader: The consumer or pipe that gave the records up; a pipe without a `problem`.
        by: ARN of the caller, for receipts.
        stale: What to do with a record that is older than its item is now; by default it is applied where the
            consumer's effect ledger decides, and skipped where it has none.
        only: A key; records of other items stay where they are.
        dry_run: Whether to only say what would be done.
        pause: Called before each record's invocation, to limit the rate.
    """

    stack: Stack
    reader: Reader
    by: str
    stale: Stale | None = None
    only: str | None = None
    dry_run: bool = True
    pause: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        self._sender = _sender(self.stack, self.reader, self.pause)

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
        wanted = [record for record in chosen if passes(self.reader, record)]
        stale = stale_items(self.stack, wanted)
        if stale and self._skips_stale:
            wanted = [record for record in wanted if key_text(keys_of(record)) not in stale]
        result = Result(letter, "planned", len(wanted), sorted(stale), len(chosen) - len(wanted))
        if self.dry_run:
            return result
        free = [record for record in wanted if key_text(keys_of(record)) not in self._sender.blocked]
        if wanted and not free:
            return replace(result, outcome="held back", records=0, note="an older change of the item failed")
        gone, note = self._sender.send(free)
        settled_here = {event_id_of(record) for record in chosen if record not in wanted} | {*gone}
        complete = {event_id_of(record) for record in left} <= settled_here
        outcome: Outcome = "applied" if complete else "partial" if settled_here | done else "failed"
        if complete and self.reader.reads_queue:
            outcome = "queued"
        settle(letter, self._receipt(letter, outcome, sorted(done | settled_here), note))
        return replace(result, outcome=outcome, records=len(gone), note=note)

    def _records(self, letter: DeadLetter) -> Sequence[Record]:
        if letter.records is not None:
            return letter.records
        if letter.failure.batch is None or not letter.failure.batch.size:
            return []
        return read_range(self.stack.client, letter.failure.batch)

    @property
    def _skips_stale(self) -> bool:
        return self.stale == "skip" or (self.stale is None and not self.reader.guarded)

    def _receipt(self, letter: DeadLetter, outcome: Outcome, done: Sequence[str], note: str) -> Receipt:
        attempt = 1 + (letter.receipt.attempt if letter.receipt else 0)
        return Receipt(outcome, now_text(), self.by, attempt, done, note)


def _sender(stack: Stack, reader: Reader, pause: Callable[[], None]) -> Sender:
    """Return the way back to a reader."""
    if reader.reads_queue:
        return QueueSender(stack, reader.source, pause)
    if isinstance(reader, Pipe):
        return TargetSender(stack, reader, pause)
    return FunctionSender(stack, reader.mapping["FunctionArn"], pause)


def now_text() -> str:
    """Return the present time as receipts have it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def caller_of(stack: Stack) -> str:
    """Return the ARN of the caller."""
    return stack.client("sts").get_caller_identity()["Arn"]
