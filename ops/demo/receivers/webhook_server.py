"""A server of webhooks on 127.0.0.1: it knows a partner by a key, and a sender by the signature of its requests."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler
from typing import Any, NamedTuple

from ops.demo.receivers.local_server import LocalServer


class Event(NamedTuple):
    """An event that the server has taken."""

    id: str
    version: str
    body: Any


class WebhookServer(LocalServer):
    """A server that takes an event once per event id, below `/by-key` and `/signed`.

    Args:
        secret: The key in `x-api-key`, or the secret of the signatures. Any other request is answered with 401.
        recognises_repeats: Whether it looks at event ids; else it takes every request.

    Attributes:
        taken: The events that it took, in order.
        lost: Users whose next event is taken without an answer.
        answered: How many requests were answered with 204.
    """

    def __init__(self, secret: str, *, recognises_repeats: bool = True) -> None:
        super().__init__(_Answer)
        self.taken: list[Event] = []
        self.lost: set[str] = set()
        self.answered = 0
        self._secret = secret
        self._recognises_repeats = recognises_repeats
        self._seen: set[str] = set()
        self._lock = threading.Lock()

    def take(self, path: str, headers: Mapping[str, str], body: bytes) -> int:
        """Take a request; returns the status of its answer, 0 for none."""
        event = self._by_key(headers, body) if path == "/by-key" else self._signed(headers, body)
        if event is None:
            return 401
        with self._lock:
            if event.id not in self._seen or not self._recognises_repeats:
                self.taken.append(event)
            self._seen.add(event.id)
            if event.body["userId"] in self.lost:
                self.lost.remove(event.body["userId"])
                return 0
            self.answered += 1
            return 204

    def _by_key(self, headers: Mapping[str, str], body: bytes) -> Event | None:
        if headers.get("x-api-key") != self._secret:
            return None
        document = json.loads(body)
        return Event(document["eventId"], str(document["version"]), document)

    def _signed(self, headers: Mapping[str, str], body: bytes) -> Event | None:
        event_id = headers.get("webhook-id", "")
        # The bytes of the body, as they came: written anew, they might differ.
        signed = f"{event_id}.{headers.get('webhook-timestamp')}.".encode() + body
        digest = hmac.new(self._secret.encode(), signed, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(headers.get("webhook-signature", ""), f"v1,{digest}"):
            return None
        return Event(event_id, headers.get("webhook-item-version", ""), json.loads(body))


class _Answer(BaseHTTPRequestHandler):
    server: WebhookServer  # pyright: ignore[reportIncompatibleVariableOverride] - the class of servers that this is for

    def do_POST(self) -> None:
        """Answer one event."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        status = self.server.take(self.path, headers, body)
        if status == 0:
            self.connection.close()
            return
        self.send_response(status)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Keep the output clean."""
