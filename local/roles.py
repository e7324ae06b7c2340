"""What the execution role of a function may do (docs/aws-semantics.md §6.2).

Lambda reads a mapping's source and writes to its destination with that role, not with rights of its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local.clients import error_code
from local.policies import decide


@dataclass(frozen=True)
class Role:
    """A role that exists: its ARN and its policies' documents."""

    arn: str
    policies: Sequence[Mapping[str, Any]]


class Roles:
    """The execution roles of functions, read once and again after `forget`.

    Args:
        roles: A boto3 client of IAM.
        functions: One of Lambda.
        account_id: Whose resources they are about.
    """

    def __init__(self, roles: Any, functions: Any, *, account_id: str) -> None:
        self._roles = roles
        self._functions = functions
        self._context = {"s3:resourceaccount": account_id, "aws:resourceaccount": account_id}
        self._account_id = account_id
        self._known: dict[str, Role | None] = {}

    def forget(self) -> None:
        """Roles or their policies have changed."""
        # A new one: what is being read now may be old and goes into the former.
        self._known = {}

    def refusal(self, function_arn: str, action: str, resource: str) -> str | None:
        """Why the role of a function may not do something, in AWS's words; `None` when it may.

        Args:
            function_arn: With its alias or version where there is one.
            action: Such as `sqs:SendMessage`.
            resource: The ARN that it is done to.
        """
        try:
            role = self._role(function_arn)
        except (ClientError, BotoCoreError) as failure:
            # Nobody knows, so it is refused now, and asked again the next time.
            return str(failure)
        if role is None:
            return "The role defined for the function cannot be assumed by Lambda."
        decision = decide(role.policies, action, resource, self._context)
        if decision == "allowed":
            return None
        name, function_name = role.arn.rpartition("/")[2], function_arn.split(":")[6]
        why = (
            "with an explicit deny in an identity-based policy"
            if decision == "denied"
            else f"because no identity-based policy allows the {action} action"
        )
        return (
            f"User: arn:aws:sts::{self._account_id}:assumed-role/{name}/{function_name} is not authorized to perform: "
            f"{action} on resource: {resource} {why}"
        )

    def _role(self, function_arn: str) -> Role | None:
        known = self._known
        if function_arn not in known:
            known[function_arn] = self._read(function_arn)
        return known[function_arn]

    def _read(self, function_arn: str) -> Role | None:
        arn = self._functions.get_function_configuration(FunctionName=function_arn)["Role"]
        name = arn.rpartition("/")[2]
        try:
            names = self._roles.list_role_policies(RoleName=name)["PolicyNames"]
        except ClientError as missing:
            if error_code(missing) == "NoSuchEntity":
                return None
            raise
        policies = [self._roles.get_role_policy(RoleName=name, PolicyName=each)["PolicyDocument"] for each in names]
        return Role(arn, [json.loads(each) if isinstance(each, str) else each for each in policies])
