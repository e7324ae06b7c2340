"""One mail once a user has a paid plan and an account, whichever comes first; a reminder if the account never comes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from handlers.cdc import Change, Expectations, client, consumer, on
from handlers.cdc.projection import VERSIONED
from handlers.cdc.sequencer import Sequencer

ready = Sequencer("account-ready", parts=["user", "account"], patience=timedelta(days=7))
# One attempt: SendEmail is not idempotent, so it is the record that is retried, and there the ledger sees it.
ses = client("sesv2", attempts=1)

PAID = ("pro", "enterprise")
UPGRADED = on.modify & on.changed("plan") & on.new("plan").is_in(PAID)
OPENED = on.insert & on.new("accountId").exists() & on.new("userId").exists()


@consumer(when=(UPGRADED | OPENED) & VERSIONED)
def handler(change: Change) -> None:
    """Bring a user who was upgraded, or an account that was opened: the consumer reads the changes of both tables."""
    item = change.item
    if "accountId" in change.keys:
        ready.arrived(change, "account", item["userId"], {"accountId": item["accountId"]}, then=send_ready)
    else:
        user = {"email": item["email"], "plan": item["plan"]}
        ready.arrived(change, "user", item["userId"], user, then=send_ready)


@handler.expects
def mail(item: Mapping[str, Any]) -> Expectations:
    """Expect the part of each user whom the API has upgraded, and of each user's account."""
    user = item.get("userId")
    if "version" not in item or not isinstance(user, str) or not user:
        return None
    if "accountId" in item:
        return ready.expected("account", user)
    return ready.expected("user", user) if item.get("plan") in PAID and "lastRequestId" in item else None


def send_ready(parts: Mapping[str, Mapping[str, Any]]) -> None:
    """Send the mail."""
    user, account = parts["user"], parts["account"]
    text = f"Your {user['plan']} plan is active for account {account['accountId']}."
    send(user["email"], f"Your account {account['accountId']} is ready", text)


@ready.timed_out
def overdue(key: str, parts: Mapping[str, Mapping[str, Any]]) -> None:  # noqa: ARG001 - the user's id is in no mail
    """Remind a user with a paid plan of the missing account; an account without one is no reason for a mail."""
    if user := parts.get("user"):
        send(
            user["email"], "Your account is missing", f"Your {user['plan']} plan is active. Open an account to use it."
        )


def send(to: str, subject: str, text: str) -> None:
    """Send a mail."""
    ses.send_email(
        FromEmailAddress=os.environ["MAIL_FROM"],
        Destination={"ToAddresses": [to]},
        Content={"Simple": {"Subject": {"Data": subject}, "Body": {"Text": {"Data": text}}}},
    )
