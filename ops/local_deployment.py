"""The program on an endpoint, deployed by the Pulumi CLI or without it, and changed while it runs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from local.deploy.deployment import DeployFailed, deploy
from local.deploy.in_place import update_in_place
from local.deploy.stubs import Stubs
from local.endpoint import Endpoint
from local.pulumi_host.cli import Cli
from ops.engine import engine_of
from ops.local_stack import PROGRAM, STACK
from ops.progress import step


@dataclass
class LocalDeployment:
    """A deployed program.

    Attributes:
        outputs: The stack's outputs, as they are after the last update.
        environment: Variables of the Pulumi CLI; `None` without one.
    """

    outputs: dict[str, Any]
    environment: Mapping[str, str] | None
    _update: Callable[[], tuple[Mapping[str, Any], list[str]]]

    def update(self, console: Console) -> None:
        """Apply a change of the program, and say what came of it. A mistake in it is not the end."""
        try:
            outputs, changed = self._update()
        except DeployFailed as failed:
            console.print(Text(str(failed), style="red"), soft_wrap=True)
            return
        self.outputs.update(outputs)
        for gone in self.outputs.keys() - outputs.keys():
            del self.outputs[gone]
        console.print(f"updated: {', '.join(changed)}" if changed else "nothing to update", soft_wrap=True)


def by_mocks(console: Console, endpoint: Endpoint) -> LocalDeployment:
    """Deploy without the CLI.

    Raises:
        DeployFailed: The program cannot be deployed.
    """
    _say_stubs(console)
    with step(console, "deploy the program") as deploying:
        deployment = deploy(PROGRAM, STACK, endpoint.connection)
        deploying.tell(f"{len(deployment.resources)} resources")

    def update() -> tuple[Mapping[str, Any], list[str]]:
        nonlocal deployment
        deployment, changed = update_in_place(PROGRAM, deployment, endpoint.connection)
        return deployment.outputs, changed

    return LocalDeployment(dict(deployment.outputs), None, update)


@contextlib.contextmanager
def by_engine(console: Console, endpoint: Endpoint, cli: Cli, directory: Path) -> Generator[LocalDeployment]:
    """Deploy by the CLI, whose provider is served while a block runs.

    Args:
        console: Where progress goes.
        endpoint: The endpoint.
        cli: The CLI.
        directory: Holds the CLI's state and home.

    Raises:
        DeployFailed: The program cannot be deployed, in the engine's words.
    """
    _say_stubs(console)
    with engine_of(cli, endpoint, PROGRAM, STACK, directory) as engine:
        with step(console, "deploy the program by the Pulumi engine") as deploying:
            made = engine.up()
            deploying.tell(f"{len(made.steps)} resources")

        def update() -> tuple[Mapping[str, Any], list[str]]:
            changed = [f"{name} ({done})" for name, done in engine.up().steps.items()]
            return engine.outputs(), changed

        yield LocalDeployment(engine.outputs(), engine.environment, update)


def _say_stubs(console: Console) -> None:
    try:
        stubs = Stubs.of_stack(PROGRAM, STACK)
    except ValueError as wrong:
        raise DeployFailed(str(wrong)) from None
    if stubs.outputs:
        console.print(f"stood in for, and made up: {', '.join(sorted(stubs.outputs))}", soft_wrap=True)
