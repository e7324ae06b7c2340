"""`weir recount`: compare the plan counts with the users' table, and repair them."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ops.operator.options import AsJson, Iam, StackName, StateFile, fail, reports_errors

if TYPE_CHECKING:
    from ops.operator.consumers import Consumer
    from ops.operator.stack import Stack

#: The consumer whose counters are compared.
CONSUMER = "plan-counts"


@reports_errors
def recount(
    yes: Annotated[bool, typer.Option("--yes", help="Repair the counters; without, they are only compared.")] = False,
    passes: Annotated[int, typer.Option(min=2, max=10, help="Passes over the table.")] = 3,
    wait: Annotated[float, typer.Option(min=0, help="Seconds between two passes.")] = 10.0,
    stack: StackName = None,
    state: StateFile = None,
    as_json: AsJson = False,
    iam: Iam = False,
) -> None:
    """Compare the number of users per plan with the table, and with --yes repair it.

    Reads the whole table several times. A counter is off if every pass says so by the same number; one whose difference
    changes is being written and is left alone. A repair adds the difference, so that changes that are counted meanwhile
    stay counted. It is refused while changes wait for the consumer, since they would be counted a second time.

    Example: weir recount --yes -s prod

    Exits 0 if all counters are right or repaired, 1 if some are off or moving, 2 if the stack cannot be read.
    """
    from handlers import plan_counts
    from handlers.cdc.counter_table import CounterTable
    from handlers.cdc.counters import DEFAULT_VARIABLE, Counters
    from handlers.cdc.recount import recount as compare
    from handlers.cdc.recount import repair
    from handlers.plans import FEATURES
    from ops.operator.consumers import consumers_of
    from ops.operator.stack import find
    from ops.running import FORWARDER, forwarders_of

    found = find(stack, state)
    tables = [found.outputs.get(name) for name in ("usersTable", "planCountsTable")]
    if not all(isinstance(table, str) for table in tables):
        fail("the stack counts no plans: run  pulumi config set fanOut true  and  pulumi up")
    users, counts = str(tables[0]), str(tables[1])
    # A change that its forwarder has not passed on waits for the consumer as well.
    names = [CONSUMER, *({FORWARDER} & forwarders_of(found.outputs).keys())]
    waited_for = [each for name in names for each in consumers_of(found, name)]
    if iam:
        typer.echo(json.dumps(_policy(waited_for, users, counts), indent=2))
        raise typer.Exit
    dynamodb = found.client("dynamodb")
    counters = Counters(CONSUMER, store=CounterTable(DEFAULT_VARIABLE, table=counts, dynamodb=dynamodb))
    quiet = _waiting(found, waited_for) == 0
    result = compare(
        counters,
        lambda: _items(dynamodb, users),
        plan_counts.counted_by,
        known=[f"users#{plan}" for plan in FEATURES],
        passes=passes,
        between=lambda: time.sleep(wait),
    )
    waiting = _waiting(found, waited_for)
    repaired = yes and bool(result.differences) and quiet and not waiting
    if repaired:
        repair(counters, result.differences, str(uuid.uuid4()))
    if as_json:
        typer.echo(json.dumps(asdict(result) | {"repaired": repaired, "waiting": waiting}))
    else:
        for each in result.differences:
            typer.echo(f"{each.counter}: {each.counted}, and {each.expected} in the table")
        for counter in result.moving:
            typer.echo(f"{counter}: is being written, so it cannot be compared now")
        if repaired:
            typer.echo("repaired")
        elif yes and result.differences:
            typer.echo(
                f"not repaired: changes wait for {CONSUMER} and would be counted a second time. Look at them: "
                f"weir status{found.option}"
            )
        elif result.differences:
            typer.echo(f"to repair: weir recount --yes{found.option}")
        elif not result.moving:
            typer.echo("all counters are right")
    raise typer.Exit(int(bool(result.moving or (result.differences and not repaired))))


def _items(dynamodb: Any, table: str) -> Iterator[Mapping[str, Any]]:
    pages = dynamodb.get_paginator("scan").paginate(
        TableName=table,
        ConsistentRead=True,
        ProjectionExpression="#plan",
        ExpressionAttributeNames={"#plan": "plan"},
    )
    for page in pages:
        for item in page["Items"]:
            yield {name: value.get("S") for name, value in item.items()}


def _waiting(stack: Stack, consumers: Sequence[Consumer]) -> int:
    """Return how many changes are in queues and among dead letters, and one more for each that does not read."""
    from ops.operator.dead_letters.stores import stores_of

    total = 0
    for consumer in consumers:
        total += 0 if consumer.mapping["State"] == "Enabled" else 1
        total += sum(store.waiting()[0] for store in stores_of(stack, consumer))
        if consumer.reads_queue:
            total += _in_queue(stack.client("sqs"), consumer.source)
    return total


def _in_queue(sqs: Any, arn: str) -> int:
    names = [f"ApproximateNumberOfMessages{name}" for name in ("", "NotVisible", "Delayed")]
    url = sqs.get_queue_url(QueueName=arn.rpartition(":")[2])["QueueUrl"]
    answer = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return sum(int(answer[name]) for name in names)


def _policy(consumers: Sequence[Consumer], users: str, counts: str) -> dict[str, Any]:
    from ops.operator.permissions import policy

    _, partition, _, region, account = consumers[0].source.split(":")[:5]
    of = f"arn:{partition}:dynamodb:{region}:{account}:table/"
    common = policy("recount", consumers)
    common["Statement"] += [
        {"Effect": "Allow", "Action": ["dynamodb:Scan"], "Resource": [f"{of}{users}"]},
        {
            "Effect": "Allow",
            "Action": ["dynamodb:BatchGetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"],
            "Resource": [f"{of}{counts}"],
        },
    ]
    return common
