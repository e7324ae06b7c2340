"""`Record`: what a source's reader took and a function receives."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


class Record:
    """Record or message on its way to a function.

    Args:
        event: The record as Lambda puts it under `Records`.
        arrived: When it was written, in seconds since 1970.
        visible: When the poller first saw it, in seconds since 1970.
        identifier: The name of it in a function's answer.
    """

    __slots__ = ("_payload_bytes", "arrived", "event", "identifier", "visible")

    def __init__(self, event: Mapping[str, Any], *, arrived: float, visible: float, identifier: str) -> None:
        self.event = event
        self.arrived = arrived
        self.visible = visible
        self.identifier = identifier
        self._payload_bytes = 0

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.identifier}>"

    @property
    def payload_bytes(self) -> int:
        """Bytes that the record adds to an invocation's payload."""
        if not self._payload_bytes:
            self._payload_bytes = json_bytes(self.event) + 1
        return self._payload_bytes


def json_bytes(value: Any) -> int:
    """Return the length of a value as the JSON that Lambda sends: without spaces, in UTF-8.

    >>> json_bytes({"name": "Zoë"})
    15
    """
    return len(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode(errors="surrogatepass"))
