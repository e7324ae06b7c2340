"""`weir status`: the state of every consumer, and the command to type next."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ops.operator.options import (
    AsJson,
    Iam,
    ReaderName,
    StackName,
    StateFile,
    duration,
    moment,
    print_policy,
    reports_errors,
)
from ops.stopping import stopped_by_ctrl_c

if TYPE_CHECKING:
    from ops.operator.consumers import Consumer
    from ops.operator.metrics import Readings
    from ops.operator.pipes import Pipe, Reader
    from ops.operator.replication import ReplicationStatus
    from ops.operator.stack import Stack

#: Seconds behind its source at which somebody should look at a consumer: the threshold of the alarm that warns.
BEHIND_SECONDS = 300
#: Names that alarms have whose records are in no failure destination.
_LOSSES = ("dropped", "destination-failures", "notifications-lost")
#: States of a pipe that reads, or is about to.
_WELL = ("RUNNING", "STARTING", "CREATING", "UPDATING")
#: States of a pipe that exists as declared and does not read.
_STARTS_AGAIN = ("STOPPED", "STOPPING", "START_FAILED", "STOP_FAILED")


@dataclass(frozen=True)
class DeadLetters:
    """Dead letters that wait: how many, and the oldest one's time and deadline in seconds since 1970, where known."""

    waiting: int
    oldest: float | None
    deadline: float | None


@dataclass(frozen=True)
class Advice:
    """A reason to act, and the command to type next."""

    reason: str
    command: str


@dataclass(frozen=True)
class ConsumerStatus:
    """The state of one consumer.

    Attributes:
        state: State of its mapping.
        lastResult: The mapping's LastProcessingResult.
        behindSeconds: Age of its oldest unprocessed change; `None` if none was recorded in the last hour.
        behindHourAgoSeconds: The same, an hour ago.
        failures: Records that failed in the last hour, each attempt counted.
        retries: Records that were delivered again in the last hour.
        deadLetters: Those that wait.
        alarms: Short names of its alarms in state ALARM.
        losesAt: When a paused consumer would begin to lose records, in seconds since 1970.
        advice: Reasons to act.
    """

    name: str
    source: str
    state: str
    lastResult: str | None  # noqa: N815 - the document's own names
    behindSeconds: float | None  # noqa: N815
    behindHourAgoSeconds: float | None  # noqa: N815
    failures: int
    retries: int
    deadLetters: DeadLetters  # noqa: N815
    alarms: Sequence[str]
    losesAt: float | None  # noqa: N815
    advice: Sequence[Advice]


@dataclass(frozen=True)
class PipeStatus:
    """The state of one pipe.

    Attributes:
        source: ARN of the stream or queue that it reads.
        state: Its CurrentState.
        stateReason: The reason of the state, where EventBridge gives one.
        deadLetters: Those that wait.
        alarms: Short names of its alarms in state ALARM.
        advice: Reasons to act.
    """

    name: str
    source: str
    state: str
    stateReason: str | None  # noqa: N815 - the document's own names
    deadLetters: DeadLetters  # noqa: N815
    alarms: Sequence[str]
    advice: Sequence[Advice]


@dataclass(frozen=True)
class OtherStatus:
    """The state of what is neither a consumer nor a pipe: a workflow, a partner of webhooks, a walk over a table.

    Attributes:
        alarms: Short names of its alarms in state ALARM.
        advice: Reasons to act.
    """

    name: str
    alarms: Sequence[str]
    advice: Sequence[Advice]


@dataclass(frozen=True)
class ReaderStatus:
    """The readers of one stream, and the number that it serves."""

    stream: str
    readers: Sequence[str]
    limit: int


