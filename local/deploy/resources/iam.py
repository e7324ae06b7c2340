"""IAM roles and their policies."""

from __future__ import annotations

from collections.abc import Mapping

from local.deploy.resources.aws import Aws
from local.deploy.resources.members import Document, as_json
from local.deploy.resources.resource_type import Change, Found, Gone, Name, ResourceType, words

#: Versions of a managed policy that IAM keeps.
_VERSIONS = 5


def _create_role(aws: Aws, request: Document) -> str:
    aws.client("iam").create_role(**request)
    return request["RoleName"]


def _read_role(aws: Aws, id_: str, _request: Document) -> Found:
    role = aws.client("iam").get_role(RoleName=id_)["Role"]
    return Found(role, {"name": id_, "arn": role["Arn"], "uniqueId": role["RoleId"]})


def _update_role(aws: Aws, id_: str, change: Change) -> None:
    if "AssumeRolePolicyDocument" in change.names:
        document = change.new["AssumeRolePolicyDocument"]
        aws.client("iam").update_assume_role_policy(RoleName=id_, PolicyDocument=document)


def _delete_role(aws: Aws, id_: str, _request: Document) -> None:
    aws.client("iam").delete_role(RoleName=id_)


def _put_role_policy(aws: Aws, request: Document) -> str:
    aws.client("iam").put_role_policy(**request)
    return f"{request['RoleName']}:{request['PolicyName']}"


def _read_role_policy(aws: Aws, id_: str, _request: Document) -> Found:
    role, _, name = id_.partition(":")
    return Found(aws.client("iam").get_role_policy(RoleName=role, PolicyName=name), {"name": name})


def _put_role_policy_again(aws: Aws, _id: str, change: Change) -> None:
    _put_role_policy(aws, change.new)


def _delete_role_policy(aws: Aws, id_: str, _request: Document) -> None:
    role, _, name = id_.partition(":")
    aws.client("iam").delete_role_policy(RoleName=role, PolicyName=name)


def _create_policy(aws: Aws, request: Document) -> str:
    return aws.client("iam").create_policy(**request)["Policy"]["Arn"]


def _read_policy(aws: Aws, id_: str, _request: Document) -> Found:
    iam = aws.client("iam")
    policy = iam.get_policy(PolicyArn=id_)["Policy"]
    version = iam.get_policy_version(PolicyArn=id_, VersionId=policy["DefaultVersionId"])["PolicyVersion"]
    outputs = {"name": policy["PolicyName"], "arn": id_, "policyId": policy["PolicyId"]}
    return Found({**policy, "PolicyDocument": version["Document"]}, outputs)


def _update_policy(aws: Aws, id_: str, change: Change) -> None:
    iam = aws.client("iam")
    versions = iam.list_policy_versions(PolicyArn=id_)["Versions"]
    if len(versions) >= _VERSIONS:
        oldest = min((each for each in versions if not each["IsDefaultVersion"]), key=lambda each: each["CreateDate"])
        iam.delete_policy_version(PolicyArn=id_, VersionId=oldest["VersionId"])
    iam.create_policy_version(PolicyArn=id_, PolicyDocument=change.new["PolicyDocument"], SetAsDefault=True)


def _delete_policy(aws: Aws, id_: str, _request: Document) -> None:
    iam = aws.client("iam")
    for version in iam.list_policy_versions(PolicyArn=id_)["Versions"]:
        if not version["IsDefaultVersion"]:
            iam.delete_policy_version(PolicyArn=id_, VersionId=version["VersionId"])
    iam.delete_policy(PolicyArn=id_)


def _attach_policy(aws: Aws, request: Document) -> str:
    aws.client("iam").attach_role_policy(**request)
    return f"{request['RoleName']}-{request['PolicyArn']}"


def _read_attachment(aws: Aws, id_: str, request: Document) -> Found:
    attached = aws.client("iam").list_attached_role_policies(RoleName=request["RoleName"])["AttachedPolicies"]
    if not any(each["PolicyArn"] == request["PolicyArn"] for each in attached):
        raise Gone(id_)
    return Found({}, {})


def _detach_policy(aws: Aws, _id: str, request: Document) -> None:
    aws.client("iam").detach_role_policy(**request)


TYPES: Mapping[str, ResourceType] = {
    "aws:iam/policy:Policy": ResourceType(
        members={
            "name": "PolicyName",
            "policy": as_json("PolicyDocument"),
            "path": "Path",
            "description": "Description",
        },
        begin=_create_policy,
        read=_read_policy,
        update=_update_policy,
        delete=_delete_policy,
        name=Name(longest=128, allowed=r"[\w+=,.@-]"),
        replaces=words("name namePrefix path description"),
        outputs=words("arn policyId"),
    ),
    "aws:iam/role:Role": ResourceType(
        members={"name": "RoleName", "assumeRolePolicy": as_json("AssumeRolePolicyDocument"), "path": "Path"},
        begin=_create_role,
        read=_read_role,
        update=_update_role,
        delete=_delete_role,
        name=Name(longest=64, allowed=r"[\w+=,.@-]"),
        replaces=words("name namePrefix path"),
        outputs=words("arn uniqueId"),
    ),
    "aws:iam/rolePolicy:RolePolicy": ResourceType(
        members={"name": "PolicyName", "role": "RoleName", "policy": as_json("PolicyDocument")},
        begin=_put_role_policy,
        read=_read_role_policy,
        update=_put_role_policy_again,
        delete=_delete_role_policy,
        name=Name(longest=128, allowed=r"[\w+=,.@-]"),
        replaces=words("name namePrefix role"),
    ),
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": ResourceType(
        members={"role": "RoleName", "policyArn": "PolicyArn"},
        begin=_attach_policy,
        read=_read_attachment,
        delete=_detach_policy,
        replaces=words("role policyArn"),
    ),
}
"""Types of the package `iam`."""
