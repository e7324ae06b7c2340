"""Identities that SES sends mails for."""

from __future__ import annotations

from collections.abc import Mapping

from local.deploy.resources.aws import Aws
from local.deploy.resources.members import Document
from local.deploy.resources.resource_type import Found, ResourceType, words


def _create(aws: Aws, request: Document) -> str:
    aws.client("sesv2").create_email_identity(**request)
    return request["EmailIdentity"]


def _settle(aws: Aws, id_: str, _request: Document) -> None:
    # On AWS a person follows a link or adds DNS records; here it must be verified at once.
    if not aws.client("sesv2").get_email_identity(EmailIdentity=id_)["VerifiedForSendingStatus"]:
        raise ValueError(f"{id_} is not verified, so SES would refuse every mail from it: verify it first")


def _read(aws: Aws, id_: str, _request: Document) -> Found:
    found = aws.client("sesv2").get_email_identity(EmailIdentity=id_)
    outputs = {"arn": aws.arn("ses", f"identity/{id_}"), "identityType": found["IdentityType"]}
    return Found({"EmailIdentity": id_}, outputs)


def _delete(aws: Aws, id_: str, _request: Document) -> None:
    aws.client("sesv2").delete_email_identity(EmailIdentity=id_)


TYPES: Mapping[str, ResourceType] = {
    "aws:sesv2/emailIdentity:EmailIdentity": ResourceType(
        members={"emailIdentity": "EmailIdentity"},
        begin=_create,
        settle=_settle,
        read=_read,
        delete=_delete,
        replaces=words("emailIdentity"),
        outputs=words("arn identityType"),
    )
}
"""Types of the package `sesv2`."""
