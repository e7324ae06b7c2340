"""`weir local up`: the program, running on this machine, for any AWS client to try."""

from __future__ import annotations

import contextlib
import json
import platform
import signal
import threading
from collections.abc import Callable
from types import FrameType
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
    watch: Annotated[
        bool, typer.Option("--watch", help="Apply each change of the program while it runs; data, names and keys stay.")
    ] = False,
    with_cli: Annotated[
        bool,
        typer.Option(
            "--cli/--no-cli", help="Deploy by the Pulumi CLI if there is one (make engine), or without it: faster."
        ),
    ] = True,
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

    Prints the variables that point any AWS client here, the stack's outputs, and what in the policies of the program's
    roles is not evaluated here. While it runs, it prints a line for
    each failure with its reason, each dead letter and mail, each stream with more readers than AWS serves, and each
    condition that turns every change down. With the Pulumi CLI, `weir local pulumi` previews and changes the stack.
    Nothing is kept when it stops; if it is killed, the next start says what was lost.

    Exits 0 if it was stopped, 2 if the endpoint or the program could not be started, or the endpoint was killed.
    """
    # Pulumi's provider types take most of a second to import, which the other commands should not pay for.
    from local.deploy.deployment import DeployFailed
    from local.endpoint import EndpointError

    progress = Console(stderr=True)
    signal.signal(signal.SIGUSR1, _reset)
    while True:
        try:
            _run(progress, port=port, watch=watch, with_cli=with_cli, quiet=quiet, as_json=as_json)
        except Reset as reset:
            port = reset.port
            progress.print("reset: everything is thrown away")
        except (EndpointError, DeployFailed) as failed:
            typer.secho(str(failed), fg="red", err=True)
            raise typer.Exit(2) from None


class Reset(Exception):
    """A request to begin again with an empty endpoint, on the same port."""

    port = 0


def _reset(_number: int, _frame: FrameType | None) -> None:
    raise Reset


def _run(progress: Console, *, port: int, watch: bool, with_cli: bool, quiet: bool, as_json: bool) -> None:
    """Run until the endpoint ends.

    Raises:
        EndpointError: It ended, or could not be started.
        DeployFailed: The program cannot be deployed.
        Reset: Another process asked for an empty one.
    """
    from local.endpoint import EndpointError
    from local.pulumi_host.cli import find
    from local.pulumi_host.environment import aws_environment
    from ops.happenings import Watch, as_line, tell
    from ops.local_deployment import by_engine, by_mocks
    from ops.local_stack import PROGRAM, STACK, local_endpoint
    from ops.source_changes import SourceChanges

    directory = state_directory(PROGRAM, STACK)
    with local_endpoint(progress, port=port, state=directory) as endpoint, contextlib.ExitStack() as stack:
        try:
            cli = find() if with_cli else None
            if cli is None:
                deployed = by_mocks(progress, endpoint)
            else:
                deployed = stack.enter_context(by_engine(progress, endpoint, cli, directory / "engine"))
            environment = {**aws_environment(endpoint.connection), "WEIR_CONTROL_TOKEN": endpoint.control_token}
            lost = [journal.as_json() for journal in endpoint.lost]
            announce = stack.enter_context(announced(directory, environment, deployed.outputs, deployed.environment))
            not_judged = endpoint.control.unjudged()
            _show(environment, dict(deployed.outputs), lost, not_judged, as_json=as_json)
            _say_not_judged(progress, not_judged)
            python = platform.python_version()
            progress.print(f"Functions run on Python {python}, whatever runtime they ask for. Ctrl-C stops.")
            if not quiet:
                happenings = Watch(endpoint.control, endpoint.client, deployed.outputs)
                write: Callable[[Happening], None] = (
                    (lambda happening: typer.echo(as_line(happening)))
                    if as_json
                    else lambda happening: progress.print(Text(happening.line()), soft_wrap=True)
                )
                threading.Thread(target=tell, args=(happenings, write), daemon=True).start()
            changes = SourceChanges(PROGRAM)
            while (how := endpoint.wait(_LOOK_SECONDS if watch else None)) is None:
                if changes.found():
                    deployed.update(progress)
                    announce()
                    _say_not_judged(progress, endpoint.control.unjudged())
            raise EndpointError(f"the AWS endpoint {how}")
        except Reset as reset:
            reset.port = int(endpoint.url.rpartition(":")[2])
            raise


#: Seconds between two looks at the program's files.
_LOOK_SECONDS = 0.5


def _say_not_judged(progress: Console, not_judged: list[str]) -> None:
    """Print what in the policies of the program's roles the endpoint does not evaluate."""
    for sentence in not_judged:
        progress.print(Text(f"not judged: {sentence}"), soft_wrap=True)


def _show(
    environment: dict[str, str], outputs: dict[str, Any], lost: list[Any], not_judged: list[str], *, as_json: bool
) -> None:
    if as_json:
        document = {"environment": environment, "outputs": outputs, "lost": lost, "notJudged": not_judged}
        typer.echo(json.dumps(document))
        return
    for name, value in environment.items():
        typer.echo(f"export {name}={value}")
    typer.echo(json.dumps(outputs, indent=2))
