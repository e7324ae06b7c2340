"""`weir dead-letters list | show | redrive | drop`."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ops.operator.options import (
    AsJson,
    Iam,
    OneReader,
    ReaderName,
    StackName,
    StateFile,
    duration,
    fail,
    moment,
    print_policy,
    reports_errors,
    to_do_it,
)

if TYPE_CHECKING:
    from ops.operator.dead_letters.letters import DeadLetter
    from ops.operator.dead_letters.stores import Store
    from ops.operator.pipes import Reader
    from ops.operator.stack import Stack

Only = Annotated[str | None, typer.Option("--only", metavar="KEY", help="Only records of one item, e.g. userId=bob.")]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="Stop after this many dead letters.")]
#: Invocations or messages per second unless told otherwise.
REDRIVES_PER_SECOND = 10.0

Yes = Annotated[bool, typer.Option("--yes", help="Do it; without, the command only says what it would do.")]

dead_letters = typer.Typer(
    help="Show, redrive and drop the records that consumers and pipes gave up.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@dead_letters.command("list")
@reports_errors
def list_(
    consumer: ReaderName = None,
    settled: Annotated[bool, typer.Option("--all", help="Include those that were redriven or dropped.")] = False,
    only: Only = None,
    limit: Limit = None,
    stack: StackName = None,
    state: StateFile = None,
    as_json: AsJson = False,
    iam: Iam = False,
) -> None:
    """List dead letters, oldest first: when, why, the keys of their items, and until when they can be redriven.

    Contents are never printed; `weir dead-letters show` prints them. A queue is read by receiving its messages, which
    hides them from others for the time of the listing.

    Example: weir dead-letters list welcome-email -s prod

    Exits 0 if none waits, 1 if some do, 2 if the stack cannot be read.
    """
    from ops.operator.dead_letters.letters import is_key

    found, readers = _open(stack, state, consumer)
    if iam:
        print_policy("dead-letters list", readers)
    table = Table("consumer", "given up", "why", "items", "deadline", "state", "id")
    waiting = shown = 0
    for each in readers:
        if limit is not None and shown >= limit:
            break
        with _letters(found, each, settled=settled) as letters:
            for letter, _ in letters:
                keys = _keys(found, letter)
                if only is not None and not any(is_key(text, only) for text in keys):
                    continue
                waiting += letter.waits
                shown += 1
                if as_json:
                    typer.echo(json.dumps(_summary(each, letter, keys)))
                else:
                    table.add_row(
                        each.name,
                        moment(letter.at),
                        _why(letter),
                        ", ".join(keys[:3]) + (f" and {len(keys) - 3} more" if len(keys) > 3 else ""),
                        moment(letter.deadline),
                        letter.receipt.outcome if letter.receipt else "waits",
                        letter.id,
                    )
                if limit is not None and shown >= limit:
                    break
    if not as_json:
        if shown:
            Console().print(table)
        typer.echo(f"{waiting} wait" if waiting != 1 else "1 waits")
    raise typer.Exit(1 if waiting else 0)


@dead_letters.command()
@reports_errors
def show(
    letter_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the dead letter, as `list` prints it.")],
    stack: StackName = None,
    state: StateFile = None,
    as_json: AsJson = False,
    iam: Iam = False,
) -> None:
    """Show one dead letter: each record beside the item as it is now, and the log of its attempts.

    Prints the content of items, which may be personal data.

    Example: weir dead-letters show discarded/welcome-email/4f0c.json -s prod
    """
    from ops.operator.dead_letters.detail import detail_of

    found, readers = _open(stack, state, None)
    if iam:
        print_policy("dead-letters show", readers)
    for each in readers:
        with _letters(found, each, settled=True) as letters:
            for letter, _ in letters:
                if letter.id == letter_id:
                    shown = detail_of(found, each, letter)
                    if as_json:
                        typer.echo(json.dumps(shown, indent=2))
                    else:
                        _print_detail(each, letter, shown)
                    return
    fail(f"there is no dead letter {letter_id!r}: `weir dead-letters list --all{found.option}` prints the ids")


@dead_letters.command()
@reports_errors
def redrive(
    consumer: OneReader,
    only: Only = None,
    limit: Limit = None,
    stale: Annotated[
        Literal["apply", "skip"] | None,
        typer.Option(
            help="Records that are older than their item is now: by default applied where the consumer has an effect "
            "ledger, which decides, and skipped where it has none."
        ),
    ] = None,
    rate: Annotated[
        float, typer.Option(min=0.01, max=1000, help="Invocations or messages per second.")
    ] = REDRIVES_PER_SECOND,
    yes: Yes = False,
    stack: StackName = None,
    state: StateFile = None,
    as_json: AsJson = False,
    iam: Iam = False,
) -> None:
    """Send the dead letters of a consumer or a pipe through it again, oldest first and in the order of each item.

    Without --yes it only says what it would do. A record goes to the one consumer that gave it up and through its
    effect ledger, so a repeat is harmless. A pipe's goes to the queue that the pipe reads, or, where it reads a stream,
    through its filter, enrichment and template to its target, with your credentials. A record that fails stays where
    it is, and newer changes of its item wait behind it. Each success leaves a receipt, and the dead letter no longer
    counts as waiting. Stopped at any moment, it loses nothing; run it again to go on.

    Example: weir dead-letters redrive welcome-email --yes -s prod

    Exits 0 if every dead letter is done, 1 if some still wait, 2 if the stack cannot be read.
    """
    from ops.operator.dead_letters.redrive import Redrive, Result, caller_of
    from ops.operator.pipes import Pipe
    from ops.operator.sending import limit_rate

    found, readers = _open(stack, state, consumer)
    if iam:
        print_policy("dead-letters redrive", readers)
    (one,) = readers
    if isinstance(one, Pipe) and one.problem:
        fail(one.problem)
    run = Redrive(
        found,
        one,
        caller_of(found),
        stale=stale,
        only=only,
        dry_run=not yes,
        pause=limit_rate(rate),
    )
    console = Console(stderr=True)
    counts: Counter[str] = Counter()
    began = time.monotonic()
    with console.status("redrive") as status, _letters(found, one, settled=False) as letters:
        for letter, store in letters:
            result: Result
            for result in run.run([letter], store.settle):
                counts[result.outcome] += 1
                status.update(f"redrive: {sum(counts.values())} dead letters, {_counted(counts)}")
                if as_json:
                    typer.echo(json.dumps(result.as_json()))
                elif result.outcome not in ("applied", "queued", "planned") or result.stale:
                    typer.echo(_line(result))
            if limit is not None and sum(counts.values()) >= limit:
                break
    seconds = time.monotonic() - began
    total = sum(counts.values())
    if not as_json:
        typer.echo(f"{total} dead letters: {_counted(counts) or 'nothing to do'}, in {seconds:.1f} s")
        if not yes and total:
            typed = {
                "--only": only,
                "--limit": limit,
                "--stale": stale,
                "--rate": None if rate == REDRIVES_PER_SECOND else rate,
            }
            typer.echo(to_do_it(f"weir dead-letters redrive {consumer}", typed, found.option))
    left = total - counts["applied"] - counts["queued"]
    raise typer.Exit(1 if left else 0)


@dead_letters.command()
@reports_errors
def drop(
    consumer: OneReader,
    letter_id: Annotated[str | None, typer.Argument(metavar="[ID]", help="One dead letter; all if left out.")] = None,
    reason: Annotated[str, typer.Option(help="The reason, for the receipt.")] = "",
    only: Only = None,
    yes: Yes = False,
    stack: StackName = None,
    state: StateFile = None,
    as_json: AsJson = False,
    iam: Iam = False,
) -> None:
    """Let dead letters no longer count as waiting, without redriving them.

    Those in a bucket stay there with a receipt until the bucket's lifecycle removes them; those in a queue are deleted.

    Example: weir dead-letters drop welcome-email --only userId=bob --reason "account closed" --yes
    """
    from ops.operator.dead_letters.letters import Receipt
    from ops.operator.dead_letters.redrive import caller_of, now_text

    found, readers = _open(stack, state, consumer)
    if iam:
        print_policy("dead-letters drop", readers)
    (one,) = readers
    by = caller_of(found)
    dropped = 0
    with _letters(found, one, settled=False) as letters:
        for letter, store in letters:
            if letter_id not in (None, letter.id) or (only is not None and not _all_match(letter, only)):
                continue
            dropped += 1
            if yes:
                attempt = letter.receipt.attempt if letter.receipt else 0
                store.settle(letter, Receipt("dropped", now_text(), by, attempt, (), reason))
            if as_json:
                typer.echo(json.dumps(_summary(one, letter, []) | {"outcome": "dropped" if yes else "planned"}))
    if not as_json:
        typer.echo(f"{dropped} {'dropped' if yes else 'would be dropped; add --yes to do it'}")
    if letter_id is not None and not dropped:
        fail(f"{consumer} has no waiting dead letter {letter_id!r}")


def _open(stack: str | None, state: Any, name: str | None) -> tuple[Stack, Sequence[Reader]]:
    from ops.operator.pipes import readers_of
    from ops.operator.stack import find

    found = find(stack, state)
    return found, readers_of(found, name)


@contextmanager
def _letters(stack: Stack, reader: Reader, *, settled: bool) -> Generator[Iterator[tuple[DeadLetter, Store]]]:
    """Open the dead letters of a reader, each with its store; give back at the end what reading has hidden."""
    from ops.operator.dead_letters.stores import stores_of

    stores = stores_of(stack, reader)

    def letters() -> Iterator[tuple[DeadLetter, Store]]:
        for store in stores:
            for letter in store.letters(settled=settled):
                yield letter, store

    try:
        yield letters()
    finally:
        for store in stores:
            store.close()
            for each in store.unreadable:
                left_alone = f"{each} is neither a failure document nor a message of {reader.name}, and is left alone"
                typer.secho(left_alone, fg="yellow", err=True)


def _keys(stack: Stack, letter: DeadLetter) -> Sequence[str]:
    """Return the keys of a dead letter's items as text; a pointer's are read from the stream."""
    from ops.operator.dead_letters.letters import key_text, keys_of
    from ops.operator.dead_letters.pointers import Forgotten, NotReadable, read_range

    records = letter.records
    if records is None:
        batch = letter.failure.batch
        if batch is None or not batch.size:
            return []
        try:
            records = read_range(stack.client, batch)
        except Forgotten:
            return [f"{batch.size} forgotten"]
        except NotReadable:
            return [f"{batch.size} records"]
    return [key for key in dict.fromkeys(key_text(keys_of(record)) for record in records) if key]


def _all_match(letter: DeadLetter, key: str) -> bool:
    from ops.operator.dead_letters.letters import has_key

    return bool(letter.records) and all(has_key(record, key) for record in letter.records or ())


def _why(letter: DeadLetter) -> str:
    return letter.failure.reason or letter.failure.condition


def _summary(reader: Reader, letter: DeadLetter, keys: Sequence[str]) -> dict[str, Any]:
    return {
        "consumer": reader.name,
        "id": letter.id,
        "location": letter.location,
        "at": letter.at,
        "condition": letter.failure.condition,
        "reason": letter.failure.reason,
        "keys": list(keys),
        "deadline": letter.deadline,
        "waits": letter.waits,
        "receipt": None if letter.receipt is None else json.loads(letter.receipt.as_json()),
    }


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))


def _line(result: Any) -> str:
    parts = [f"{result.outcome}: {result.letter.location}"]
    if result.stale:
        parts.append(f"older than the item is now: {', '.join(result.stale)}")
    if result.note:
        parts.append(result.note)
    return "; ".join(parts)


def _print_detail(reader: Reader, letter: DeadLetter, shown: Mapping[str, Any]) -> None:
    console = Console()
    console.print(Text(f"{reader.name}  {letter.location}", style="bold"), soft_wrap=True)
    console.print(Text(f"given up {moment(letter.at)}: {_why(letter)}"), soft_wrap=True)
    if letter.deadline is not None:
        left = duration(letter.deadline - time.time())
        console.print(Text(f"can be redriven until {moment(letter.deadline)}, for {left}"))
    for record in shown["records"]:
        table = Table("attribute", "old image", "new image", "item now", title=f"{record['eventName']} {record['key']}")
        for name, row in record["attributes"].items():
            style = "yellow" if row["differs"] else ""
            table.add_row(Text(name, style=style), *(Text(row[each] or "") for each in ("old", "new", "now")))
        console.print(table)
    for line in shown["log"]:
        console.print(Text(f"{moment(line['at'])}  {line['text']}"), soft_wrap=True)
    if shown["note"]:
        console.print(Text(shown["note"], style="yellow"), soft_wrap=True)
