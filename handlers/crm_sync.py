"""The CRM, told of each change of a plan over HTTP; it recognises a repeated request by its idempotency key."""

from __future__ import annotations

import http.client
import json
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import Any

from handlers.cdc import Change, Discard, EffectLedger, Expectations, RetryAfter, consumer, on, remaining_seconds
from handlers.cdc.secrets import secret

calls = EffectLedger()
token = secret("CRM_TOKEN_SECRET")

#: Seconds that the CRM may take to answer, if as much time is left.
TIMEOUT_SECONDS = 5.0
#: Seconds kept back, to note a failure and answer.
RESERVE_SECONDS = 0.5


@consumer(when=on.modify & on.changed("plan"))
def handler(change: Change) -> None:
    """Update a user's plan in the CRM, once per change."""
    key = f"{change.item['userId']}#{change.item.get('version', change.event_id)}"
    calls.once(f"crm:{key}", update_crm, change.item, key)


@handler.expects
def update(user: Mapping[str, Any]) -> Expectations:
    """Expect the CRM to know the present plan of each user whose plan the API has changed."""
    if "plan" not in user or "version" not in user or "lastRequestId" not in user:
        return None
    return calls.expected(f"crm:{user['userId']}#{user['version']}")


def update_crm(user: Mapping[str, Any], key: str) -> None:
    """Send the update.

    Raises:
        RetryAfter: The CRM asks for a pause.
        Discard: The CRM will never accept this update.
        OSError: The CRM cannot be reached, or fails; the change is tried again.
    """
    left = remaining_seconds()
    timeout = TIMEOUT_SECONDS if left is None else max(0.1, min(TIMEOUT_SECONDS, left - RESERVE_SECONDS))
    request = urllib.request.Request(  # noqa: S310
        f"{os.environ['CRM_URL']}/users/{urllib.parse.quote(user['userId'], safe='')}",
        method="PUT",
        data=json.dumps({"plan": user["plan"]}).encode(),
        headers={
            "Authorization": f"Bearer {token.value()}",
            "Content-Type": "application/json",
            "Idempotency-Key": key,
        },
    )
    try:
        # The stack's own configuration names the address.
        with urllib.request.urlopen(request, timeout=timeout):  # noqa: S310
            return
    except urllib.error.HTTPError as refused:
        with refused:
            pause = refused.headers.get("Retry-After", "")
            if refused.code in (429, 503) and pause.isdecimal():
                raise RetryAfter(int(pause)) from None
            if refused.code in (401, 403):
                token.forget()
            if 400 <= refused.code < 500 and refused.code not in (401, 403, 408, 409, 425, 429):
                raise Discard(f"the CRM answers {refused.code} to this update") from None
            raise
    except http.client.HTTPException as broken:
        raise ConnectionError(f"the CRM's answer is broken: {type(broken).__name__}") from broken
