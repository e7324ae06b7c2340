"""`weir trace`: one change through everything, from the API's request to each consumer's effect or dead letter."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from handlers.cdc.namespace import SEPARATOR
from ops.operator.options import AsJson, Iam, StackName, StateFile, duration, moment, print_policy, reports_errors

if TYPE_CHECKING:
    from ops.operator.api_requests import ApiRequest
    from ops.operator.consumers import Consumer
    from ops.operator.dead_letters.letters import DeadLetter
    from ops.operator.stack import Stack


@dataclass(frozen=True)
class Step:
    """A step of a change.

    Attributes:
        at: When, in seconds since 1970; `None` if that is not recorded.
        kind: Its kind.
        text: Its description.
    """

    at: float | None
    kind: Literal["filtered out", "failure", "parked", "effect", "dead letter", "redrive", "waiting", "line"]
    text: str


@dataclass(frozen=True)
class Trace:
    """A change and its way through the consumers.

    Attributes:
        request: Id of the API's request; `None` if no request is known.
        answered: The API's request, where its function logged one.
        steps: Steps by consumer, in the order of time.
    """

    eventId: str  # noqa: N815 - the document's own names
    eventName: str  # noqa: N815
    key: str
    at: float
    sequenceNumber: str  # noqa: N815
    request: str | None
    answered: ApiRequest | None
    steps: Mapping[str, Sequence[Step]]


@reports_errors
def trace(
    wanted: Annotated[
        str, typer.Argument(metavar="KEY|ID", help="Key of an item, e.g. userId=bob; id of a request or of an event.")
    ],
    stack: StackName = None,
    state: StateFile = None,
    as_json: AsJson = False,
    iam: Iam = False,
) -> None:
    """Show each change of an item and what every consumer did with it, as a tree with times.

    Reads the table's stream, which has the changes of the last 24 hours, the logs of the API and the consumers, the
    effect ledger (by a scan) and the dead letters in buckets and queues, whose messages are hidden meanwhile. A change
    in Kinesis has an event id of its own, and is shown by itself, with the consumers that read Kinesis. A consumer
    without a failure, an effect or a dead letter for a change is shown with the state that it is in. A request that
    wrote nothing is shown with the API's outcome.

    Example: weir trace userId=bob -s prod

    Exits 0 if a change or a request was found, 1 if none was, 2 if the stack cannot be read.
    """
    from ops.operator.api_requests import requests_of
    from ops.operator.consumers import consumers_of, other_functions
    from ops.operator.item_changes import DAY
    from ops.operator.stack import find

    found = find(stack, state)
    consumers = consumers_of(found)
    api = other_functions(found, known={each.name for each in consumers})
    if iam:
        print_policy("trace", consumers, list(api.values()))
    requests = requests_of(found, api, seconds=DAY)
    traces = follow(found, consumers, wanted, requests)
    traced = {each.request for each in traces}
    idle = [each for each in requests if each.request not in traced and _is_about(each, wanted)]
    if as_json:
        for each in (*idle, *traces):
            typer.echo(json.dumps(asdict(each)))
    else:
        console = Console()
        for each in idle:
            console.print(_tree_of(each), soft_wrap=True)
        for each in traces:
            console.print(_tree(each), soft_wrap=True)
        if not idle and not traces:
            typer.echo(f"no change of the last 24 hours has the key or id {wanted}")
    raise typer.Exit(0 if idle or traces else 1)


def follow(
    stack: Stack, consumers: Sequence[Consumer], wanted: str, requests: Sequence[ApiRequest] = ()
) -> list[Trace]:
    """Trace the changes of an item, a request or an event, oldest first.

    Args:
        stack: The stack.
        consumers: The consumers.
        wanted: A key such as `userId=bob` or `bob`, a request's id, or an event id.
        requests: Requests of the API.
    """
    from ops.operator.item_changes import ItemChanges
    from ops.operator.sending import limit_rate

    # A mapping reads four times a second, and a shard serves five reads of all its readers together.
    records = ItemChanges(stack, consumers, wanted, pause=limit_rate(2)).read()
    if not records:
        return []
    answered = {each.request: each for each in requests}
    steps: dict[str, dict[str, list[Step]]] = {
        event: {each.name: [] for each in consumers if _reads(each, record)} for event, record in records.items()
    }
    for consumer in consumers:
        own = {event: record for event, record in records.items() if _reads(consumer, record)}
        for event, step in _steps(stack, consumer, own):
            steps[event][consumer.name].append(step)
    return [
        _trace(
            record,
            answered,
            {name: sorted(found, key=lambda step: step.at or 0.0) for name, found in steps[event].items()},
        )
        for event, record in records.items()
    ]


def _reads(consumer: Consumer, record: Mapping[str, Any]) -> bool:
    """Return whether a consumer gets its changes from where a record is: the table's stream, or Kinesis."""
    return record["eventSourceARN"] == consumer.source if "kinesis" in record else not consumer.reads_kinesis


def _trace(record: Mapping[str, Any], answered: Mapping[str, ApiRequest], steps: Mapping[str, Sequence[Step]]) -> Trace:
    from handlers.cdc import Change
    from ops.operator.dead_letters.letters import change_in, key_text, keys_of, sequence_of

    change = Change(change_in(record))
    arrived = record.get("kinesis", {}).get("approximateArrivalTimestamp")
    return Trace(
        change.event_id,
        change.event_name,
        key_text(keys_of(record)),
        record["dynamodb"]["ApproximateCreationDateTime"] if arrived is None else arrived,
        sequence_of(record),
        None if change.correlation_id == change.event_id else change.correlation_id,
        answered.get(change.correlation_id),
        steps,
    )


