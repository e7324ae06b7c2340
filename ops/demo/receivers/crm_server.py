"""A CRM on 127.0.0.1, for the demo and the tests of the consumer that keeps one up to date."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler
from typing import Any

from ops.demo.receivers.local_server import LocalServer


class CrmServer(LocalServer):
    """A CRM that applies an update once per idempotency key, and answers as it is asked to.

    Args:
        recognises_repeats: Whether it looks at idempotency keys; else it applies every request.

    Attributes:
        requests: Every request: its path, body and headers.
        answers: Status and headers of the next answers, instead of 204; status 0 closes the connection without one.
        lost: Users, by the last part of the path, whose next update is applied without an answer.
        applied: The updates that were applied, in order: user and body.
        token: The bearer token that requests need; `None` for any.
        is_down: Whether it closes every connection without an answer.
        held: Users whose updates wait until `release` is called.
    """

    def __init__(self, *, recognises_repeats: bool = True) -> None:
        super().__init__(_Answer)
        self.requests: list[dict[str, Any]] = []
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.lost: set[str] = set()
        self.applied: list[tuple[str, Any]] = []
        self.token: str | None = None
        self.is_down = False
        self.held: set[str] = set()
        self._released = threading.Event()
        self._recognises_repeats = recognises_repeats
        self._seen: set[str] = set()
        self._lock = threading.Lock()

    def release(self) -> None:
        """Answer the updates that wait."""
        self.held.clear()
        self._released.set()

    def take(self, path: str, headers: dict[str, str], body: Any) -> tuple[int, dict[str, str]]:
        """Take a request; returns status and headers of its answer, status 0 for none."""
        user = path.rpartition("/")[2]
        with self._lock:
            self.requests.append({"path": path, "body": body, **headers})
        if user in self.held:
            self._released.wait()
        with self._lock:
            if self.is_down:
                return 0, {}
            if self.token is not None and headers.get("Authorization") != f"Bearer {self.token}":
                return 401, {}
            status, answer = self.answers.pop(0) if self.answers else (204, {})
            if status in (0, 204):
                key = headers.get("Idempotency-Key")
                if key is None or key not in self._seen or not self._recognises_repeats:
                    self.applied.append((user, body))
                self._seen.update([key] if key is not None else [])
            if user in self.lost:
                self.lost.remove(user)
                return 0, {}
            return status, answer


class _Answer(BaseHTTPRequestHandler):
    server: CrmServer  # pyright: ignore[reportIncompatibleVariableOverride] - the class of servers that this is for

    def do_PUT(self) -> None:
        """Answer one update."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status, headers = self.server.take(self.path, dict(self.headers), body)
        if status == 0:
            self.connection.close()
            return
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Keep the output clean."""
