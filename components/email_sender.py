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
        mail_from: The address mails come from. A secret, or an address that is known later, needs `identity` or
            `owned=False`: an identity's id is its address, and Pulumi keeps ids in clear.
        identity: The domain to verify instead of the address itself, e.g. `example.com`.
        owned: `False` if the identity belongs to another stack, or was verified by hand: an account has it once in a
            region, and its owner's `destroy` takes it away.

    Attributes:
        identity: The `aws.sesv2.EmailIdentity`; `None` if it is not owned.
        identity_arn: The identity's ARN.

    Raises:
        Refused: `mail_from` is not an address, is not in the domain, or would be kept in clear.

    Example:
        mail = EmailSender("mail", mail_from="hello@example.com", identity="example.com")
        changes.subscribe(welcome_email.handler, access=[ledger.access(), mail.send_access()])
    """

    def __init__(
        self,
        name: str,
        *,
        mail_from: pulumi.Input[str],
        identity: str | None = None,
        owned: bool = True,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        if isinstance(mail_from, str):
            _check_address(name, mail_from, identity)
        elif owned and identity is None:
            raise Refused(
                f"{name}: mail_from is a secret, or known later, and the id of its identity would be the address, "
                "which Pulumi keeps in clear: name the domain that is verified (identity=…), or let another stack own "
                "the identity (owned=False; in this program: pulumi config set mailIdentityOwned false)"
            )
        super().__init__("weir:index:EmailSender", name, {}, opts)
        self.mail_from = mail_from
        self.identity: aws.sesv2.EmailIdentity | None = None
        self.identity_arn: pulumi.Output[str]
        if owned:
            verified = identity if identity is not None else mail_from
            self.identity = aws.sesv2.EmailIdentity(
                name, email_identity=verified, opts=pulumi.ResourceOptions(parent=self)
            )
            self.identity_arn = self.identity.arn
        else:
            self.identity_arn = _arn_of(identity if identity is not None else mail_from)
        self.register_outputs({"identityArn": self.identity_arn})

    def send_access(self) -> Access:
        """Return the permission to send mails from this address, and from no other of the identity."""
        statement = allow(["ses:SendEmail"], self.identity_arn, StringEquals={"ses:FromAddress": self.mail_from})
        return Access([statement], {"MAIL_FROM": self.mail_from})


def _check_address(name: str, mail_from: str, identity: str | None) -> None:
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


def _arn_of(identity: pulumi.Input[str]) -> pulumi.Output[str]:
    region, caller = aws.get_region_output(), aws.get_caller_identity_output()
    return pulumi.Output.format("arn:aws:ses:{0}:{1}:identity/{2}", region.region, caller.account_id, identity)
