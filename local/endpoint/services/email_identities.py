"""SES identities, of which an account has one per address or domain."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from local.endpoint.api.aws_call import AwsCall
from local.endpoint.api.errors import AwsError
from local.endpoint.routes import Routes


def email_identity_routes(ses: Any) -> Routes:
    """The operations of SES that ministack answers differently.

    Args:
        ses: A boto3 client of SES.
    """

    def check_new(call: AwsCall) -> None:
        """Reject an identity that exists; ministack would replace it."""
        name = call.parameters["EmailIdentity"]
        try:
            ses.get_email_identity(EmailIdentity=name)
        except ClientError:
            return
        raise AwsError("AlreadyExistsException", f"Email identity {name} already exists.")

    return Routes(checked={"sesv2:CreateEmailIdentity": [check_new]})
