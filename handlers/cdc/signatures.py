"""Signatures of webhooks: HMAC-SHA256 over the event's id, the time and the exact bytes of the body."""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

#: Seconds that a signature is taken for fresh.
FRESH_SECONDS: Final = 300


def sign(secret: str, event_id: str, timestamp: int, body: bytes) -> str:
    """Return the signature of a request, as Standard Webhooks writes it without base64: `v1,` and hexadecimal digits.

    >>> sign("whsec", "1", 0, b"{}")[:14]
    'v1,e56b076c277'

    Args:
        secret: The secret that sender and receiver share.
        event_id: The event's id.
        timestamp: The time of sending, in seconds since 1970.
        body: The body, as it is sent.
    """
    signed = f"{event_id}.{timestamp}.".encode() + body
    return f"v1,{hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}"


def is_signed(secret: str, event_id: str, timestamp: str, body: bytes, signature: str, *, now: float) -> bool:
    """Return whether a request has a fresh signature.

    Args:
        secret: The secret that sender and receiver share; during its rotation call this with each of the two.
        event_id: The header Webhook-Id.
        timestamp: The header Webhook-Timestamp.
        body: The body as it came, before it is parsed.
        signature: The header Webhook-Signature.
        now: The receiver's time, in seconds since 1970.
    """
    if not timestamp.isdecimal() or abs(now - int(timestamp)) > FRESH_SECONDS:
        return False
    return hmac.compare_digest(sign(secret, event_id, int(timestamp), body), signature)