@dataclass(frozen=True)
class Status:
    """The state of a stack."""

    stack: str
    at: float
    consumers: Sequence[ConsumerStatus]
    pipes: Sequence[PipeStatus]
    readers: Sequence[ReaderStatus]
    replications: Sequence[ReplicationStatus]
    others: Sequence[OtherStatus]

    @property
    def needs_somebody(self) -> bool:
        """`True` if somebody should act."""
        crowded = any(len(each.readers) > each.limit for each in self.readers)
        return crowded or any(each.advice for each in (*self.consumers, *self.pipes, *self.replications, *self.others))


@stopped_by_ctrl_c(0)
@reports_errors
def status(
    consumer: ReaderName = None,
    watch: Annotated[
        float | None, typer.Option("--watch", min=1, metavar="SECONDS", help="Look again and again.")
    ] = None,
    stack: StackName = None,
    state: StateFile = None,
    as_json: AsJson = False,
    iam: Iam = False,
) -> None:
    """Show the state of every consumer and pipe, and the command to type next.

    For each consumer: its mapping's state, its distance behind the source now and an hour ago, failures and retries
    of the last hour, dead letters that wait and until when they can be redriven, its alarms, its stream's readers. For
    each pipe: its state with the reason, dead letters and alarms. For each table that is replicated into Kinesis: the
    destination's state, how far behind it is, and what it lost. Of everything else, e.g. workflows: alarms that fire.

    Example: weir status -s prod

    Exits 0 if all is well, 1 if somebody should act, 2 if the stack cannot be read.
    """
    from ops.operator.pipes import readers_of
    from ops.operator.stack import find
    from ops.running import OTHER_ALARMS

    found = find(stack, state)
    others = found.outputs.get(OTHER_ALARMS, {}) if consumer is None else {}
    while True:
        readers = readers_of(found, consumer)
        if iam:
            print_policy("status", readers)
        looked = look(found, readers, others, now=time.time())
        if as_json:
            typer.echo(json.dumps(asdict(looked) | {"needsSomebody": looked.needs_somebody}))
        else:
            _print(looked)
        if watch is None:
            raise typer.Exit(1 if looked.needs_somebody else 0)
        time.sleep(watch)


def look(
    stack: Stack, readers: Sequence[Reader], others: Mapping[str, Mapping[str, str]] | None = None, *, now: float
) -> Status:
    """Find out the state of consumers and pipes, and the alarms of everything else.

    Args:
        stack: The stack.
        readers: The consumers and pipes.
        others: Names of the alarms of what is neither, by its name and their short names.
        now: Seconds since 1970.
    """
    from ops.operator import metrics
    from ops.operator.consumers import Consumer
    from ops.operator.pipes import Pipe
    from ops.operator.replication import replications

    consumers = [each for each in readers if isinstance(each, Consumer)]
    readings = metrics.read(stack.client("cloudwatch"), consumers, now=now)
    alarmed = {} if others is None else others
    watched = [*(each.alarms for each in readers), *alarmed.values()]
    ringing = _ringing(stack.client("cloudwatch"), [name for alarms in watched for name in alarms.values()])
    streams = sorted({each.stream for each in readers if each.stream is not None})
    return Status(
        stack.name,
        now,
        [_consumer(stack, each, readings[each.name], ringing, now) for each in consumers],
        [_pipe(stack, each, ringing) for each in readers if isinstance(each, Pipe)],
        [_readers(stack, stream) for stream in streams],
        replications(stack, sorted({stream.split("/")[1] for stream in streams}), now=now),
        [_other(name, alarms, ringing) for name, alarms in sorted(alarmed.items())],
    )


def _consumer(stack: Stack, consumer: Consumer, readings: Readings, ringing: set[str], now: float) -> ConsumerStatus:
    from ops.operator import metrics
    from ops.operator.deadlines import horizon_of

    behind, before = metrics.behind(readings, consumer)
    delivered = readings.total(metrics.POLLED) - readings.total(metrics.FILTERED)
    letters, alarms = _letters(stack, consumer), _alarms(consumer, ringing)
    paused = consumer.state in ("Disabled", "Disabling")
    loses = consumer.changed_at + horizon_of(stack, consumer).first if paused else None
    return ConsumerStatus(
        consumer.name,
        consumer.source,
        consumer.state,
        consumer.mapping.get("LastProcessingResult"),
        behind,
        before,
        readings.total(metrics.FAILED),
        max(0, readings.total(metrics.INVOKED) - delivered),
        letters,
        alarms,
        loses,
        [*_advice(stack, consumer, behind, letters, alarms, loses, now)],
    )


