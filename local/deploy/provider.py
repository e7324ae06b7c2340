"""`AwsProvider`: creates a program's resources on an AWS endpoint."""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local.deploy import functions
from local.deploy.checks import problems
from local.deploy.program import Created, Registration
from local.deploy.resources import RESOURCES, Aws, NotUsed
from local.deploy.resources.members import to_document
from local.deploy.resources.resource_type import ResourceType
from local.deploy.stubs import Stubs, made_up

#: Called with a resource before its creation; returns the inputs to create it with.
ChangeInputs = Callable[[Registration], Mapping[str, Any]]


class DeployFailed(RuntimeError):
    """A program that could not be deployed. The message names the resource or value, the reason and the remedy."""


@dataclass(frozen=True)
class DeployedResource:
    """A resource that was created.

    Attributes:
        registration: The program's registration; its inputs are those it was created with.
        id: Its id in the provider.
        outputs: Outputs in wire names, without the inputs.
    """

    registration: Registration
    id: str
    outputs: Mapping[str, Any]


class AwsProvider:
    """The `Provider` of one deployment of a stack.

    Args:
        aws: The endpoint.
        project: Name of the project.
        stack: Name of the stack.
        change_inputs: Changes a resource before it is created.
        name_seed: Seed of the generated part of physical names.
        stubs: Resources and look-ups that are stood in for.

    Attributes:
        deployed: The created resources, in the order of their creation.
    """

    def __init__(
        self,
        aws: Aws,
        project: str,
        stack: str,
        change_inputs: ChangeInputs | None = None,
        name_seed: str | None = None,
        stubs: Stubs | None = None,
    ) -> None:
        self.deployed: list[DeployedResource] = []
        self._aws = aws
        self._marker = f"/pulumi/{project}/{stack}"
        self._change_inputs = change_inputs
        self._name_seed = name_seed
        self._stubs = stubs or Stubs()
        self._marked = False
        self._lock = threading.Lock()

    def check(self, registrations: Iterable[Registration]) -> None:
        """Reject resources that could not be created, before any is created.

        Raises:
            DeployFailed: One line per unknown type, and per input that the provider would reject.
        """
        lines = [f"{_named(each)}: {line}" for each in registrations if each.custom for line in self._problems(each)]
        if lines:
            raise DeployFailed("\n".join(lines))

    def create(self, registration: Registration) -> Created:
        """Create a resource.

        Raises:
            DeployFailed: The resource cannot be created here, the endpoint rejected it, or the stack is already
                deployed.
        """
        if self._change_inputs is not None:
            registration = replace(registration, inputs=self._change_inputs(registration))
            self.check([registration])
        try:
            self._mark()
            created = self._create(registration)
        except (ClientError, BotoCoreError, NotUsed, TimeoutError, ValueError) as error:
            raise DeployFailed(f"{_named(registration)}: {_said(error)}") from error
        with self._lock:
            self.deployed.append(DeployedResource(registration, created.id, created.outputs))
        return created

    def _create(self, registration: Registration) -> Created:
        given = self._stubs.resource(registration.type, registration.name)
        if given is not None:
            module = registration.type.split(":")[1].partition("/")[0]
            arn = self._aws.arn(module, registration.name)
            return Created(*made_up(registration.name, self._digits(registration), arn, given))
        resource_type = RESOURCES[registration.type]
        return create(resource_type, self._named(resource_type, registration), self._aws)

    def _problems(self, registration: Registration) -> list[str]:
        token, name = registration.type, registration.name
        if self._stubs.resource(token, name) is not None:
            return []
        found = problems(token, registration.inputs)
        return found if token in RESOURCES else [f"{each}; {self._stubs.hint(token, name)}" for each in found]

    def invoke(self, token: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """Answer a function of pulumi_aws.

        Raises:
            DeployFailed: The function is not answered here, or the endpoint does not answer.
        """
        try:
            return functions.invoke(token, arguments, self._aws, self._stubs)
        except functions.NotAnswered as error:
            raise DeployFailed(str(error)) from error
        except (ClientError, BotoCoreError) as error:
            raise DeployFailed(f"{token}: {_said(error)}") from error

    def read(self, token: str, name: str) -> Mapping[str, Any] | None:
        """Answer with a stub's outputs: nothing that exists is known here."""
        return self._stubs.resource(token, name)

    def _mark(self) -> None:
        """Create one log group named after the stack: it marks the stack as deployed, since there is no state file."""
        with self._lock:
            if self._marked:
                return
            logs = self._aws.client("logs")
            try:
                logs.create_log_group(logGroupName=self._marker)
            except logs.exceptions.ResourceAlreadyExistsException:
                raise DeployFailed(
                    f"the stack is on this endpoint already, or was begun (there is the log group {self._marker}), "
                    "and nothing here can update it: start a fresh endpoint"
                ) from None
            self._marked = True

    def _named(self, resource_type: ResourceType, registration: Registration) -> Mapping[str, Any]:
        """The inputs, with a generated physical name if none was given."""
        inputs, name = registration.inputs, resource_type.name
        if name is None or inputs.get(name.property):
            return inputs
        generated = resource_type.generated_name(registration.name, self._digits(registration), inputs)
        if problem := name.problem(generated):
            raise ValueError(f"{name.property} {problem}")
        return {**inputs, name.property: generated}

    def _digits(self, registration: Registration) -> str:
        if self._name_seed is None:
            return secrets.token_hex(4)
        return hashlib.sha256(f"{self._name_seed} {registration.urn}".encode()).hexdigest()


def create(resource_type: ResourceType, inputs: Mapping[str, Any], aws: Aws) -> Created:
    """Create a resource and wait until it can be used.

    Raises:
        NotUsed: An input has no member.
        ClientError: AWS rejected it; `BotoCoreError`, `TimeoutError` and `ValueError` are further failures.
    """
    document = to_document(resource_type.members, inputs)
    id_ = resource_type.begin(aws, document)
    resource_type.settle(aws, id_, document)
    return Created(id_, resource_type.read(aws, id_, document).outputs)


def _said(error: Exception) -> str:
    """The service's message, without botocore's note that it did not retry."""
    return str(error).replace(" (reached max retries: 0)", "")


def _named(registration: Registration) -> str:
    return f"{registration.name} ({registration.type})"
