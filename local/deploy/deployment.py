"""`deploy`: creates a Pulumi program's resources on an AWS endpoint of this machine, without the Pulumi CLI.

It only creates. Nothing is updated or deleted: throw the endpoint away instead.
"""

from __future__ import annotations

import contextlib
import functools
import traceback
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi

from local.deploy.program import DuplicateName, NotSupported, run_program
from local.deploy.provider import AwsProvider, ChangeInputs, DeployedResource, DeployFailed
from local.deploy.resources import Aws
from local.deploy.stack_files import StackFilesInvalid, read_stack_files
from local.deploy.stubs import Stubs
from local.endpoint.clients import Connection


@dataclass(frozen=True)
class Deployment:
    """A deployed stack.

    Attributes:
        project: Name of the project.
        stack: Name of the stack.
        region: The stack's region.
        outputs: The stack's outputs, plain values.
        resources: The created resources, in the order of their creation.
    """

    project: str
    stack: str
    region: str
    outputs: Mapping[str, Any]
    resources: tuple[DeployedResource, ...]

    def resource(self, type_: str, name: str) -> DeployedResource:
        """Find a resource by its type (`aws:sqs/queue:Queue`) and its name in the program.

        Raises:
            KeyError: The stack has no such resource.
        """
        for resource in self.resources:
            if (resource.registration.type, resource.registration.name) == (type_, name):
                return resource
        raise KeyError(f"{self.stack} has no {type_} named {name}")


def deploy(
    program: Path,
    stack: str,
    connection: Connection,
    *,
    config: Mapping[str, str] | None = None,
    secrets: Mapping[str, str] | None = None,
    change_inputs: ChangeInputs | None = None,
    name_seed: str | None = None,
) -> Deployment:
    """Run the program and create the resources it registers.

    It runs twice, as with `pulumi up`: first in preview, so that a program that stops itself, or asks for something
    that cannot be deployed here, leaves nothing behind.

    Args:
        program: Directory of `Pulumi.yaml` and `__main__.py`.
        stack: The stack's name, as in `Pulumi.<stack>.yaml`.
        connection: The endpoint, e.g. `Endpoint().connection`. It plays one region, which must be the stack's.
        config: Values by full key (`weir:mailFrom`) that override the stack file's.
        secrets: Values like `config`, as `pulumi config set --secret` keeps them.
        change_inputs: Called with each resource before its creation, in several threads; it returns the inputs to
            create the resource with, e.g. to see what a setting is for.
        name_seed: Seed of the generated part of physical names, which makes them repeatable.

    Raises:
        DeployFailed: A value of the configuration is wrong, the program was stopped by its own checks, a resource
            cannot be created here or is rejected by the endpoint, or the stack is deployed already. Resources
            created before the failure stay: start a fresh endpoint.
    """
    config, secret_keys = {**(config or {}), **(secrets or {})}, list(secrets or {})
    region = region_of(program, stack, config)
    with failing_program(program):
        files = read_stack_files(program, stack, config)
        if region != connection.region:
            raise DeployFailed(
                f"Pulumi.{stack}.yaml: aws:region is {region}, and the endpoint plays {connection.region}: "
                "start it for the stack's region"
            )
        stubs = Stubs.of(files.project, files.config)
        provider = AwsProvider(Aws(connection), files.project, stack, change_inputs, name_seed, stubs)
        run_it = functools.partial(
            run_program, program, provider, project=files.project, stack=stack, config=files.config
        )
        provider.check(run_it(secret_keys=secret_keys, preview=True).registrations)
        run = run_it(secret_keys=secret_keys)
    return Deployment(files.project, stack, region, run.outputs, tuple(provider.deployed))


@contextlib.contextmanager
def failing_program(program: Path) -> Generator[None]:
    """Turn whatever goes wrong in a program into one message with its file and line.

    Raises:
        DeployFailed: In place of any other error.
    """
    try:
        yield
    except (StackFilesInvalid, NotSupported, DuplicateName, pulumi.RunError) as error:
        raise DeployFailed(str(error)) from error
    except DeployFailed:
        raise
    except (Exception, SystemExit) as error:  # the program is anybody's code, and this is where it ends
        where = _where(error, program)
        hint = _IMPORT_HINT if where.startswith("handlers/") and not isinstance(error, _MISTAKES) else ""
        raise DeployFailed(f"{where}{type(error).__name__}: {_said(error)}{hint}") from error


def region_of(program: Path, stack: str, config: Mapping[str, str] | None = None) -> str:
    """Read the region of a stack, which its endpoint has to play. Takes the arguments of `deploy`.

    Raises:
        DeployFailed: A value of the configuration is wrong, or the region is missing.
    """
    try:
        region = read_stack_files(program, stack, config).config.get("aws:region")
    except StackFilesInvalid as error:
        raise DeployFailed(str(error)) from error
    if not region:
        raise DeployFailed(f"Pulumi.{stack}.yaml: aws:region is missing: run  pulumi config set aws:region us-east-1")
    return region


#: Errors that need no hint: their line is wrong whenever it runs.
_MISTAKES = (SyntaxError, NameError, AttributeError, TypeError, ImportError)

#: The program only imports handler modules, so an error in one is an error of its import.
_IMPORT_HINT = (
    " (a handler module only defines itself when it is imported: make AWS clients with handlers.cdc.client(...), "
    "and do everything else inside the handler)"
)

#: Directories of the program that its author did not write.
_PROVIDED = ("components", "handlers/cdc")


def _where(error: BaseException, program: Path) -> str:
    """Locate the innermost line of the author's own code in an error's traceback, as `file:line: `."""
    if isinstance(error, SyntaxError) and error.filename:
        lines = [(Path(error.filename), error.lineno)]
    else:
        lines = [(Path(step.filename), step.lineno) for step in reversed(traceback.extract_tb(error.__traceback__))]
    root = program.resolve()
    of_program = [
        (file.relative_to(root), line)
        for file, line in lines
        if file.is_relative_to(root) and "site-packages" not in file.parts
    ]
    own = [(file, line) for file, line in of_program if not any(map(file.is_relative_to, _PROVIDED))]
    for file, line in own or of_program:
        return f"{file.as_posix()}:{line}: "
    return ""


def _said(error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return f"{error.msg}: {error.text.strip()}" if error.text else error.msg
    return str(error)
