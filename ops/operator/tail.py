"""`weir tail`: the logs of consumers' functions as one, in the order of time."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from ops.function_logs import Kind, LogLine, LogReader, log_group_in
from ops.operator.options import AsJson, Iam, ReaderName, StackName, StateFile, fail, print_policy, reports_errors
from ops.stopping import stopped_by_ctrl_c

if TYPE_CHECKING:
    from ops.operator.consumers import Consumer
    from ops.operator.mails import MailReader
    from ops.operator.pipes import Pipe
    from ops.operator.stack import Stack

#: Seconds between two reads of the logs.
LOOK_SECONDS = 2.0
#: Levels from the least to the most severe.
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")

_SINCE = re.compile(r"(\d+)\s*(s|m|min|h|d)?")
_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, None: 1}
_DURATION = re.compile(r"Duration: ([\d.]+) ms")
_STYLES: Mapping[Kind, str] = {
    "failure": "red",
    "parked": "yellow",
    "dead letter": "red",
    "report": "dim",
    "metrics": "green",
    "mail": "green",
}
#: The metrics that are shown, and their words.
_COUNTED = {
    "EffectsApplied": "applied",
    "EffectsSuppressed": "suppressed",
    "EffectsUncertain": "uncertain",
    "Discarded": "parked",
    "Unwanted": "turned down",
}


@stopped_by_ctrl_c(0)
@reports_errors
def tail(
    consumer: ReaderName = None,
    since: Annotated[str, typer.Option(help="How far back to begin: 30s, 10m, 2h, 1d.")] = "10m",
    follow: Annotated[bool, typer.Option("--follow/--no-follow", help="Wait for new lines until Ctrl-C.")] = True,
    key: Annotated[
        str | None,
        typer.Option(help="Only lines about one item, e.g. userId=bob; reads the table's whole stream to know them."),
    ] = None,
    level: Annotated[str, typer.Option(help="Least level of the consumers' own lines.")] = "INFO",
    stack: StackName = None,
    state: StateFile = None,
    as_json: AsJson = False,
    iam: Iam = False,
) -> None:
    """Follow the logs of all functions and pipes: invocations, failures with the exception, effects, dead letters.

    Lines are merged in the order of time. Effects are counted per invocation: applied, suppressed because they were
    done already, uncertain. Without a consumer, the functions of the API are included, and the mails of the local
    stack, each with its receiver and subject. SES keeps no mails: on AWS the applied effect is their trace.

    Example: weir tail welcome-email --since 1h -s prod
    """
    from ops.operator.consumers import Consumer, other_functions
    from ops.operator.mails import MailReader
    from ops.operator.pipes import Pipe, readers_of
    from ops.operator.stack import find

    began = time.time() - _seconds(since)
    if level.upper() not in LEVELS:
        fail(f"--level {level} is not one of {', '.join(LEVELS)}")
    found = find(stack, state)
    readers = readers_of(found, consumer)
    consumers = [each for each in readers if isinstance(each, Consumer)]
    pipes = [each for each in readers if isinstance(each, Pipe)]
    if consumer is not None:
        for pipe in pipes:
            _check_pipe(pipe, key)
    groups = {each.name: each.log_group for each in consumers}
    others = {} if consumer is not None else other_functions(found, known=groups)
    if iam:
        print_policy("tail", readers, list(others.values()))
    console = Console()
    groups |= {name: log_group_in(function) for name, function in others.items()}
    if key is None:  # the log of a pipe names no records
        groups |= {each.name: each.log_group for each in pipes if each.log_group is not None}
    mails = MailReader(found, since=began) if consumer is None and key is None else None
    for line in lines(found, consumers, groups, since=began, follow=follow, key=key, mails=mails):
        shown = describe(line)
        if shown is None or (line.level and _below(line.level, level)):
            continue
        if as_json:
            document = {"at": line.at, "consumer": line.function, "kind": line.kind, "level": line.level}
            typer.echo(json.dumps(document | {"requestId": line.request_id, "text": shown}))
        else:
            stamp = time.strftime("%H:%M:%S", time.localtime(line.at))
            console.print(Text(f"{stamp}  {line.function}  {shown}", style=_STYLES.get(line.kind, "")), soft_wrap=True)


def _check_pipe(pipe: Pipe, key: str | None) -> None:
    if key is not None:
        fail(f"the log of the pipe {pipe.name} names no items: leave --key out")
    if pipe.log_group is None:
        fail(f"the pipe {pipe.name} writes no log to CloudWatch Logs: set its LogConfiguration to a log group")


def lines(
    stack: Stack,
    consumers: Sequence[Consumer],
    groups: Mapping[str, str],
    *,
    since: float,
    follow: bool,
    key: str | None,
    mails: MailReader | None = None,
) -> Iterator[LogLine]:
    """Yield the lines of functions' logs and the dead letters in buckets, merged in the order of time.

    Args:
        stack: The stack.
        consumers: The consumers.
        groups: Log groups by the names that their lines carry.
        since: Time of the first line, in seconds since 1970.
        follow: Whether to wait for new lines.
        key: A key of an item, to yield only lines about it.
        mails: The mails to merge in.
    """
    from ops.operator.dead_letters.bucket import BucketLetters
    from ops.operator.dead_letters.stores import stores_of
    from ops.operator.item_changes import ItemChanges
    from ops.operator.sending import limit_rate

    logs = stack.client("logs")
    readers = [LogReader(logs, function=name, group=group, since=since) for name, group in groups.items()]
    buckets = [
        (each.name, store) for each in consumers for store in stores_of(stack, each) if isinstance(store, BucketLetters)
    ]
    seen: set[str] = set()
    changes = None if key is None else ItemChanges(stack, consumers, key, pause=limit_rate(2))
    while True:
        events = None if changes is None else set(changes.read())
        found: list[LogLine] = []
        for reader in readers:
            try:
                found += reader.new()
            except logs.exceptions.ResourceNotFoundException:
                continue  # the function has not run yet
        for name, bucket in buckets if events is None else ():
            for at, location in bucket.since(since):
                if location not in seen:
                    seen.add(location)
                    found.append(LogLine(at, name, "", "dead letter", "", "", location, {}))
        found += [] if mails is None else mails.new()
        for line in sorted(found, key=lambda each: each.at):
            if events is None or line.members.get("eventId") in events:
                yield line
        if not follow:
            return
        time.sleep(LOOK_SECONDS)


def describe(line: LogLine) -> str | None:
    """Return a line's text for people; `None` for lines that say nothing."""
    match line.kind:
        case "dead letter":
            return f"dead letter {line.text}"
        case "mail":
            return f"mail {line.text}"
        case "start" | "end":
            return None
        case "report":
            took = _DURATION.search(line.text)
            return f"invocation {line.request_id}" + (f" took {float(took[1]):.0f} ms" if took else "")
        case "metrics":
            counted = [f"{line.members[name]} {word}" for name, word in _COUNTED.items() if line.members.get(name)]
            return f"effects: {', '.join(counted)}" if counted else None
        case _:
            return line.text


def _seconds(since: str) -> float:
    match = _SINCE.fullmatch(since.strip())
    if match is None:
        fail(f"--since {since} is not a duration: write 30s, 10m, 2h or 1d")
    return int(match[1]) * _UNITS[match[2]]


def _below(level: str, least: str) -> bool:
    name = {"WARN": "WARNING"}.get(level.upper(), level.upper())  # Lambda's own word for it
    return name in LEVELS and LEVELS.index(name) < LEVELS.index(least.upper())
