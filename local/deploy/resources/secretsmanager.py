"""Secrets of Secrets Manager and their values."""

from __future__ import annotations

from collections.abc import Mapping

from local.deploy.resources.aws import Aws
from local.deploy.resources.members import Document
from local.deploy.resources.resource_type import Change, Found, Gone, Name, ResourceType, words


def _create_secret(aws: Aws, request: Document) -> str:
    given = {name: value for name, value in request.items() if name != "RecoveryWindowInDays"}
    return aws.client("secretsmanager").create_secret(**given)["ARN"]


def _read_secret(aws: Aws, id_: str, request: Document) -> Found:
    found = aws.client("secretsmanager").describe_secret(SecretId=id_)
    if "DeletedDate" in found:
        raise Gone(id_)
    return Found({**request, **found}, {"arn": found["ARN"], "name": found["Name"]})


def _update_secret(aws: Aws, id_: str, change: Change) -> None:
    # The window is the provider's own: AWS hears of it when the secret is deleted.
    if "Description" in change.names:
        aws.client("secretsmanager").update_secret(SecretId=id_, Description=change.new.get("Description", ""))


def _delete_secret(aws: Aws, id_: str, request: Document) -> None:
    days = request.get("RecoveryWindowInDays", 30)
    how = {"RecoveryWindowInDays": days} if days else {"ForceDeleteWithoutRecovery": True}
    aws.client("secretsmanager").delete_secret(SecretId=id_, **how)


def _put_value(aws: Aws, request: Document) -> str:
    version = aws.client("secretsmanager").put_secret_value(**request)["VersionId"]
    return f"{request['SecretId']}|{version}"


def _read_value(aws: Aws, id_: str, _request: Document) -> Found:
    secret, _, version = id_.rpartition("|")
    found = aws.client("secretsmanager").get_secret_value(SecretId=secret, VersionId=version)
    outputs = {"arn": found["ARN"], "versionId": version, "versionStages": found["VersionStages"]}
    return Found({"SecretId": secret, "SecretString": found["SecretString"]}, outputs)


def _forget_value(_aws: Aws, _id: str, _request: Document) -> None:
    """Leave a value where it is, as the provider does with the current one: it goes with its secret."""


TYPES: Mapping[str, ResourceType] = {
    "aws:secretsmanager/secret:Secret": ResourceType(
        members={
            "name": "Name",
            "description": "Description",
            "recoveryWindowInDays": "RecoveryWindowInDays",
        },
        begin=_create_secret,
        read=_read_secret,
        update=_update_secret,
        delete=_delete_secret,
        name=Name(longest=512, allowed=r"[A-Za-z0-9/_+=.@-]"),
        replaces=words("name namePrefix"),
        outputs=words("arn"),
    ),
    "aws:secretsmanager/secretVersion:SecretVersion": ResourceType(
        members={"secretId": "SecretId", "secretString": "SecretString"},
        begin=_put_value,
        read=_read_value,
        delete=_forget_value,
        replaces=words("secretBinary secretId secretString"),
        outputs=words("arn versionId versionStages"),
    ),
}
"""Types of the package `secretsmanager`."""
