"""The `local` stack: the program, deployed to an AWS endpoint of its own on this machine."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from pathlib import Path

from rich.console import Console

from local.deploy.deployment import ChangeInputs, Deployment, deploy, region_of
from local.endpoint import Endpoint
from ops.progress import step

PROGRAM = Path(__file__).resolve().parents[1]
STACK = "local"


@contextlib.contextmanager
def local_stack(
    console: Console, *, port: int = 0, change_inputs: ChangeInputs | None = None
) -> Generator[tuple[Endpoint, Deployment]]:
    """Run a block with the program deployed; afterwards nothing of it is left.

    Args:
        console: Where progress goes.
        port: Of the endpoint; 0 for a free one.
        change_inputs: Changes a resource before it is created.

    Raises:
        EndpointError: The endpoint cannot be started, e.g. because the port is in use.
        DeployFailed: The program cannot be deployed.
    """
    region = region_of(PROGRAM, STACK)
    with contextlib.ExitStack() as running:
        with step(console, "start the AWS endpoint") as starting:
            endpoint = running.enter_context(Endpoint(port=port, region=region))
            starting.tell(endpoint.url)
        with step(console, "deploy the program") as deploying:
            deployment = deploy(PROGRAM, STACK, endpoint.connection, change_inputs=change_inputs)
            deploying.tell(f"{len(deployment.resources)} resources")
        yield endpoint, deployment
