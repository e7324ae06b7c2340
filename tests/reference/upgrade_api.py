"""A route's function that needs no permission."""

from __future__ import annotations

from typing import Any


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer every request."""
    return {"statusCode": 200, "body": event["rawPath"]}
