"""IAM: the checks of managed policies, and the wake-ups after a role has changed."""

from __future__ import annotations

from typing import Any

from local.endpoint.api.aws_call import AwsCall
from local.endpoint.delivery.wake_ups import Readers
from local.endpoint.roles import Roles
from local.endpoint.routes import Routes
from local.endpoint.services.managed_policies import check_attachable, check_policy

#: Operations that name a managed policy.
_NAMING_POLICIES = (
    "iam:CreatePolicyVersion",
    "iam:DeletePolicy",
    "iam:DeletePolicyVersion",
    "iam:DetachRolePolicy",
    "iam:GetPolicy",
    "iam:GetPolicyVersion",
    "iam:ListPolicyVersions",
)

#: Operations after which a role may allow something else.
_CHANGING_ROLES = (
    "iam:AttachRolePolicy",
    "iam:CreatePolicyVersion",
    "iam:CreateRole",
    "iam:DeleteRole",
    "iam:DeleteRolePermissionsBoundary",
    "iam:DeleteRolePolicy",
    "iam:DetachRolePolicy",
    "iam:PutRolePermissionsBoundary",
    "iam:PutRolePolicy",
    "iam:UpdateAssumeRolePolicy",
)


def iam_routes(iam: Any, roles: Roles, readers: Readers) -> Routes:
    """Make the tables of IAM.

    Args:
        iam: A boto3 client of IAM.
        roles: The account's roles, which are read again after a change.
        readers: The readers that a change may have given permission.
    """

    def forget(_: AwsCall) -> None:
        roles.forget()
        readers.all()

    return Routes(
        checked={
            **{operation: [check_policy] for operation in _NAMING_POLICIES},
            "iam:AttachRolePolicy": [check_policy, lambda call: check_attachable(call, iam=iam)],
        },
        tells={operation: [forget] for operation in _CHANGING_ROLES},
    )
