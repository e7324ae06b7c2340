"""IAM roles and their policies."""

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


def policy(inputs: Inputs, aws: Aws) -> Created:
    """CreatePolicy."""
    name = inputs.name()
    request = inputs.members({"policy": "PolicyDocument", "path": "Path", "description": "Description"})
    inputs.finish()
    made = aws.client("iam").create_policy(PolicyName=name, **request)["Policy"]
    return Created(made["Arn"], {"name": name, "arn": made["Arn"], "policyId": made["PolicyId"]})


def role_policy_attachment(inputs: Inputs, aws: Aws) -> Created:
    """AttachRolePolicy."""
    request = inputs.members({"role": "RoleName", "policyArn": "PolicyArn"})
    inputs.finish()
    aws.client("iam").attach_role_policy(**request)
    return Created(f"{request['RoleName']}-{request['PolicyArn']}", {})
