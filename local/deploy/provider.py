"""`AwsProvider`: creates on an AWS endpoint what a program registers."""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local.deploy import strict
from local.deploy.program import Created, Registration
from local.deploy.resources import RESOURCES, Aws, Inputs, NotUsed

#: Gets a resource before it is created, and returns the inputs to create it with.
ChangeInputs = Callable[[Registration], Mapping[str, Any]]


class DeployFailed(RuntimeError):
    """The program could not be deployed. The message says which resource or value, why, and what to do."""


@dataclass(frozen=True)
class DeployedResource:
    """A resource that exists now.

    Attributes:
        registration: What the program asked for; its inputs as they were created.
        id: The provider's id of it.
        outputs: Outputs in wire names, beyond the inputs.
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
        name_seed: Makes the made-up part of physical names repeatable.

    Attributes:
        deployed: What was created, in the order in which it was done.
    """

    def __init__(
        self,
        aws: Aws,
        project: str,
        stack: str,
        change_inputs: ChangeInputs | None = None,
        name_seed: str | None = None,
    ) -> None:
        self.deployed: list[DeployedResource] = []
        self._aws = aws
        self._marker = f"/pulumi/{project}/{stack}"
        self._change_inputs = change_inputs
        self._name_seed = name_seed
        self._marked = False
        self._lock = threading.Lock()

    def check(self, registrations: Iterable[Registration]) -> None:
        """Refuse what could not be created, before anything is.

        Raises:
            DeployFailed: A line per type that the table does not know, and per input that the provider would refuse.
        """
        lines = [line for each in registrations if each.custom for line in _problems(each)]
        if lines:
            raise DeployFailed("\n".join(lines))

    def create(self, registration: Registration) -> Created:
        """Create a resource.

        Raises:
            DeployFailed: It cannot be created here, the endpoint refused it, or the stack is deployed already.
        """
        if self._change_inputs is not None:
            registration = replace(registration, inputs=self._change_inputs(registration))
            self.check([registration])
        try:
            self._mark()
            inputs = Inputs(registration.inputs, lambda: self._physical_name(registration))
            created = RESOURCES[registration.type](inputs, self._aws)
        except (ClientError, BotoCoreError, NotUsed, TimeoutError, ValueError) as error:
            raise DeployFailed(f"{_named(registration)}: {_said(error)}") from error
        with self._lock:
            self.deployed.append(DeployedResource(registration, created.id, created.outputs))
        return created

    def invoke(self, token: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """Answer a function of pulumi_aws.

        Raises:
            DeployFailed: It is not one of those that are answered here, or the endpoint does not answer.
        """
        answer = _FUNCTIONS.get(token)
        if answer is None:
            raise DeployFailed(
                f"{token} is a function that cannot be answered on this machine: there is {', '.join(_FUNCTIONS)}"
            )
        if left := sorted(name for name, value in arguments.items() if value is not None):
            raise DeployFailed(f"{token}: {', '.join(left)} would be ignored: call it without arguments")
        try:
            return answer(self._aws)
        except (ClientError, BotoCoreError) as error:
            raise DeployFailed(f"{token}: {_said(error)}") from error

    def _mark(self) -> None:
        """Leave one log group named after the stack: there is no state file that could say it is deployed."""
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

    def _physical_name(self, registration: Registration) -> str:
        """As the provider makes one: the name and seven random hexadecimal digits."""
        if self._name_seed is None:
            digits = secrets.token_hex(4)
        else:
            digits = hashlib.sha256(f"{self._name_seed} {registration.urn}".encode()).hexdigest()
        return f"{registration.name}-{digits[:7]}"


def _said(error: Exception) -> str:
    """Without what botocore adds to the service's words: that it did not try again is told to nobody."""
    return str(error).replace(" (reached max retries: 0)", "")


def _named(registration: Registration) -> str:
    return f"{registration.name} ({registration.type})"


def _problems(registration: Registration) -> Iterator[str]:
    if registration.type not in RESOURCES:
        yield (
            f"{_named(registration)} is of a type that cannot be deployed on this machine: "
            f"those in local/deploy/resources are {', '.join(sorted(RESOURCES))}"
        )
        return
    for problem in strict.problems(registration.type, registration.inputs):
        yield f"{_named(registration)}: {problem}"


def _caller_identity(aws: Aws) -> Mapping[str, Any]:
    caller = aws.client("sts").get_caller_identity()
    return {"accountId": caller["Account"], "arn": caller["Arn"], "userId": caller["UserId"], "id": caller["Account"]}


def _region(aws: Aws) -> Mapping[str, Any]:
    return {"region": aws.region, "name": aws.region, "id": aws.region, "description": "", "endpoint": aws.endpoint_url}


_FUNCTIONS: Mapping[str, Callable[[Aws], Mapping[str, Any]]] = {
    "aws:index/getCallerIdentity:getCallerIdentity": _caller_identity,
    "aws:index/getRegion:getRegion": _region,
}