def _pipe(stack: Stack, pipe: Pipe, ringing: set[str]) -> PipeStatus:
    state, reason = pipe.state, pipe.described.get("StateReason")
    letters, alarms = _letters(stack, pipe), _alarms(pipe, ringing)
    found: list[Advice] = []
    if state not in _WELL:
        said = f"it is {state}{f': {reason}' if reason else ''}"
        again = f"weir resume {pipe.name}{stack.option}" if state in _STARTS_AGAIN else "pulumi up"
        found.append(Advice(said, again))
    found += _advice_on_letters(stack, pipe, letters)
    if alarms and not found:
        found.append(Advice(f"in ALARM: {', '.join(alarms)}", f"weir tail {pipe.name}{stack.option}"))
    return PipeStatus(pipe.name, pipe.source, state, reason, letters, alarms, found)


def _other(name: str, alarms: Mapping[str, str], ringing: set[str]) -> OtherStatus:
    fired = {short: alarm for short, alarm in sorted(alarms.items()) if alarm in ringing}
    advice = [
        Advice(f"in ALARM: {short}", f"aws cloudwatch describe-alarms --alarm-names {alarm}")
        for short, alarm in fired.items()
    ]
    return OtherStatus(name, [*fired], advice)


def _letters(stack: Stack, reader: Reader) -> DeadLetters:
    from ops.operator.dead_letters.stores import stores_of

    counted = [store.waiting() for store in stores_of(stack, reader)]
    return DeadLetters(
        sum(waiting for waiting, _, _ in counted),
        min((oldest for _, oldest, _ in counted if oldest is not None), default=None),
        min((deadline for _, _, deadline in counted if deadline is not None), default=None),
    )


def _alarms(reader: Reader, ringing: set[str]) -> list[str]:
    return sorted(short for short, name in reader.alarms.items() if name in ringing)


def _advice_on_letters(stack: Stack, reader: Reader, letters: DeadLetters) -> list[Advice]:
    if not letters.waiting:
        return []
    until = "" if letters.deadline is None else f", the oldest until {moment(letters.deadline)}"
    count = f"{letters.waiting} dead letter{'' if letters.waiting == 1 else 's'} wait{until}"
    return [Advice(count, f"weir dead-letters list {reader.name}{stack.option}")]


def _advice(
    stack: Stack,
    consumer: Consumer,
    behind: float | None,
    letters: DeadLetters,
    alarms: Sequence[str],
    loses: float | None,
    now: float,
) -> list[Advice]:
    name, option = consumer.name, stack.option
    found: list[Advice] = []
    if loses is not None:
        left = f"it begins to lose records in {duration(loses - now)}" if loses > now else "it is losing records"
        found.append(Advice(f"paused, and {left}", f"weir resume {name}{option}"))
    elif consumer.state not in ("Enabled", "Enabling", "Creating", "Updating"):
        found.append(Advice(f"its mapping is {consumer.mapping['State']}", f"weir resume {name}{option}"))
    if any(alarm in _LOSSES for alarm in alarms):
        found.append(Advice("records were given up and are in no destination", f"weir reread {name} --from …{option}"))
    found += _advice_on_letters(stack, consumer, letters)
    if behind is not None and behind >= BEHIND_SECONDS:
        found.append(Advice(f"{duration(behind)} behind its source", f"weir tail {name}{option}"))
    elif _is_stuck(consumer):
        found.append(Advice(consumer.mapping["LastProcessingResult"], f"weir tail {name}{option}"))
    if alarms and not found:
        found.append(Advice(f"in ALARM: {', '.join(alarms)}", f"weir tail {name}{option}"))
    return found


