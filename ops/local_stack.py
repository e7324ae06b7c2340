"""The `local` stack: the program, deployed to an AWS endpoint of its own on this machine."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from local.deploy.deployment import ChangeInputs, Deployment, deploy, region_of
from local.deploy.program import Registration
from local.endpoint import Endpoint, EndpointError
from local.endpoint.journal import Journal
from ops.progress import Step, step

PROGRAM = Path(__file__).resolve().parents[1]
STACK = "local"
COMMAND = "weir local up"

#: Seconds in which an endpoint that was killed is seen to have ended.
ENDING_SECONDS = 0.5


@contextlib.contextmanager
def local_stack(
    console: Console,
    *,
    port: int = 0,
    change_inputs: ChangeInputs | None = None,
    config: Mapping[str, str] | None = None,
    secrets: Mapping[str, str] | None = None,
    state: Path | None = None,
) -> Generator[tuple[Endpoint, Deployment]]:
    """Run a block with the program deployed, without the Pulumi CLI; nothing of it is kept afterwards.

    Args:
        console: Where progress goes.
        port: Port of the endpoint; 0 takes a free one.
        change_inputs: Changes a resource before it is created.
        config: Values in place of the stack's.
        secrets: Values like `config` that are secrets.
        state: As for `local_endpoint`.

    Raises:
        EndpointError: As from `local_endpoint`.
        DeployFailed: The program cannot be deployed.
    """
    with local_endpoint(console, port=port, state=state) as endpoint:
        with step(console, "deploy the program") as deploying:
            counted = _counting(deploying, change_inputs)
            deployment = deploy(
                PROGRAM, STACK, endpoint.connection, change_inputs=counted, config=config, secrets=secrets
            )
            deploying.tell(f"{len(deployment.resources)} resources")
        yield endpoint, deployment


def _counting(deploying: Step, change_inputs: ChangeInputs | None) -> ChangeInputs:
    """Show how many resources were begun, each changed as `change_inputs` says."""
    numbers = itertools.count(1)

    def change(registration: Registration) -> Mapping[str, Any]:
        deploying.tell(f"{next(numbers)} resources")
        return registration.inputs if change_inputs is None else change_inputs(registration)

    return change


@contextlib.contextmanager
def local_endpoint(console: Console, *, port: int = 0, state: Path | None = None) -> Generator[Endpoint]:
    """Run a block with an empty endpoint for the stack.

    Args:
        console: Where progress goes.
        port: Port of the endpoint; 0 takes a free one.
        state: As for `Endpoint`. Losses of former stacks are printed on the console.

    Raises:
        EndpointError: The endpoint cannot be started, e.g. because the port is in use, or was killed meanwhile.
        DeployFailed: The stack has no region.
    """
    endpoint = Endpoint(port=port, region=region_of(PROGRAM, STACK), state=state, command=COMMAND)
    try:
        try:
            with step(console, "start the AWS endpoint") as starting:
                endpoint.start()
                starting.tell(endpoint.url)
        finally:
            # Printed once, also by a start that fails.
            if endpoint.lost:
                _tell(
                    console,
                    endpoint.lost,
                    "The stack is deployed anew and begins empty. Stop it with Ctrl-C or SIGTERM.",
                )
        yield endpoint
    except Exception:
        # Whatever a client made of an endpoint that is not there any more, it is not the reason. Its connections end a
        # moment before its process does.
        if (how := endpoint.wait(ENDING_SECONDS)) is None:
            raise
        told = len(endpoint.lost)
        endpoint.stop()
        if lost := endpoint.lost[told:]:
            _tell(console, lost, "Start it again with `weir local up`.")
        raise EndpointError(f"the AWS endpoint {how}") from None
    finally:
        endpoint.stop()


def _tell(console: Console, lost: list[Journal], advice: str) -> None:
    for line in [line for each in lost for line in each.lines()] + [advice]:
        console.print(Text(line, style="yellow"), soft_wrap=True)