def _steps(stack: Stack, consumer: Consumer, records: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, Step]]:
    from ops.operator.sending import passes

    reached = set(records)
    for event, record in records.items():
        if not passes(consumer, record):
            reached.discard(event)
            yield event, Step(None, "filtered out", "its condition turns the change down")
    told: set[str] = set()
    for source in (_logged, _effects, _letters):
        for event, step in source(stack, consumer, records):
            told.add(event)
            yield event, step
    for event in reached - told:
        state = consumer.mapping["State"]
        quiet = "no failure, effect or dead letter: it is done, or still waits"
        yield event, Step(None, "waiting", quiet if state == "Enabled" else f"its mapping is {state}")


def _logged(stack: Stack, consumer: Consumer, records: Mapping[str, Any]) -> Iterator[tuple[str, Step]]:
    from ops.function_logs import LogReader
    from ops.operator.item_changes import DAY

    logs = stack.client("logs")
    reader = LogReader(logs, function=consumer.name, group=consumer.log_group, since=time.time() - DAY)
    try:
        for line in reader.new():
            event = str(line.members.get("eventId"))
            if event in records and line.kind != "metrics":
                kind = line.kind if line.kind in ("failure", "parked") else "line"
                yield event, Step(line.at, kind, f"{line.text} (invocation {line.request_id})")
    except logs.exceptions.ResourceNotFoundException:
        return


def _effects(stack: Stack, consumer: Consumer, records: Mapping[str, Any]) -> Iterator[tuple[str, Step]]:
    """Yield the entries of the effect ledger that a change asked for."""
    from handlers.cdc import Change
    from ops.operator.dead_letters.letters import change_in

    if consumer.ledger is None:
        return
    by_correlation = {Change(change_in(record)).correlation_id: event for event, record in records.items()}
    pages = (
        stack.client("dynamodb")
        .get_paginator("scan")
        .paginate(
            TableName=consumer.ledger,
            FilterExpression="attribute_exists(correlationId)",
            ProjectionExpression="effectKey, #status, correlationId",
            ExpressionAttributeNames={"#status": "status"},
        )
    )
    for page in pages:
        for item in page["Items"]:
            event = by_correlation.get(item["correlationId"]["S"])
            if event is not None and _is_of(consumer, item["effectKey"]["S"]):
                yield event, Step(None, "effect", f"{item['effectKey']['S']} is {item['status']['S']}")


def _is_of(consumer: Consumer, effect_key: str) -> bool:
    """Return whether an effect is the consumer's: its key begins with the consumer's name."""
    return effect_key.startswith(f"{consumer.name}{SEPARATOR}")


def _letters(stack: Stack, consumer: Consumer, records: Mapping[str, Any]) -> Iterator[tuple[str, Step]]:
    """Yield the dead letters about changes, also those in queues, whose messages are visible again afterwards."""
    from ops.operator.dead_letters.stores import stores_of

    for store in stores_of(stack, consumer):
        with contextlib.closing(store):
            for letter in store.letters(settled=True):
                for event in _about(letter, records):
                    yield event, Step(letter.at, "dead letter", f"{letter.failure.condition}: {letter.location}")
                    if letter.receipt is not None:
                        receipt = letter.receipt
                        yield event, Step(None, "redrive", f"{receipt.outcome} {receipt.at} by {receipt.by}")


def _about(letter: DeadLetter, records: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """List the event ids of the changes in a dead letter, or in the range that one points at."""
    from ops.operator.dead_letters.letters import change_in, sequence_of

    if letter.records is not None:
        return [event for record in letter.records if (event := str(change_in(record).get("eventID"))) in records]
    batch = letter.failure.batch
    if batch is None or not (batch.first.isdecimal() and batch.last.isdecimal()):
        return []
    return [
        event
        for event, record in records.items()
        if int(batch.first) <= int(sequence_of(record)) <= int(batch.last) and _is_in(batch.shard_id, record)
    ]


def _is_in(shard: str, record: Mapping[str, Any]) -> bool:
    """Return whether a record may be in a shard: one of Kinesis names its own, and numbers of shards overlap there."""
    return "kinesis" not in record or record["eventID"].startswith(f"{shard}:")


def _is_about(request: ApiRequest, wanted: str) -> bool:
    return wanted in (request.request, request.key, request.key.partition("=")[2])


def _tree_of(request: ApiRequest) -> Tree:
    root = Tree(Text(f"{moment(request.at)}  request {request.request}"))
    root.add(Text(f"{request.route} {request.key}: {request.outcome} (invocation {request.invocation})"))
    return root


def _tree(each: Trace) -> Tree:
    root = Tree(Text(f"{moment(each.at)}  {each.eventName} {each.key}", style="bold"))
    if each.answered is None:
        root.add(Text(f"request {each.request}" if each.request else "no request wrote its id"))
    else:
        root.add(_tree_of(each.answered))
    root.add(Text(f"stream record {each.sequenceNumber}, event {each.eventId}"))
    for consumer, steps in each.steps.items():
        branch = root.add(Text(consumer, style="bold"))
        for step in steps:
            later = "" if step.at is None else f"+{duration(step.at - each.at)}  "
            style = {"failure": "red", "dead letter": "red", "effect": "green"}.get(step.kind, "")
            branch.add(Text(f"{later}{step.kind}: {step.text}", style=style))
    return root
