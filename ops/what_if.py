"""`weir what-if`: prints what one poison record costs a mapping with given settings and load."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Annotated, Any

import typer
from pydantic.alias_generators import to_camel
from rich.console import Console
from rich.table import Table

from local.engine.streams.admission import problems, settings_of
from local.simulation.what_if import (
    Consequences,
    Failure,
    Load,
    behind_after,
    capacity,
    poison,
    retry_horizon,
)

_FAILURES: tuple[Failure, Failure] = ("crash", "report")
_DESTINATION = "arn:aws:s3:::failures"


def what_if(
    rate: Annotated[float, typer.Option(min=0.01, max=1000, help="Records per second written to one shard.")] = 10.0,
    duration: Annotated[float, typer.Option(min=0, max=900, help="Seconds that one invocation takes.")] = 0.2,
    batch_size: Annotated[int, typer.Option(help="BatchSize.")] = 100,
    batching_window: Annotated[int, typer.Option(help="MaximumBatchingWindowInSeconds.")] = 1,
    parallelization_factor: Annotated[int, typer.Option(help="ParallelizationFactor.")] = 1,
    retries: Annotated[int, typer.Option(help="MaximumRetryAttempts, -1 for no limit.")] = 12,
    record_age: Annotated[int, typer.Option(help="MaximumRecordAgeInSeconds, -1 for no limit.")] = 64_800,
    bisect: Annotated[bool, typer.Option(help="BisectBatchOnFunctionError.")] = True,
    partial_responses: Annotated[bool, typer.Option(help="ReportBatchItemFailures.")] = True,
    destination: Annotated[bool, typer.Option(help="Whether there is an on-failure destination.")] = True,
    alarm_age: Annotated[int, typer.Option(min=1, help="Iterator age in seconds at which the alarm breaches.")] = 300,
    alarm_periods: Annotated[int, typer.Option(min=1, max=60, help="Minutes in a row that must breach.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Compute what one poison record costs a mapping with these settings and this load.

    Prints how often it is invoked, how many healthy records are delivered again or given up with it, how long its lane
    is blocked, when the iterator age alarm fires, and when a record is lost. Its batch is simulated; the ages of the
    records behind it are extrapolated from rate and capacity, so that the answer comes at once at any rate.

    The defaults are those of the program's consumers. AWS's own are --batching-window 0 --retries -1 --record-age -1
    --no-bisect --no-partial-responses --no-destination.
    """
    parameters: dict[str, Any] = {
        "StartingPosition": "TRIM_HORIZON",
        "BatchSize": batch_size,
        "MaximumBatchingWindowInSeconds": batching_window,
        "ParallelizationFactor": parallelization_factor,
        "MaximumRetryAttempts": retries,
        "MaximumRecordAgeInSeconds": record_age,
        "BisectBatchOnFunctionError": bisect,
        "FunctionResponseTypes": ["ReportBatchItemFailures"] if partial_responses else [],
        "DestinationConfig": {"OnFailure": {"Destination": _DESTINATION if destination else ""}},
    }
    refused = [*problems(parameters)]
    if refused:
        sys.stderr.write("\n".join(refused) + "\n")
        raise typer.Exit(2)
    settings = settings_of(parameters)
    load = Load(rate=rate, duration=duration, alarm_age=alarm_age, alarm_periods=alarm_periods)
    with Console(stderr=True).status("simulate one poison record"):
        found = {failure: poison(settings, load, failure) for failure in _FAILURES}
    able, behind = capacity(settings, load), behind_after(settings, load)
    if as_json:
        document = {
            "capacityPerSecond": None if able == float("inf") else able,
            "behindAfterSeconds": behind,
            "retryHorizonSeconds": retry_horizon(settings),
            "extrapolated": ["healthyGivenUp", "alarmAfterSeconds"],
            **{
                failure: {to_camel(name): value for name, value in asdict(each).items()}
                for failure, each in found.items()
            },
        }
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("one poison record", "the function crashes", "it reports the record"):
        table.add_column(heading, justify="left" if heading == "one poison record" else "right")
    table.add_row("invocations with the poison record", *(str(found[each].invocations) for each in _FAILURES))
    table.add_row("healthy records delivered again", *(str(found[each].duplicates) for each in _FAILURES))
    table.add_row("healthy records given up with it", *(str(found[each].healthy_given_up) for each in _FAILURES))
    table.add_row("its lane is blocked for", *(_duration(found[each].blocked_seconds) for each in _FAILURES))
    table.add_row("it ends as", *(found[each].ends_as for each in _FAILURES))
    table.add_row("the iterator age alarm fires after", *(_alarm(found[each]) for each in _FAILURES))
    table.add_row("a record is lost after", *(_loss(found[each]) for each in _FAILURES))
    console = Console(highlight=False)
    console.print(table)
    console.print()
    console.print("its batch is simulated; the ages of the records behind it are extrapolated from rate and capacity")
    console.print(f"retries wait {_duration(retry_horizon(settings))} in all")
    most = "any number of" if able == float("inf") else f"{able:g}"
    if behind is None:
        console.print(f"one shard's capacity is {most} records a second, and {rate:g} are written: it keeps up")
    else:
        console.print(
            f"one shard's capacity is {most} records a second, and {rate:g} are written: "
            f"without any failure, records are lost after {_duration(behind)}"
        )


def _alarm(of: Consequences) -> str:
    return "never" if of.alarm_after_seconds is None else _duration(of.alarm_after_seconds)


def _loss(of: Consequences) -> str:
    return "never" if of.loss_after_seconds is None else _duration(of.loss_after_seconds)


def _duration(seconds: float) -> str:
    """Write seconds for people, rounded to minutes from a minute on.

    >>> [_duration(seconds) for seconds in (7.75, 59, 300, 5_400, 86_400)]
    ['7.75 s', '59 s', '5 min', '1 h 30 min', '24 h 00 min']
    """
    if seconds < 60:
        return f"{seconds:g} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"
