"""The command line of the demo."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.console import Console

from ops.demo.mechanisms import Mechanism
from ops.demo.plan import FEWEST_USERS, MOST_USERS
from ops.stopping import stopped_by_ctrl_c


def _consumers() -> list[str]:
    """List the names that complete `--only`."""
    from ops.demo.receivers import RECEIVERS

    return [receiver.consumer for receiver in RECEIVERS]


@stopped_by_ctrl_c(130)
def demo(
    users: Annotated[int, typer.Option(min=FEWEST_USERS, max=MOST_USERS, help="Number of users.")] = 100,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the endpoint; 0 takes a free one.")] = 0,
    without: Annotated[Mechanism | None, typer.Option(help="Switch a mechanism off to see what it prevents.")] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Show this consumer alone, with those that it needs; repeat it for more.",
            autocompletion=_consumers,
        ),
    ] = None,
    direct: Annotated[
        bool, typer.Option(help="Let welcome-email read the stream itself, without a fan-out: bisection shows there.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON; progress goes to stderr.")] = False,
) -> None:
    """Run the whole program on this machine, with faults, and check its claims.

    Starts an AWS endpoint on 127.0.0.1, deploys the program to it, and upgrades users and opens accounts over the API.
    Meanwhile the faults occur that the program is built for: two addresses cannot receive mail, a record kills the
    function, answers get lost, SES and DynamoDB throttle, onboardings are refused, old changes come again. Then the
    demo checks every claim by evidence that you could look at as well: the inbox, the tables, the CRM, the events of
    the partner and the subscriber, the workflows, the failure buckets, the streams, the alarms.

    Example: weir demo --only entitlements --without version-guard --users 20

    Exits 0 if every claim holds, 1 if one does not, 2 if the demo could not run, 130 if it was stopped.
    """
    # Pulumi's provider types take most of a second to import, which the other commands should not pay for.
    from local.deploy.deployment import DeployFailed
    from local.endpoint import EndpointError
    from ops.demo.report import print_report
    from ops.demo.run import NotQuiet, NotShown, run_demo

    progress = Console(stderr=as_json)
    try:
        report = run_demo(users, port=port, without=without, console=progress, only=only or (), direct=direct)
    except NotShown as wrong:
        raise typer.BadParameter(str(wrong)) from None
    except (EndpointError, DeployFailed, NotQuiet, TimeoutError) as failed:
        typer.secho(str(failed), fg="red", err=True)
        raise typer.Exit(2) from None
    if as_json:
        typer.echo(json.dumps(report.as_json(), indent=2))
    else:
        print_report(report, progress)
    if not report.holds:
        names = ", ".join(verdict.name for verdict in report.broken)
        typer.secho(f"claims that do not hold: {names}", fg="red", bold=True, err=True)
        raise typer.Exit(1)
