"""A program run without a cloud: every resource with the inputs, names and ARNs that it would have on AWS."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pulumi.runtime import MockCallArgs, MockResourceArgs

from components.testing import AwsMocks
from local.deploy.program import Created, ProgramRun, Registration, run_program
from local.deploy.resources import RESOURCES

REGION, ACCOUNT = "us-east-1", "123456789012"


class MockedAws:
    """A `Provider` that answers by `AwsMocks`, with physical names as the AWS provider generates them."""

    def __init__(self) -> None:
        self._mocks = AwsMocks(region=REGION, account_id=ACCOUNT)

    def create(self, registration: Registration) -> Created:
        """Answer with the outputs that AWS computes."""
        named = with_physical_name(registration)
        id_, outputs = self._mocks.new_resource(MockResourceArgs(named.type, named.name, dict(named.inputs)))
        return Created(id_ or "", {key: value for key, value in outputs.items() if key not in registration.inputs})

    def invoke(self, token: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """Answer a function; a table that is looked up is taken to have a stream of both images."""
        if token == "aws:dynamodb/getTable:getTable":
            return _table(str(arguments["name"]))
        return self._mocks.call(MockCallArgs(token, dict(arguments), ""))

    def read(self, token: str, name: str) -> Mapping[str, Any] | None:
        """Answer nothing: no resource exists."""
        del token, name
        return None


def _table(name: str) -> Mapping[str, Any]:
    arn = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{name}"
    return {
        "arn": arn,
        "name": name,
        "hashKey": "id",
        "attributes": [{"name": "id", "type": "S"}],
        "streamEnabled": True,
        "streamArn": f"{arn}/stream/2026-01-31T08:30:00.000",
        "streamViewType": "NEW_AND_OLD_IMAGES",
        "replicas": [],
        "serverSideEncryption": {"enabled": True, "kmsKeyArn": ""},
    }


def with_physical_name(registration: Registration) -> Registration:
    """Add the name that the AWS provider would generate to the inputs of a resource that gives none."""
    declared = RESOURCES.get(registration.type)
    if declared is None or declared.name is None or registration.inputs.get(declared.name.property):
        return registration
    # The digits do not depend on the stack: programs of several stacks can be compared.
    digits = hashlib.sha256(registration.urn.partition("::")[2].encode()).hexdigest()
    name = declared.generated_name(registration.name, digits, registration.inputs)
    return replace(registration, inputs={**registration.inputs, declared.name.property: name})


def run_mocked(
    program: Path | Callable[[], object],
    *,
    project: str = "weir",
    stack: str = "test",
    config: Mapping[str, str] | None = None,
) -> ProgramRun:
    """Run a program to its end, creating nothing.

    Args:
        program: The directory of a `__main__.py`, or a function.
        project: Name of the project.
        stack: Name of the stack.
        config: Configuration as the CLI passes it: full keys (`weir:mailFrom`) and texts.

    Raises:
        Exception: The first error of the program, unchanged.
    """
    return run_program(program, MockedAws(), project=project, stack=stack, config=config)
