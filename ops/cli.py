"""The command `weir`."""

from __future__ import annotations

from importlib import metadata
from typing import Annotated

import typer

from ops import local_commands
from ops.demo.command import demo
from ops.diagram.command import diagram
from ops.local_up import up
from ops.operator.dead_letters.commands import dead_letters
from ops.operator.pausing import pause, resume
from ops.operator.reconcile import backfill, reconcile
from ops.operator.recount import recount
from ops.operator.reread import reread
from ops.operator.status import status
from ops.operator.tail import tail
from ops.operator.trace import trace
from ops.policies import policies
from ops.simulate import simulate
from ops.what_if import what_if

app = typer.Typer(
    name="weir",
    help="Turns DynamoDB Streams into reliable, independently retried side effects.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    # Plain text is wrapped; the tables of the other modes cut names of options off in a narrow terminal.
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(demo)
app.command()(simulate)
app.command()(what_if)
app.command()(diagram)
app.command()(status)
app.command()(tail)
app.command()(trace)
local = typer.Typer(
    help="Run the program on an AWS endpoint of this machine.", no_args_is_help=True, rich_markup_mode=None
)
local.command()(up)
local.command()(local_commands.down)
local.command()(local_commands.reset)
local.command()(local_commands.env)
local.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(local_commands.pulumi)
app.add_typer(local, name="local")
app.add_typer(dead_letters, name="dead-letters")
app.command()(reread)
app.command()(reconcile)
app.command()(backfill)
app.command()(recount)
app.command()(pause)
app.command()(resume)
app.add_typer(policies, name="policies")


@local.callback()
def _local() -> None:
    """Run the program on an AWS endpoint of this machine."""


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"weir {metadata.version('pulumi-weir')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Turns DynamoDB Streams into reliable, independently retried side effects."""
