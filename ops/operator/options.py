"""Options that the operator's commands share, and the way they report errors."""

from __future__ import annotations

import functools
import json
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, NoReturn, ParamSpec

import typer

P = ParamSpec("P")

StackName = Annotated[
    str | None,
    typer.Option("-s", "--stack", help="Stack on AWS, e.g. dev; the running `weir local up` if left out."),
]
StateFile = Annotated[
    Path | None,
    typer.Option(
        "--state",
        exists=True,
        dir_okay=False,
        help="File with the stack: output of pulumi stack export, pulumi stack output --json or weir local up --json.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Iam = Annotated[bool, typer.Option("--iam", help="Print the least IAM policy that this command needs, and exit.")]


def consumer_names(ctx: typer.Context) -> list[str]:
    """List the names that complete a consumer: those in the outputs of the stack that the line names so far."""
    from ops.running import forwarders_of

    outputs = _outputs(ctx)
    return [*outputs.get("consumers", {}), *forwarders_of(outputs)]


def reader_names(ctx: typer.Context) -> list[str]:
    """List the names that complete a consumer or a pipe, as `consumer_names`."""
    return [*consumer_names(ctx), *_outputs(ctx).get("pipes", {})]


def _outputs(ctx: typer.Context) -> Mapping[str, Any]:
    from ops.operator.stack import NoStack, find

    try:
        return find(ctx.params.get("stack"), ctx.params.get("state")).outputs
    except NoStack:
        return {}


OneConsumer = Annotated[str, typer.Argument(help="Consumer.", autocompletion=consumer_names)]
ReaderName = Annotated[
    str | None,
    typer.Argument(
        metavar="[CONSUMER]", help="Consumer or pipe; all of the stack if left out.", autocompletion=reader_names
    ),
]
OneReader = Annotated[str, typer.Argument(metavar="CONSUMER", help="Consumer or pipe.", autocompletion=reader_names)]


def reports_errors(command: Callable[P, None]) -> Callable[P, None]:
    """Print errors of a command in one line, and exit with 2."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        # boto3 takes a third of a second to import, which --help should not pay for.
        from botocore.exceptions import BotoCoreError, ClientError, EndpointConnectionError

        from ops.operator.stack import NoStack

        try:
            command(*args, **kwargs)
        except NoStack as problem:
            fail(str(problem))
        except ClientError as refused:
            fail(f"AWS refused the call: {refused}")
        except EndpointConnectionError as problem:
            fail(f"{problem}: if it is that of the local stack, `weir local up` no longer runs")
        except BotoCoreError as problem:
            fail(f"AWS cannot be called: {problem}")

    return run


def fail(message: str) -> NoReturn:
    """Print an error and exit with 2."""
    typer.secho(message, fg="red", err=True)
    raise typer.Exit(2)


def print_policy(command: str, readers: Any, functions: Any = ()) -> NoReturn:
    """Print the least policy of a command and exit; see `permissions.policy`."""
    from ops.operator.permissions import policy

    typer.echo(json.dumps(policy(command, readers, functions), indent=2))
    raise typer.Exit


def to_do_it(command: str, typed: Mapping[str, object], option: str) -> str:
    """Return the hint after a dry run: the same command with the options that were typed, and `--yes`.

    Args:
        command: The command with its arguments.
        typed: Values by option; `None` for those that were left out.
        option: The option that names the stack, with a space before it.

    Example:
        >>> to_do_it("weir reread mail", {"--stale": None, "--to": "2026-01-31T08:30:00Z"}, " -s prod")
        'This was a dry run; to do it: weir reread mail --to 2026-01-31T08:30:00Z --yes -s prod'
    """
    options = "".join(f" {name} {shlex.quote(str(value))}" for name, value in typed.items() if value is not None)
    return f"This was a dry run; to do it: {command}{options} --yes{option}"


def moment(seconds: float | None) -> str:
    """Write a time for people, in UTC; `-` for none."""
    from datetime import UTC, datetime

    return "-" if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def duration(seconds: float) -> str:
    """Write a duration for people in its two largest units, e.g. `3 h 20 min`."""
    units = [("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)]
    left = max(0, round(seconds))
    parts: list[str] = []
    for name, size in units:
        if left >= size and len(parts) < 2:
            parts.append(f"{left // size} {name}")
            left %= size
    return " ".join(parts) or "0 s"
