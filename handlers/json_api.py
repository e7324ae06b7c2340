"""The common part of an HTTP API's handlers: bodies and answers in JSON, and one line in the log per request."""

from __future__ import annotations

import base64
import json
import logging
from typing import Any

logger = logging.getLogger(__name__)
logger.setLevel(logging.INFO)


class BadRequest(ValueError):
    """The request's body is not one this API takes; the message says why."""


def body_of(event: dict[str, Any], example: str) -> dict[str, Any]:
    """Read a request's body, which is a JSON object.

    Args:
        event: The event of an HTTP API (payload format 2.0).
        example: A right body, for the message.

    Raises:
        BadRequest: It is not a JSON object.
    """
    body = event.get("body") or ""
    try:
        text = base64.b64decode(body, validate=True).decode() if event.get("isBase64Encoded") else body
        request = json.loads(text)
    except ValueError:
        raise BadRequest(f"the body is not JSON; send {example}") from None
    return request if isinstance(request, dict) else {}


def answer(status: int, **body: Any) -> dict[str, Any]:
    """Make an answer in JSON."""
    return {"statusCode": status, "headers": {"content-type": "application/json"}, "body": json.dumps(body)}


def log_outcome(request_id: str, item_key: str, outcome: str) -> None:
    """Log one line that names a request, its item and the outcome; `weir trace` shows it.

    Args:
        request_id: The request's id.
        item_key: The item, e.g. `userId=u1`.
        outcome: How the request ended, in a word or two.
    """
    names = {"correlationId": request_id, "itemKey": item_key, "outcome": outcome}
    logger.info("request %s", outcome, extra=names)
