"""`update_in_place`: applies a change of the program to what was deployed without the Pulumi CLI.

Without the CLI there is no state file, and so only inputs of resources that exist are changed, as far as AWS can change
them in place. Data, names and keys stay. Everything else needs a restart, which is said before anything is done.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeGuard

import pulumi
from botocore.exceptions import BotoCoreError, ClientError

from local.deploy import functions
from local.deploy.archives import zipped
from local.deploy.checks import problems
from local.deploy.deployment import Deployment, failing_program
from local.deploy.program import Created, Registration, run_program
from local.deploy.provider import DeployedResource, DeployFailed
from local.deploy.resources import RESOURCES, Aws, ResourceType
from local.deploy.resources.members import aws_names, to_document
from local.deploy.resources.resource_type import Change
from local.deploy.stack_files import read_stack_files
from local.deploy.stubs import Stubs
from local.endpoint.clients import Connection


class NeedsRestart(DeployFailed):
    """A change that cannot be made in place. One line per resource."""


def update_in_place(program: Path, deployment: Deployment, connection: Connection) -> tuple[Deployment, list[str]]:
    """Run the program again and change the resources whose inputs differ.

    Args:
        program: Directory of the program.
        deployment: What is deployed.
        connection: The endpoint.

    Returns:
        The deployment as it is now, and the names of the resources that were changed.

    Raises:
        NeedsRestart: A resource is new, is gone or must be replaced. Nothing was changed.
        DeployFailed: As from `deploy`; or the endpoint rejected a change, after those before it were made.
    """
    with failing_program(program):
        files = read_stack_files(program, deployment.stack)
        plan = _Plan(deployment, Aws(connection), Stubs.of(files.project, files.config))
        run = run_program(program, plan, project=files.project, stack=deployment.stack, config=files.config)
        plan.check_restart()
        changed = plan.apply()
    return replace(deployment, outputs=run.outputs, resources=plan.resources()), changed


class _Plan:
    """A `Provider` that answers with what exists, and notes what differs."""

    def __init__(self, deployment: Deployment, aws: Aws, stubs: Stubs) -> None:
        self._deployed = {each.registration.urn: each for each in deployment.resources}
        self._seen: dict[str, DeployedResource] = {}
        self._changed: list[tuple[DeployedResource, Registration, set[str]]] = []
        self._restart: list[str] = []
        self._aws = aws
        self._stubs = stubs

    def create(self, registration: Registration) -> Created:
        named = f"{registration.name} ({registration.type})"
        deployed = self._deployed.get(registration.urn)
        if deployed is None:
            raise NeedsRestart(f"{named} is new: restart `weir local up`")
        if self._stubs.resource(registration.type, registration.name) is not None:
            self._seen[registration.urn] = replace(deployed, registration=registration)
            return Created(deployed.id, deployed.outputs)
        if found := problems(registration.type, registration.inputs):
            raise DeployFailed("\n".join(f"{named}: {line}" for line in found))
        changed = _differences(deployed, registration.inputs)
        if changed:
            self._note(named, deployed, registration, changed)
        self._seen[registration.urn] = replace(deployed, registration=registration)
        return Created(deployed.id, deployed.outputs)

    def invoke(self, token: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            return functions.invoke(token, arguments, self._aws, self._stubs)
        except (functions.NotAnswered, ClientError, BotoCoreError) as error:
            raise DeployFailed(str(error)) from error

    def read(self, token: str, name: str) -> Mapping[str, Any] | None:
        return self._stubs.resource(token, name)

    def check_restart(self) -> None:
        gone = [each.registration for urn, each in self._deployed.items() if urn not in self._seen]
        lines = [*self._restart, *(f"{each.name} ({each.type}) is gone" for each in gone)]
        if lines:
            raise NeedsRestart("\n".join(f"{line}: restart `weir local up`" for line in lines))

    def apply(self) -> list[str]:
        for deployed, registration, changed in self._changed:
            declared = RESOURCES[registration.type]
            new = to_document(declared.members, _named(registration.inputs, declared, deployed))
            old = {name: value for name, value in deployed.registration.inputs.items() if not _is_archive(value)}
            change = Change(
                to_document(declared.members, _named(old, declared, deployed)),
                new,
                aws_names(declared.members, changed),
            )
            try:
                if declared.update is not None:
                    declared.update(self._aws, deployed.id, change)
                declared.settle(self._aws, deployed.id, new)
                outputs = declared.read(self._aws, deployed.id, new).outputs
            except (ClientError, BotoCoreError, TimeoutError, ValueError) as error:
                raise DeployFailed(f"{registration.name} ({registration.type}): {error}") from error
            self._seen[registration.urn] = DeployedResource(registration, deployed.id, outputs)
        return [registration.name for _, registration, _ in self._changed]

    def resources(self) -> tuple[DeployedResource, ...]:
        return tuple(self._seen.values())

    def _note(self, named: str, deployed: DeployedResource, registration: Registration, changed: set[str]) -> None:
        declared = RESOURCES[registration.type]
        replaced = {path.partition(".")[0] for path in declared.replaces} & changed
        names = aws_names(declared.members, changed)
        fixed = names if declared.update is None else names - (names if declared.updates is None else declared.updates)
        if replaced or fixed:
            self._restart.append(f"{named}: {', '.join(sorted(changed))} cannot be changed in place")
        else:
            self._changed.append((deployed, registration, changed))


def _differences(deployed: DeployedResource, new: Mapping[str, Any]) -> set[str]:
    old = deployed.registration.inputs
    return {name for name in old.keys() | new.keys() if not _same(deployed, old.get(name), new.get(name))}


def _same(deployed: DeployedResource, old: Any, new: Any) -> bool:
    if _is_archive(new):
        # The old archive names files, and those have changed since.
        return base64.b64encode(hashlib.sha256(zipped(new)).digest()).decode() == deployed.outputs.get("codeSha256")
    return old == new


def _is_archive(value: Any) -> TypeGuard[pulumi.Archive]:
    return isinstance(value, pulumi.Archive)


def _named(inputs: Mapping[str, Any], declared: ResourceType, deployed: DeployedResource) -> dict[str, Any]:
    """The inputs, with the physical name that was generated."""
    name = declared.name
    generated = {} if name is None else {name.property: deployed.outputs[name.property]}
    return {**generated, **inputs}
