"""Signed webhooks: each change of a plan as a POST that the subscriber can check, over the exact bytes that it gets."""

from __future__ import annotations

import functools
import http.client
import os
import time
import urllib.error
import urllib.request

from handlers.cdc import Change, Discard, RetryAfter, consumer, on, remaining_seconds, to_json
from handlers.cdc.secrets import secret
from handlers.cdc.signatures import sign

key = secret("WEBHOOK_SECRET")

#: Seconds that the subscriber may take to answer, if as much time is left.
TIMEOUT_SECONDS = 5.0
#: Seconds kept back, to note a failure and answer.
RESERVE_SECONDS = 0.5


@consumer(when=on.modify & on.changed("plan"))
def handler(change: Change) -> None:
    """Tell the subscriber of a user's new plan; a repeat has the same event id, which it ignores."""
    user = change.item
    body = to_json({"type": "plan.changed", "userId": user["userId"], "plan": user.get("plan")}).encode()
    send(body, event_id=change.event_id, version=str(user.get("version", "")))


@functools.cache
def _opener() -> urllib.request.OpenerDirector:
    """Make an opener that follows no redirect: a POST would become a GET without the event, and that succeed."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPErrorProcessor,
    ):
        opener.add_handler(handler())
    return opener


def send(body: bytes, *, event_id: str, version: str) -> None:
    """Send a signed request.

    Raises:
        RetryAfter: The subscriber asks for a pause.
        Discard: It will never take this event.
        OSError: It cannot be reached, or fails; the change is tried again.
    """
    left = remaining_seconds()
    timeout = TIMEOUT_SECONDS if left is None else max(0.1, min(TIMEOUT_SECONDS, left - RESERVE_SECONDS))
    now = int(time.time())
    request = urllib.request.Request(  # noqa: S310
        os.environ["WEBHOOK_URL"],
        method="POST",
        data=body,
        headers={
            "Content-Type": "application/json",
            "Webhook-Id": event_id,
            "Webhook-Item-Version": version,
            "Webhook-Timestamp": str(now),
            "Webhook-Signature": sign(key.value(), event_id, now, body),
        },
    )
    try:
        # The stack's own configuration names the address.
        with _opener().open(request, timeout=timeout):
            return
    except urllib.error.HTTPError as refused:
        with refused:
            pause = refused.headers.get("Retry-After", "")
            if refused.code in (429, 503) and pause.isdecimal():
                raise RetryAfter(int(pause)) from None
            if refused.code == 401:
                key.forget()
            if 400 <= refused.code < 500 and refused.code not in (401, 408, 409, 425, 429):
                raise Discard(f"the subscriber answers {refused.code} to this event") from None
            raise
    except http.client.HTTPException as broken:
        raise ConnectionError(f"the subscriber's answer is broken: {type(broken).__name__}") from broken
