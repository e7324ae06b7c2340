"""`deploy`: a Pulumi program becomes resources on an AWS endpoint of this machine.

Create only. Nothing is updated or deleted: the endpoint is thrown away instead.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pulumi
from botocore.exceptions import BotoCoreError, ClientError

from local.deploy import strict
from local.deploy.program import Created, DuplicateName, NotSupported, Registration, run_program
from local.deploy.resources import RESOURCES, Aws, Credentials, Inputs, NotUsed
from local.deploy.stack_files import StackFilesInvalid, read_stack_files

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


@dataclass(frozen=True)
class Deployment:
    """A deployed stack.

    Attributes:
        project: Name of the project.
        stack: Name of the stack.
        region: Its region.
        outputs: The stack's outputs, plain values.
        resources: What was created, in the order in which it was done.
    """

    project: str
    stack: str
    region: str
    outputs: Mapping[str, Any]
    resources: tuple[DeployedResource, ...]

    def resource(self, type_: str, name: str) -> DeployedResource:
        """The resource of a type (`aws:sqs/queue:Queue`) and a name in the program.

        Raises:
            KeyError: There is none.
        """
        for resource in self.resources:
            if (resource.registration.type, resource.registration.name) == (type_, name):
                return resource
        raise KeyError(f"{self.stack} has no {type_} named {name}")


def deploy(
    program: Path,
    stack: str,
    *,
    endpoint_url: str,
    credentials: Credentials,
    config: Mapping[str, str] | None = None,
    change_inputs: ChangeInputs | None = None,
    name_seed: str | None = None,
) -> Deployment:
    """Run the program and create what it registers.

    Args:
        program: Directory of `Pulumi.yaml` and `__main__.py`.
        stack: Which `Pulumi.<stack>.yaml`.
        endpoint_url: The AWS endpoint, e.g. `http://127.0.0.1:4566`.
        credentials: Who signs the requests.
        config: Values by full key (`weir:mailFrom`), instead of the stack file's.
        change_inputs: Changes a resource before it is created, e.g. to see what a setting was for. The same function
            gets every resource, in several threads.
        name_seed: Makes the made-up part of physical names repeatable.

    Raises:
        DeployFailed: A value of the configuration is wrong, the program was stopped by its own checks, a resource
            cannot be created here or was refused by the endpoint, or the stack is there already. What was created
            before the failure stays: start a fresh endpoint.
    """
    try:
        files = read_stack_files(program, stack, config)
        region = files.config.get("aws:region")
        if not region:
            raise DeployFailed(
                f"Pulumi.{stack}.yaml: aws:region is missing: run  pulumi config set aws:region us-east-1"
            )
        provider = _AwsProvider(
            Aws(endpoint_url, region, credentials), files.project, stack, change_inputs or _unchanged, name_seed
        )
        run = run_program(program, provider, project=files.project, stack=stack, config=files.config)
    except (StackFilesInvalid, NotSupported, DuplicateName, pulumi.RunError) as error:
        raise DeployFailed(str(error)) from error
    except DeployFailed:
        raise
    except Exception as error:  # the program is anybody's code, and this is where it ends
        raise DeployFailed(f"{_where(error, program)}{type(error).__name__}: {error}") from error
    return Deployment(files.project, stack, region, run.outputs, tuple(provider.deployed))


def _where(error: Exception, program: Path) -> str:
    """The innermost line of the program itself that an error came through, as `file:line: `."""
    for step in reversed(traceback.extract_tb(error.__traceback__)):
        file = Path(step.filename)
        if file.is_relative_to(program.resolve()) and "site-packages" not in file.parts:
            return f"{file.relative_to(program.resolve()).as_posix()}:{step.lineno}: "
    return ""


def _unchanged(registration: Registration) -> Mapping[str, Any]:
    return registration.inputs


class _AwsProvider:
    """Creates on an AWS endpoint what the table knows."""

    def __init__(self, aws: Aws, project: str, stack: str, change_inputs: ChangeInputs, name_seed: str | None) -> None:
        self.deployed: list[DeployedResource] = []
        self._aws = aws
        self._marker = f"/pulumi/{project}/{stack}"
        self._change_inputs = change_inputs
        self._name_seed = name_seed
        self._marked = False
        self._lock = threading.Lock()

    def create(self, registration: Registration) -> Created:
        what = f"{registration.name} ({registration.type})"
        create = RESOURCES.get(registration.type)
        if create is None:
            raise DeployFailed(
                f"{what} is of a type that cannot be deployed on this machine: "
                f"the types in local/deploy/resources are {', '.join(sorted(RESOURCES))}"
            )
        values = self._change_inputs(registration)
        if problems := strict.problems(registration.type, values):
            raise DeployFailed("\n".join(f"{what}: {problem}" for problem in problems))
        try:
            self._mark()
            created = create(Inputs(values, lambda: self._physical_name(registration)), self._aws)
        except (ClientError, BotoCoreError, NotUsed, TimeoutError, ValueError) as error:
            raise DeployFailed(f"{what}: {error}") from error
        with self._lock:
            self.deployed.append(DeployedResource(replace(registration, inputs=values), created.id, created.outputs))
        return created

    def invoke(self, token: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        answer = _FUNCTIONS.get(token)
        if answer is None:
            raise DeployFailed(
                f"{token} is a function that cannot be answered on this machine: there is {', '.join(_FUNCTIONS)}"
            )
        if left := sorted(name for name, value in arguments.items() if value is not None):
            raise DeployFailed(f"{token}: {', '.join(left)} would be ignored: call it without arguments")
        return answer(self._aws)

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


def _caller_identity(aws: Aws) -> Mapping[str, Any]:
    caller = aws.caller
    return {"accountId": caller["Account"], "arn": caller["Arn"], "userId": caller["UserId"], "id": caller["Account"]}


def _region(aws: Aws) -> Mapping[str, Any]:
    return {"region": aws.region, "name": aws.region, "id": aws.region, "description": "", "endpoint": aws.endpoint_url}


_FUNCTIONS: Mapping[str, Callable[[Aws], Mapping[str, Any]]] = {
    "aws:index/getCallerIdentity:getCallerIdentity": _caller_identity,
    "aws:index/getRegion:getRegion": _region,
}
