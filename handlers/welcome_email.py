"""One welcome email per user and paid plan."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from handlers.cdc import Change, EffectLedger, Expectations, client, consumer, on

mails = EffectLedger(keep=None)  # a welcome is sent once, for ever
# One attempt: SendEmail is not idempotent, so it is the record that is retried, and there the ledger sees it.
ses = client("sesv2", attempts=1)


class UnusableAddress(ValueError):
    """The user has no email address that a mail could be sent to."""


@consumer(when=on.modify & on.changed("plan") & on.new("plan").is_in(["pro", "enterprise"]))
def handler(change: Change) -> None:
    """Welcome a user whose plan has just become a paid one."""
    user = change.item
    mails.once(f"welcome-email:{user['userId']}#plan-{user['plan']}", send_welcome, user)


@handler.expects
def welcome(user: Mapping[str, Any]) -> Expectations:
    """Expect a mail to each user whom the API has upgraded: who was inserted with a plan gets none."""
    if user.get("plan") not in ("pro", "enterprise") or "lastRequestId" not in user:
        return None
    return mails.expected(f"welcome-email:{user['userId']}#plan-{user['plan']}")


def send_welcome(user: Mapping[str, Any]) -> None:
    """Send the mail.

    Raises:
        UnusableAddress: There is no address; its record ends in the failure destination, where it can be corrected.
    """
    address = user.get("email")
    if not isinstance(address, str) or "@" not in address.strip("@"):
        raise UnusableAddress("the user's email is missing or is not an address")
    ses.send_email(
        FromEmailAddress=os.environ["MAIL_FROM"],
        Destination={"ToAddresses": [address]},
        Content={
            "Simple": {
                "Subject": {"Data": f"Welcome to {user['plan']}"},
                "Body": {"Text": {"Data": f"Your {user['plan']} plan is active. Thank you for upgrading!"}},
            }
        },
    )
