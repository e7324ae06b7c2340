"""`weir local up`: the program, running on this machine, for any AWS client to try."""

from __future__ import annotations

import contextlib
import json
import platform
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from ops.running import announced, state_directory
from ops.stopping import stopped_by_ctrl_c

if TYPE_CHECKING:
    from ops.happenings import Happening


@stopped_by_ctrl_c(0)
def up(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the endpoint; 0 takes a free one.")] = 0,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Do not print what happens while it runs.")] = False,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="Print environment and outputs as one JSON line, then one line per event; progress goes to stderr.",
        ),
    ] = False,
) -> None:
    """Keep the program running on this machine until Ctrl-C.

    Prints the variables that point any AWS client here, and the stack's outputs. While it runs, it prints a line for
    each failure with its reason, each dead letter and mail, each stream with more readers than AWS serves, and each
    condition that turns every change down. Nothing is kept when it stops; if it is killed, the next start says what was
    lost.

    Exits 0 if it was stopped, 2 if the endpoint or the program could not be started, or the endpoint was killed.
    """
    # Pulumi's provider types take most of a second to import, which the other commands should not pay for.
    from local.deploy.deployment import DeployFailed
    from local.endpoint import EndpointError
    from ops.happenings import Watch, as_line, tell
    from ops.local_stack import PROGRAM, STACK, local_stack

    progress = Console(stderr=True)
    directory = state_directory(PROGRAM, STACK)
    try:
        with (
            local_stack(progress, port=port, state=directory) as (endpoint, deployment),
            contextlib.ExitStack() as stack,
        ):
            environment = {
                "AWS_ENDPOINT_URL": endpoint.url,
                "AWS_REGION": endpoint.region,
                # Which of the two is read depends on the SDK: boto3 and version 1 of the CLI read this one alone.
                "AWS_DEFAULT_REGION": endpoint.region,
                "AWS_ACCESS_KEY_ID": endpoint.access_key_id,
                "AWS_SECRET_ACCESS_KEY": endpoint.secret_access_key,
                "WEIR_CONTROL_TOKEN": endpoint.control_token,
            }
            lost = [journal.as_json() for journal in endpoint.lost]
            stack.enter_context(announced(directory, environment, deployment.outputs))
            _show(environment, dict(deployment.outputs), lost, as_json=as_json)
            python = platform.python_version()
            progress.print(f"Functions run on Python {python}, whatever runtime they ask for. Ctrl-C stops.")
            if not quiet:
                watch = Watch(endpoint.control, endpoint.client, deployment.outputs)
                write: Callable[[Happening], None] = (
                    (lambda happening: typer.echo(as_line(happening)))
                    if as_json
                    else lambda happening: progress.print(Text(happening.line()), soft_wrap=True)
                )
                threading.Thread(target=tell, args=(watch, write), daemon=True).start()
            raise EndpointError(f"the AWS endpoint {endpoint.wait()}")
    except (EndpointError, DeployFailed) as failed:
        typer.secho(str(failed), fg="red", err=True)
        raise typer.Exit(2) from None


def _show(environment: dict[str, str], outputs: dict[str, Any], lost: list[Any], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"environment": environment, "outputs": outputs, "lost": lost}))
        return
    for name, value in environment.items():
        typer.echo(f"export {name}={value}")
    typer.echo(json.dumps(outputs, indent=2))
