"""Identities that SES sends mails for."""

from __future__ import annotations

from local.deploy.program import Created
from local.deploy.resources.aws import Aws
from local.deploy.resources.inputs import Inputs


def email_identity(inputs: Inputs, aws: Aws) -> Created:
    """CreateEmailIdentity. On AWS a person follows a link or adds DNS records; here it must be verified at once."""
    identity = inputs.take("emailIdentity")
    inputs.finish()
    made = aws.client("sesv2").create_email_identity(EmailIdentity=identity)
    if not made["VerifiedForSendingStatus"]:
        raise ValueError(f"{identity} is not verified, so SES would refuse every mail from it: verify it first")
    return Created(identity, {"arn": aws.arn("ses", f"identity/{identity}"), "identityType": made["IdentityType"]})
