"""`weir reread`: a range of time from a table's stream, an archive or Kinesis, through one consumer again."""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import re
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console

from ops.operator.options import (
    AsJson,
    Iam,
    OneConsumer,
    StackName,
    StateFile,
    fail,
    moment,
    print_policy,
    reports_errors,
    to_do_it,
)

if TYPE_CHECKING:
    from ops.operator.consumers import Archive, Consumer
    from ops.operator.stack import Stack

    Records = Iterator[Mapping[str, Any]]

#: Records that go to the function in one invocation.
BATCH = 100
#: Reads of a shard per second: a shard serves five, and each mapping takes four.
READS_PER_SECOND = 1.0
#: Invocations per second unless told otherwise.
SENDS_PER_SECOND = 5.0

_AGO = re.compile(r"(\d+)\s*(s|min|h|d)")
_UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86_400}


@dataclass(frozen=True)
class Range:
    """A range of time, both ends in seconds since 1970."""

    start: float
    end: float

    def has(self, record: Mapping[str, Any]) -> bool:
        """Return whether a change was written within it."""
        return self.start <= record["dynamodb"]["ApproximateCreationDateTime"] <= self.end


@reports_errors
def reread(
    consumer: OneConsumer,
    start: Annotated[str, typer.Option("--from", help="Begin: 2h (ago), 30min, or 2026-01-31T08:30:00Z.")],
    end: Annotated[str | None, typer.Option("--to", help="End, written as the begin; now if left out.")] = None,
    stale: Annotated[
        Literal["apply", "skip"] | None,
        typer.Option(help="Records older than their item is now: as for `weir dead-letters redrive`."),
    ] = None,
    rate: Annotated[float, typer.Option(min=0.01, max=1000, help="Invocations per second.")] = SENDS_PER_SECOND,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without, the command only counts the records.")] = False,
    stack: StackName = None,
    state: StateFile = None,
    as_json: AsJson = False,
    iam: Iam = False,
) -> None:
    """Send the changes of a range of time through a consumer again, e.g. after the alarm `dropped` or an outage.

    Reads the table's stream from its oldest record, since a table's stream cannot be read from a time, once a second:
    its shards serve two readers, and this is one more for as long as it runs. A range that begins before the 24 hours
    of the stream comes from the archive of the consumer's fan-out, if its topic keeps one: by a queue and a
    subscription that exist for as long as the command runs, also for a dry run. A consumer of Kinesis gets the range
    from its own stream, which is read from the time. Records that the consumer's filter turns down are left out; the
    others go to its function in the order of their items, and through its effect ledger. The command says if the range
    begins before what stream, archive or Kinesis keep.

    Example: weir reread welcome-email --from 2h --yes -s prod

    Exits 0 if every record of the range is done, 1 if some are forgotten or failed, 2 if the stack cannot be read.
    """
    from ops.operator.consumers import consumers_of
    from ops.operator.dead_letters.stores import STREAM_RETENTION_SECONDS
    from ops.operator.permissions import FROM_ARCHIVE
    from ops.operator.sending import limit_rate
    from ops.operator.stack import find

    now = time.time()
    wanted = Range(_time(start, now), now if end is None else _time(end, now))
    if wanted.end <= wanted.start:
        fail(f"--to {end} is not after --from {start}")
    found = find(stack, state)
    (one,) = consumers_of(found, consumer)
    archive = one.archive if wanted.start < now - STREAM_RETENTION_SECONDS else None
    if iam:
        print_policy("reread" if archive is None else FROM_ARCHIVE, [one])
    read = one.source if one.reads_kinesis else one.stream
    if archive is not None:
        read = archive.topic
    if read is None:
        fail(
            f"{consumer} reads {one.source}, and neither its entry in the output `consumers` nor the output "
            "`streamArn` names its table's stream: export them as __main__.py does"
        )
    console = Console(stderr=True)
    counts: Counter[str] = Counter()
    run = _Reread(found, one, stale, limit_rate(rate) if yes else None)
    opened = _stream(found, one, read, wanted, now) if archive is None else _archive(found, archive, wanted)
    with console.status(f"read {read}") as status, opened as source:
        for outcome, count in run.outcomes(source.shards):
            counts[outcome] += count
            status.update(f"reread: {_counted(counts)}")
    forgotten = source.beginning if wanted.start < source.beginning else None
    if as_json:
        said = {"from": wanted.start, "to": wanted.end, "source": read}
        typer.echo(json.dumps({**said, "counts": counts, "forgottenUntil": forgotten}))
    else:
        typer.echo(f"{moment(wanted.start)} to {moment(wanted.end)}: {_counted(counts) or 'no records'}")
        for note in sorted(run.notes):
            typer.echo(note)
        if forgotten is not None:
            hours = round((now - forgotten) / 3600)
            typer.echo(
                f"The {source.name} keeps {hours} hours: what was written before {moment(forgotten)} is forgotten. "
                f"Compare the consumer's target with the table for it: weir reconcile{found.option}"
            )
        if not yes and counts["planned"]:
            typed = {
                "--from": _typed(wanted.start),
                "--to": None if end is None else _typed(math.ceil(wanted.end)),
                "--stale": stale,
                "--rate": None if rate == SENDS_PER_SECOND else rate,
            }
            typer.echo(to_do_it(f"weir reread {consumer}", typed, found.option))
    raise typer.Exit(1 if forgotten is not None or counts["failed"] or counts["planned"] else 0)


