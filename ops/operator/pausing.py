"""`weir pause` and `weir resume`: stop the reading of a consumer or a pipe, and start it again."""

from __future__ import annotations

import json
import math
import time
from typing import TYPE_CHECKING, Annotated

import typer

from ops.operator.options import (
    AsJson,
    Iam,
    OneReader,
    StackName,
    StateFile,
    duration,
    fail,
    print_policy,
    reports_errors,
)

if TYPE_CHECKING:
    from pathlib import Path

    from ops.operator.pipes import Reader
    from ops.operator.stack import Stack

#: States of a mapping and of a pipe that read.
_READING = ("Enabled", "RUNNING")
#: Seconds before the first record would be given up or forgotten in which a pause is refused.
NEAR_SECONDS = 3600


@reports_errors
def pause(
    consumer: OneReader,
    force: Annotated[bool, typer.Option("--force", help="Pause even if records would be lost within an hour.")] = False,
    stack: StackName = None,
    state: StateFile = None,
    as_json: AsJson = False,
    iam: Iam = False,
) -> None:
    """Stop the reading of a consumer or a pipe, and say when it would begin to lose records.

    Its source keeps the records meanwhile: a table's stream for 24 hours. Records that are older than the record age of
    the mapping or pipe when it resumes are given up. Refused within an hour of that, as far as is known how far it is
    behind: CloudWatch does not measure it for a pipe that reads a stream.

    Example: weir pause welcome-email -s prod

    Exits 0 if it is paused, 1 if that was refused, 2 if the stack cannot be read.
    """
    from ops.operator import metrics
    from ops.operator.deadlines import horizon_of

    found, one = _open(consumer, stack, state)
    if iam:
        print_policy("pause", [one])
    readings = metrics.read(found.client("cloudwatch"), [one], now=time.time())
    behind, _ = metrics.behind(readings[one.name], one)
    horizon = horizon_of(found, one)
    left = horizon.first - (behind or 0.0)
    if left < NEAR_SECONDS and not force:
        typer.secho(
            f"{consumer} is {duration(behind or 0.0)} behind and begins to lose records in {duration(left)}, so it is "
            "not paused; --force pauses it all the same",
            fg="red",
            err=True,
        )
        raise typer.Exit(1)
    _switch(found, one, on=False)
    given_up = None if math.isinf(horizon.given_up) else max(0.0, horizon.given_up - (behind or 0.0))
    forgotten = max(0.0, horizon.forgotten - (behind or 0.0))
    if as_json:
        typer.echo(json.dumps({"consumer": consumer, "givesUpInSeconds": given_up, "forgetsInSeconds": forgotten}))
        return
    if given_up is not None:
        typer.echo(f"{consumer} is paused. In {duration(given_up)} its first records are too old and will be given up;")
        typer.echo(f"in {duration(forgotten)} its source forgets them.")
    else:
        typer.echo(f"{consumer} is paused. In {duration(forgotten)} its source forgets the first records.")
    typer.echo(f"To go on: weir resume {consumer}{found.option}")


@reports_errors
def resume(
    consumer: OneReader,
    stack: StackName = None,
    state: StateFile = None,
    as_json: AsJson = False,
    iam: Iam = False,
) -> None:
    """Start the reading of a paused consumer or pipe again, from where it stopped.

    Example: weir resume welcome-email -s prod
    """
    found, one = _open(consumer, stack, state)
    if iam:
        print_policy("resume", [one])
    if one.state in _READING:
        fail(f"{consumer} is not paused: it is {one.state}")
    _switch(found, one, on=True)
    if as_json:
        typer.echo(json.dumps({"consumer": consumer, "pausedSeconds": _paused(one)}))
        return
    typer.echo(
        f"{consumer} reads again, after {duration(_paused(one))}. To watch it: weir status --watch 5{found.option}"
    )


def _switch(stack: Stack, reader: Reader, *, on: bool) -> None:
    from ops.operator.pipes import Pipe

    if isinstance(reader, Pipe):
        pipes = stack.client("pipes")
        (pipes.start_pipe if on else pipes.stop_pipe)(Name=reader.described["Name"])
    else:
        stack.client("lambda").update_event_source_mapping(UUID=reader.uuid, Enabled=on)


def _paused(reader: Reader) -> float:
    return max(0.0, time.time() - reader.changed_at)


def _open(reader: str, stack: str | None, state: Path | None) -> tuple[Stack, Reader]:
    from ops.operator.pipes import readers_of
    from ops.operator.stack import find

    found = find(stack, state)
    (one,) = readers_of(found, reader)
    return found, one
