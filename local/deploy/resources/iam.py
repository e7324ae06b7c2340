"""IAM roles and their inline policies."""

from __future__ import annotations

from local.deploy.program import Created
from local.deploy.resources.aws import Aws
from local.deploy.resources.inputs import Inputs


def role(inputs: Inputs, aws: Aws) -> Created:
    """CreateRole."""
    name = inputs.name()
    trust = inputs.take("assumeRolePolicy")
    inputs.finish()
    made = aws.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]
    return Created(name, {"name": name, "arn": made["Arn"], "uniqueId": made["RoleId"]})


def role_policy(inputs: Inputs, aws: Aws) -> Created:
    """PutRolePolicy."""
    name = inputs.name()
    request = inputs.members({"role": "RoleName", "policy": "PolicyDocument"})
    inputs.finish()
    aws.client("iam").put_role_policy(PolicyName=name, **request)
    return Created(f"{request['RoleName']}:{name}", {"name": name})
