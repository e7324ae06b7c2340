"""A partner on 127.0.0.1 that receives webhooks, and may be down, slow or picky."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler
from typing import Any

from ops.demo.receivers.local_server import LocalServer


class Partner(LocalServer):
    """A server that keeps what it receives, and answers a status of the test's choice.

    Attributes:
        requests: Body, headers and path of each request that it answered with 200.
        refused: The same of the others.
        status: The status of its answers.
        headers: Headers of its answers.
        tokens: OAuth tokens that it has issued.
        clients: Body and headers of each request for one.
    """

    def __init__(self) -> None:
        super().__init__(_Answer)
        self.requests: list[dict[str, Any]] = []
        self.refused: list[dict[str, Any]] = []
        self.status = 200
        self.headers: dict[str, str] = {}
        self.tokens: list[str] = []
        self.clients: list[dict[str, Any]] = []

    def events(self) -> list[Any]:
        """The bodies that it took, parsed."""
        return [json.loads(each["body"]) for each in self.requests]


class _Answer(BaseHTTPRequestHandler):
    server: Partner

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        kept = {"path": self.path, "body": body, "headers": {key.lower(): each for key, each in self.headers.items()}}
        if self.path == "/token":
            self.server.clients.append(kept)
            self.server.tokens.append(f"token-{len(self.server.tokens) + 1}")
            self._answer(200, {"access_token": self.server.tokens[-1], "expires_in": 3600})
            return
        (self.server.requests if self.server.status == 200 else self.server.refused).append(kept)
        self._answer(self.server.status, {}, self.server.headers)

    def do_GET(self) -> None:
        self._answer(200, {})  # a page, e.g. the one that a redirect leads to

    def _answer(self, status: int, document: Any, headers: dict[str, str] | None = None) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Keep the tests' output clean."""
