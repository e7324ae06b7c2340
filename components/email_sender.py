"""`EmailSender`: an SES identity and the permission to send as it."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

from components.access import Access, allow
from components.refusal import Refused


class EmailSender(pulumi.ComponentResource):
    """Mails from one address.

    SES sends nothing before the identity is verified: a link in a mail to the address, or DNS records for a domain.

    Args:
        mail_from: The address mails come from.
        identity: The domain to verify instead of the address itself, e.g. `example.com`.

    Attributes:
        identity: The `aws.sesv2.EmailIdentity`.

    Raises:
        Refused: `mail_from` is not an address, or is not in the domain.

    Example:
        mail = EmailSender("mail", mail_from="hello@example.com", identity="example.com")
        changes.subscribe(welcome_email.handler, access=[mail.send_access()])
    """

    def __init__(
        self,
        name: str,
        *,
        mail_from: str,
        identity: str | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        local_part, _, domain = mail_from.rpartition("@")
        if not local_part or not domain:
            raise Refused(
                f"{name}: mail_from={mail_from!r} is not an email address, and SES sends from nothing else: "
                "write one, as in hello@example.com"
            )
        if identity is not None and domain != identity and not domain.endswith(f".{identity}"):
            raise Refused(
                f"{name}: mail_from={mail_from!r} is not in the domain {identity}, so SES would refuse every mail: "
                "choose an address of the domain, or leave identity out"
            )
        super().__init__("weir:index:EmailSender", name, {}, opts)
        self.mail_from = mail_from
        self.identity = aws.sesv2.EmailIdentity(
            name, email_identity=identity or mail_from, opts=pulumi.ResourceOptions(parent=self)
        )
        self.register_outputs({"identityArn": self.identity.arn})

    def send_access(self) -> Access:
        """Permission to send mails from this address, and from no other of the identity."""
        statement = allow(["ses:SendEmail"], self.identity.arn, StringEquals={"ses:FromAddress": self.mail_from})
        return Access([statement], {"MAIL_FROM": self.mail_from})
