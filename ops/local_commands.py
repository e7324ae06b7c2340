"""`weir local env`, `pulumi`, `down` and `reset`: commands for the stack that `weir local up` keeps running."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import time
import urllib.parse
from typing import Annotated, Any

import typer

from ops.running import running, state_directory

#: Seconds that a running stack may take to put everything away.
_ENDING_SECONDS = 30.0


def env(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON line.")] = False) -> None:
    """Print the variables that point any AWS client at the running stack.

    Example: eval "$(weir local env)"

    Exits 2 if none runs.
    """
    environment = _running()["environment"]
    if as_json:
        typer.echo(json.dumps(environment))
        return
    for name, value in environment.items():
        typer.echo(f"export {name}={shlex.quote(value)}")


def pulumi(context: typer.Context) -> None:
    """Run a command of the Pulumi CLI for the running stack.

    Example: weir local pulumi -- preview --policy-pack policies

    A lock that a killed command has left is cleared first, and what it was creating is looked up.

    Exits as the CLI does, or with 2 if no stack runs, it was deployed without the CLI, or a stack that `localStubs`
    names cannot exist here.
    """
    from local.deploy.deployment import DeployFailed
    from ops.engine import Engine
    from ops.local_stack import PROGRAM, STACK

    found = _running()
    if found["engine"] is None:
        typer.secho(
            "the running stack was deployed without the Pulumi CLI, which keeps its state: run `make engine`, and "
            "start `weir local up` again",
            fg="red",
            err=True,
        )
        raise typer.Exit(2)
    try:
        status = Engine(PROGRAM, STACK, found["engine"]).run(*context.args)
    except DeployFailed as refused:
        typer.secho(str(refused), fg="red", err=True)
        raise typer.Exit(2) from None
    raise typer.Exit(status)


def down() -> None:
    """Stop the running stack and throw everything away.

    Exits 0, also if none runs.
    """
    found = _found()
    if found is None:
        typer.echo("nothing runs")
        return
    os.kill(found["pid"], signal.SIGTERM)
    deadline = time.monotonic() + _ENDING_SECONDS
    while _serves(found["environment"]["AWS_ENDPOINT_URL"]):
        if time.monotonic() > deadline:
            typer.secho(f"process {found['pid']} has not ended after {_ENDING_SECONDS:.0f} s", fg="red", err=True)
            raise typer.Exit(2)
        time.sleep(0.05)
    typer.echo("stopped")


def reset() -> None:
    """Throw away everything that the running stack holds, and deploy the program anew on the same port.

    The keys and generated names are new: run `weir local env` again.

    Exits 2 if none runs.
    """
    os.kill(_running()["pid"], signal.SIGUSR1)
    typer.echo("the running `weir local up` begins anew")


def _serves(url: str) -> bool:
    address = urllib.parse.urlparse(url)
    try:
        socket.create_connection((address.hostname, address.port or 80), timeout=1).close()
    except OSError:
        return False
    return True


def _found() -> dict[str, Any] | None:
    from ops.local_stack import PROGRAM, STACK

    return running(state_directory(PROGRAM, STACK))


def _running() -> dict[str, Any]:
    found = _found()
    if found is None:
        typer.secho("no stack runs here: start it with `weir local up`", fg="red", err=True)
        raise typer.Exit(2)
    return found
