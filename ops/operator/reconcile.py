"""`weir reconcile` and `weir backfill`: find what is missing of a table, and have it brought about."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from ops.operator.options import AsJson, Iam, StackName, StateFile, fail, reports_errors

if TYPE_CHECKING:
    from pathlib import Path

    from ops.operator.stack import Stack

#: Seconds between two looks at the execution.
POLL_SECONDS = 1.0

#: The command of each walk, by the stack's output with its machine.
_COMMANDS = {"reconciliation": "reconcile", "backfill": "backfill"}

#: The output with the machines of all walks of a kind, by name; a stack may lack it.
_ALL = {"reconciliation": "reconciliations"}


@reports_errors
def reconcile(
    yes: Annotated[bool, typer.Option("--yes", help="Have what is missing brought about.")] = False,
    stack: StackName = None,
    state: StateFile = None,
    as_json: AsJson = False,
    iam: Iam = False,
) -> None:
    """Look for effects and rows that are missing, and with --yes have them brought about.

    Reads each table of a reconciliation, as that does on its schedule, and waits for the end. What is missing goes to
    the queues of its consumers, which bring it about once. The reports in S3 have a line for each.

    Example: weir reconcile -s prod

    Exits 0 if nothing is missing or everything was sent, 1 if something is missing or uncertain, 2 if the walk failed
    or the stack has no reconciliation.
    """
    how = "pulumi config set reconciliation true"
    _run("reconciliation", how, yes=yes, stack=stack, state=state, as_json=as_json, iam=iam)


@reports_errors
def backfill(
    yes: Annotated[bool, typer.Option("--yes", help="Give the items to the consumers.")] = False,
    export: Annotated[
        list[str] | None,
        typer.Option("--export", metavar="ARN", help="Read this export in the table's place. Repeat it for several."),
    ] = None,
    stack: StackName = None,
    state: StateFile = None,
    as_json: AsJson = False,
    iam: Iam = False,
) -> None:
    """Count the items that new consumers have not seen, and with --yes give them to those consumers.

    Reads the whole table and waits for the end. Projections are written under their version guard; effects of the past
    are marked as done and not run. With --export it reads finished exports from S3: a full one for every consumer, and
    incremental ones, which meet each other, for projections.

    Example: weir backfill --yes -s prod

    Exits 0 if nothing is missing or everything was sent, 1 if something is missing, 2 if the walk failed or the stack
    has no backfill.
    """
    how = "pulumi config set backfill CONSUMER"
    _run("backfill", how, yes=yes, stack=stack, state=state, as_json=as_json, iam=iam, exports=export or ())


def _run(
    walk: str,
    how: str,
    *,
    yes: bool,
    stack: str | None,
    state: Path | None,
    as_json: bool,
    iam: bool,
    exports: Sequence[str] = (),
) -> NoReturn:
    from ops.operator.stack import find

    found = find(stack, state)
    machine = found.outputs.get(walk)
    if not isinstance(machine, str):
        fail(f"the stack has no {walk}: run  {how}  and  pulumi up")
    machines: dict[str, str] = found.outputs.get(_ALL.get(walk, ""), {walk: machine})
    if iam:
        typer.echo(json.dumps(_policy(list(machines.values())), indent=2))
        raise typer.Exit
    executions, segments = _walk(found, machines, dry_run=not yes, exports=exports)
    results = {kind: _totals(segments, kind) for kind in ("missing", "uncertain", "sent")}
    checked = sum(each["checked"] for each in segments)
    if as_json:
        first = executions.get(walk) or next(iter(executions.values()))
        said = {"execution": first, "executions": executions, "dryRun": not yes, "checked": checked}
        typer.echo(json.dumps({**said, **results}))
    else:
        command = " ".join([_COMMANDS[walk], *(f"--export {each}" for each in exports)])
        _print(found, checked, results, yes=yes, command=command)
    raise typer.Exit(int(bool(results["uncertain"] or (results["missing"] and not yes))))


def _walk(
    stack: Stack, machines: Mapping[str, str], *, dry_run: bool, exports: Sequence[str]
) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """Run all machines at once, and return their executions, by name, and the results of all segments."""
    client = stack.client("stepfunctions")
    asked = json.dumps({"dryRun": dry_run, **({"exports": exports} if exports else {})})
    executions = {
        name: client.start_execution(stateMachineArn=machine, input=asked)["executionArn"]
        for name, machine in machines.items()
    }
    return executions, [each for execution in executions.values() for each in results_of(client, execution)]


def results_of(client: Any, execution: str) -> list[dict[str, Any]]:
    """Wait for an execution, say how far it is, and return the results of its segments."""
    said = None
    while True:
        found = client.describe_execution(executionArn=execution)
        match found["status"]:
            case "RUNNING":
                done = _progress(client, execution)
                if done not in (None, said):
                    typer.echo(f"{execution.split(':')[-2]}: {done}", err=True)
                    said = done
                time.sleep(POLL_SECONDS)
            case "SUCCEEDED":
                return json.loads(found["output"])
            case ended:
                fail(f"the walk {ended.lower()}: {cause_of(found)} ({execution})")


def _progress(client: Any, execution: str) -> str | None:
    """Return how many segments of a walk are read; `None` before the first begins."""
    for run in client.list_map_runs(executionArn=execution)["mapRuns"]:
        counts = client.describe_map_run(mapRunArn=run["mapRunArn"])["itemCounts"]
        return f"{counts['succeeded']} of {counts['total']} segments read"
    return None


def cause_of(execution: Mapping[str, Any]) -> str:
    """Return why an execution failed: a function's message alone, where it was a function."""
    cause: str = execution.get("cause") or execution.get("error") or "no cause"
    try:
        found = json.loads(cause)
    except ValueError:
        return cause
    return str(found["errorMessage"]) if isinstance(found, dict) and "errorMessage" in found else cause


def _totals(segments: list[dict[str, Any]], kind: str) -> dict[str, int]:
    totals: dict[str, int] = {}
    for segment in segments:
        for name, number in segment[kind].items():
            totals[name] = totals.get(name, 0) + number
    return dict(sorted(totals.items()))


def _print(stack: Stack, checked: int, results: Mapping[str, Mapping[str, int]], *, yes: bool, command: str) -> None:
    missing, uncertain = results["missing"], results["uncertain"]
    typer.echo(f"{checked} items read")
    for name in sorted({*missing, *uncertain}):
        parts = [f"{missing[name]} missing"] if name in missing else []
        if name in uncertain:
            parts.append(f"{uncertain[name]} uncertain (weir dead-letters list {name}{stack.option})")
        typer.echo(f"{name}: {', '.join(parts)}")
    if not missing and not uncertain:
        typer.echo("nothing is missing")
    elif missing:
        typer.echo(
            "all that is missing went to the queues of its consumers"
            if yes
            else f"to have it brought about: weir {command} --yes{stack.option}"
        )


def _policy(machines: Sequence[str]) -> dict[str, Any]:
    executions = [f"{each.replace(':stateMachine:', ':execution:')}:*" for each in machines]
    runs = [f"{each.replace(':stateMachine:', ':mapRun:')}/*" for each in machines]
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": ["states:StartExecution"], "Resource": machines},
            {"Effect": "Allow", "Action": ["states:DescribeExecution", "states:ListMapRuns"], "Resource": executions},
            {"Effect": "Allow", "Action": ["states:DescribeMapRun"], "Resource": runs},
        ],
    }
