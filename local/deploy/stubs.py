"""`Stubs`: resources and look-ups of the program that do not exist on this machine and are stood in for.

A stack names them in its configuration, under the project's namespace:

    config:
      weir:localStubs:
        aws:route53/record:Record: {}                       # every resource of a type
        aws:secretsmanager/secret:Secret::crm: {arn: arn:…}  # one resource, with outputs
        aws:ec2/getVpc:getVpc: {id: vpc-1}                  # a look-up and its answer
        pulumi:pulumi:StackReference::organization/network/prod: {vpcId: vpc-1}

A stub echoes its inputs and makes up an id and an ARN. Nothing acts on it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local.deploy.stack_files import read_value

#: The configuration key, without its namespace.
KEY = "localStubs"

STACK_REFERENCE_TYPE = "pulumi:pulumi:StackReference"


@dataclass(frozen=True)
class Stubs:
    """The stubs of a stack.

    Attributes:
        outputs: Outputs by type token, or by token and name of a resource.
        namespace: Namespace of the configuration key, which is the project's name.
    """

    outputs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    namespace: str = "weir"

    @classmethod
    def of(cls, project: str, config: Mapping[str, str]) -> Stubs:
        """Read the stubs of a stack's configuration.

        Raises:
            ValueError: The value is not an object of objects.
        """
        key = f"{project}:{KEY}"
        named = json.loads(config.get(key) or "{}")
        if not isinstance(named, dict) or not all(isinstance(each, dict | None) for each in named.values()):
            raise ValueError(f"{key} is {named!r}: write an object of type tokens, each with an object of outputs")
        return cls({token: outputs or {} for token, outputs in named.items()}, project)

    @classmethod
    def of_stack(cls, program: Path, stack: str) -> Stubs:
        """Read the stubs of a stack's files, whatever else they hold, e.g. secrets.

        Raises:
            ValueError: A file is missing or is not YAML, or the value is not an object of objects.
        """
        project, named = read_value(program, stack, KEY)
        return cls.of(project, {f"{project}:{KEY}": json.dumps(named or {}, default=str)})

    def resource(self, token: str, name: str) -> Mapping[str, Any] | None:
        """The outputs given for a resource; `None` if nothing stands in for it."""
        return self.outputs.get(f"{token}::{name}", self.outputs.get(token))

    def answer(self, token: str) -> Mapping[str, Any] | None:
        """The answer given for a look-up; `None` if there is none."""
        return self.outputs.get(token)

    def hint(self, token: str, name: str = "") -> str:
        """Explain how to stand in for a resource or a look-up."""
        what = f"{token}::{name}" if name else token
        return f"to stand in for it on this machine, add  {what}: {{}}  to {self.namespace}:{KEY} in the stack's file"

    @property
    def stacks(self) -> Mapping[str, Mapping[str, Any]]:
        """Outputs of the stacks that are stood in for, by their full names: organization, project, stack."""
        prefix = f"{STACK_REFERENCE_TYPE}::"
        return {token.removeprefix(prefix): of for token, of in self.outputs.items() if token.startswith(prefix)}

    @property
    def packages(self) -> frozenset[str]:
        """Names of the Pulumi packages that stubs belong to."""
        return frozenset(token.partition(":")[0] for token in self.outputs) - {"pulumi"}


def made_up(name: str, digits: str, arn: str, given: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Make up the id and the outputs of a stub.

    Args:
        name: Name in the program.
        digits: Hexadecimal digits that make the id unique.
        arn: The ARN to answer with.
        given: Outputs of the stack's file, which win.
    """
    id_ = str(given.get("id") or f"{name}-{digits[:7]}")
    return id_, {"arn": arn, **{key: value for key, value in given.items() if key != "id"}}
