"""`Access`: permissions of a function, and the variables that name the resources they cover.

Components hand these out (`ledger.access()`, `mail.send_access()`), and a consumer lists the ones it needs. Nothing
else is granted.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi

from components.refusal import Refused

#: The version of IAM's policy language.
_VERSION = "2012-10-17"

#: One statement of an IAM policy, in IAM's own member names.
Statement = Mapping[str, Any]


@dataclass(frozen=True)
class Access:
    """Statements for the function's role and variables for its environment.

    Attributes:
        statements: The statements.
        environment: The variables.
        unused_clients: boto3's names of services whose clients need no statement (`unused_client`).
        lookup: The access to look up what this one writes, which a `Reconciliation` of the consumer gets.
    """

    statements: Sequence[Statement]
    environment: Mapping[str, pulumi.Input[str]] = field(default_factory=dict[str, pulumi.Input[str]])
    unused_clients: Sequence[str] = ()
    lookup: Access | None = None


def allow(actions: Sequence[str], resource: pulumi.Input[str], **condition: Any) -> Statement:
    """Make an `Allow` statement; `condition` is IAM's condition block, operator by operator."""
    statement: dict[str, Any] = {"Effect": "Allow", "Action": list(actions), "Resource": resource}
    return {**statement, "Condition": condition} if condition else statement


def secret_access(
    secret_arn: pulumi.Input[str], variable: str, *, kms_key_arn: pulumi.Input[str] | None = None
) -> Access:
    """Permission to read one secret of Secrets Manager, as `handlers.cdc.secrets.secret` does.

    Args:
        secret_arn: The secret's ARN.
        variable: The environment variable that holds it.
        kms_key_arn: The customer managed key that encrypts the secret, if one does.
    """
    reads = allow(["secretsmanager:GetSecretValue"], secret_arn)
    return Access([reads, *decrypt(kms_key_arn)], {variable: secret_arn})


def parameter_access(
    parameter_arn: pulumi.Input[str],
    parameter_name: pulumi.Input[str],
    variable: str,
    *,
    kms_key_arn: pulumi.Input[str] | None = None,
) -> Access:
    """Permission to read one parameter of Parameter Store, with `client("ssm").get_parameter(Name=…)`.

    Args:
        parameter_arn: The parameter's ARN.
        parameter_name: The parameter's name, which `GetParameter` takes.
        variable: The environment variable that holds the name.
        kms_key_arn: The customer managed key that encrypts a SecureString, if one does.
    """
    reads = allow(["ssm:GetParameter"], parameter_arn)
    return Access([reads, *decrypt(kms_key_arn)], {variable: parameter_name})


def unused_client(service: str) -> Access:
    """Say of a client in a handler's module that it needs no permission of the function's role.

    Use it for a client that the function never calls, or whose calls a resource policy allows.

    Args:
        service: boto3's name of the service, as `client()` takes it.
    """
    return Access([], unused_clients=[service])


def decrypt(kms_key_arn: pulumi.Input[str] | None) -> list[Statement]:
    """Return the permission to read what a customer managed key encrypts; `None`, an AWS managed key, needs none."""
    return [] if kms_key_arn is None else [allow(["kms:Decrypt"], kms_key_arn)]


def policy_document(statements: Sequence[Statement]) -> pulumi.Output[str]:
    """Write an IAM policy as the JSON text that the provider takes."""
    return pulumi.Output.json_dumps({"Version": _VERSION, "Statement": list(statements)})


def trust(service: str) -> str:
    """Write the trust policy of a role that one AWS service assumes, e.g. `lambda.amazonaws.com`."""
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": service}}
    return json.dumps({"Version": _VERSION, "Statement": [statement]}, separators=(",", ":"))


def merged_environment(
    function: str, accesses: Sequence[Access], own: Mapping[str, pulumi.Input[str]]
) -> dict[str, pulumi.Input[str]]:
    """Merge the variables of all accesses and the function's own.

    Raises:
        Refused: Two of them set one variable, so that one of the two would silently win.
    """
    environment: dict[str, pulumi.Input[str]] = {}
    for source in [*(access.environment for access in accesses), own]:
        for name, value in source.items():
            if name in environment:
                raise Refused(
                    f"{function}: the environment variable {name} is set twice, by two accesses or by an access and "
                    "environment=, and one of the two would silently win: take one away, or split the function in two"
                )
            environment[name] = value
    return environment


def deliver_policy(service: str, source_arn: pulumi.Input[str], queue_arn: pulumi.Input[str]) -> pulumi.Output[str]:
    """Return the policy of a queue that one AWS service may send to, on behalf of one resource.

    Args:
        service: The service's principal, e.g. `sns.amazonaws.com`.
        source_arn: ARN of the resource, e.g. a topic.
        queue_arn: ARN of the queue.
    """
    statement = {
        **allow(["sqs:SendMessage"], queue_arn, ArnEquals={"aws:SourceArn": source_arn}),
        "Principal": {"Service": service},
    }
    return policy_document([statement])