@dataclass(frozen=True)
class _Source:
    """A place that the range is read from.

    Attributes:
        name: Its name for people.
        beginning: Time before which it has forgotten what was written, in seconds since 1970.
        shards: The range's records of each shard.
    """

    name: str
    beginning: float
    shards: Iterator[Records]


@contextlib.contextmanager
def _archive(stack: Stack, archive: Archive, wanted: Range) -> Generator[_Source]:
    """Replay the archive of a fan-out's topic."""
    from ops.operator.archive import ArchiveReplay

    with ArchiveReplay(stack, archive, wanted.start) as replay:
        records = filter(wanted.has, replay.records())
        yield _Source("archive", replay.beginning, iter([records]))


@contextlib.contextmanager
def _stream(stack: Stack, consumer: Consumer, arn: str, wanted: Range, now: float) -> Generator[_Source]:
    """Read the table's stream, or the consumer's own of Kinesis."""
    from ops.operator.dead_letters.stores import stream_retention
    from ops.operator.sending import limit_rate

    pause = limit_rate(READS_PER_SECOND)
    shards = _of_kinesis(stack, arn, wanted, pause) if consumer.reads_kinesis else _of_table(stack, arn, wanted, pause)
    yield _Source("stream", now - stream_retention(stack, arn), shards)


def _of_kinesis(stack: Stack, stream: str, wanted: Range, pause: Callable[[], None]) -> Iterator[Records]:
    from ops.operator.kinesis_records import KinesisCursor, kinesis_shards

    kinesis = stack.client("kinesis")
    for shard in kinesis_shards(kinesis, stream):
        cursor = KinesisCursor(kinesis, stream, shard, wanted.start, pause)
        # Records are in the order of their arrival, and a shard may go on for ever.
        yield itertools.takewhile(lambda record: _arrived(record) <= wanted.end, cursor.new())


def _of_table(stack: Stack, stream: str, wanted: Range, pause: Callable[[], None]) -> Iterator[Records]:
    from ops.operator.dead_letters.pointers import Cursor, shards_of

    streams = stack.client("dynamodbstreams")
    for shard in shards_of(streams, stream):
        yield filter(wanted.has, Cursor(streams, stream, shard, pause=pause).new())


class _Reread:
    """One run. `pause` before each invocation makes it real; without, it only counts."""

    def __init__(
        self,
        stack: Stack,
        consumer: Consumer,
        stale: Literal["apply", "skip"] | None,
        pause: Callable[[], None] | None,
    ) -> None:
        from ops.operator.sending import FunctionSender

        self._stack = stack
        self._consumer = consumer
        self._skips_stale = stale == "skip" or (stale is None and not consumer.guarded)
        # Its function takes a stream's records whatever its mapping reads.
        self._sender = None if pause is None else FunctionSender(stack, consumer.mapping["FunctionArn"], pause)
        self.notes: set[str] = set()

    def outcomes(self, shards: Iterator[Records]) -> Iterator[tuple[str, int]]:
        """Send the records of each shard; yields outcomes and their counts."""
        for records in shards:
            batch: list[Mapping[str, Any]] = []
            for record in records:
                batch.append(record)
                if len(batch) >= BATCH:
                    yield from self._send(batch)
                    batch = []
            yield from self._send(batch)

    def _send(self, batch: list[Mapping[str, Any]]) -> Iterator[tuple[str, int]]:
        from ops.operator.dead_letters.letters import key_text, keys_of
        from ops.operator.sending import passes, stale_items

        wanted = [record for record in batch if passes(self._consumer, record)]
        yield "filtered out", len(batch) - len(wanted)
        if self._skips_stale and wanted:
            stale = stale_items(self._stack, wanted)
            fresh = [record for record in wanted if key_text(keys_of(record)) not in stale]
            yield "stale", len(wanted) - len(fresh)
            wanted = fresh
        if self._sender is None:
            yield "planned", len(wanted)
            return
        free = [record for record in wanted if key_text(keys_of(record)) not in self._sender.blocked]
        done, note = self._sender.send(free) if free else ([], "")
        if note:
            self.notes.add(note)
        yield "applied", len(done)
        yield "failed", len(wanted) - len(done)


def _arrived(record: Mapping[str, Any]) -> float:
    return record["kinesis"]["approximateArrivalTimestamp"]


def _time(text: str, now: float) -> float:
    if ago := _AGO.fullmatch(text.strip()):
        return now - int(ago[1]) * _UNITS[ago[2]]
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        fail(f"{text} is not a time: write 2h, 30min or 2026-01-31T08:30:00Z")
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def _typed(at: float) -> str:
    """Write a time as it is typed: a range of `2h` would be another one a minute later."""
    return moment(at).replace(" ", "T")


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count)