def _is_stuck(consumer: Consumer) -> bool:
    """Return whether a mapping cannot read its source; a failed invocation alone stays as its result until the next."""
    result = str(consumer.mapping.get("LastProcessingResult", ""))
    return result.startswith("PROBLEM") and result != "PROBLEM: Function call failed"


def _ringing(cloudwatch: Any, names: Sequence[str]) -> set[str]:
    """Return those of these alarms that are in state ALARM."""
    found: set[str] = set()
    for start in range(0, len(names), 100):
        pages = cloudwatch.get_paginator("describe_alarms").paginate(
            AlarmNames=names[start : start + 100], StateValue="ALARM"
        )
        found |= {alarm["AlarmName"] for page in pages for alarm in page.get("MetricAlarms", [])}
    return found


def _readers(stack: Stack, stream: str) -> ReaderStatus:
    from aws_semantics.limits import STREAM_READERS

    functions, pipes = stack.client("lambda"), stack.client("pipes")
    mappings = [
        each
        for page in functions.get_paginator("list_event_source_mappings").paginate(EventSourceArn=stream)
        for each in page["EventSourceMappings"]
    ]
    piped = [each for page in pipes.get_paginator("list_pipes").paginate(SourcePrefix=stream) for each in page["Pipes"]]
    readers = [each["FunctionArn"].split(":")[6] for each in mappings if each["State"] != "Disabled"]
    return ReaderStatus(
        stream,
        sorted([*readers, *(each["Name"] for each in piped if each["DesiredState"] == "RUNNING")]),
        STREAM_READERS,
    )


def _print(looked: Status) -> None:
    console = Console()
    table = Table("consumer", "state", "behind", "an hour ago", "failures", "retries", "dead letters", "alarms")
    for each in looked.consumers:
        letters = each.deadLetters
        table.add_row(
            each.name,
            Text(each.state, style="" if each.state == "Enabled" else "yellow"),
            _seconds(each.behindSeconds),
            _seconds(each.behindHourAgoSeconds),
            str(each.failures),
            str(each.retries),
            Text(str(letters.waiting), style="bold red" if letters.waiting else ""),
            Text(", ".join(each.alarms), style="bold red"),
        )
    if looked.consumers:
        console.print(table)
    if looked.pipes:
        console.print(_table_of_pipes(looked.pipes))
    for stream in looked.readers:
        over = len(stream.readers) > stream.limit
        line = f"{stream.stream}: {len(stream.readers)} of {stream.limit} readers: {', '.join(stream.readers)}"
        console.print(Text(line, style="bold red" if over else ""), soft_wrap=True)
    for each in looked.replications:
        behind = "" if each.behindSeconds is None else f", {duration(each.behindSeconds)} behind"
        line = f"{each.table} to {each.stream}: {each.state}{behind}"
        console.print(Text(line, style="bold red" if each.advice else ""), soft_wrap=True)
        if each.advice:
            console.print(Text(f"  {each.advice}", style="yellow"), soft_wrap=True)
    for each in (*looked.consumers, *looked.pipes, *looked.others):
        for advice in each.advice:
            console.print(Text(f"{each.name}: {advice.reason}", style="yellow"), soft_wrap=True)
            console.print(Text(f"  {advice.command}"), soft_wrap=True)


def _table_of_pipes(pipes: Sequence[PipeStatus]) -> Table:
    table = Table("pipe", "state", "dead letters", "alarms")
    for each in pipes:
        letters = each.deadLetters
        table.add_row(
            each.name,
            Text(each.state, style="" if each.state == "RUNNING" else "yellow"),
            Text(str(letters.waiting), style="bold red" if letters.waiting else ""),
            Text(", ".join(each.alarms), style="bold red"),
        )
    return table


def _seconds(value: float | None) -> str:
    return "-" if value is None else duration(value)
