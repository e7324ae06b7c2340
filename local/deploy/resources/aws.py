"""`Aws`: the endpoint that resources are made on."""

from __future__ import annotations

import threading
from typing import Any

from local.endpoint.clients import Connection

#: How waiters ask: a minute in all, often, since an endpoint on this machine is done at once.
WAIT = {"Delay": 0.05, "MaxAttempts": 1200}


class Aws:
    """An AWS endpoint and its clients, which are made once each and may be used from several threads.

    Args:
        connection: Where it is and the keys it issued.
    """

    def __init__(self, connection: Connection) -> None:
        self.endpoint_url = connection.url
        self.region = connection.region
        self.account_id = connection.account_id
        self._connection = connection
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()  # several threads may use a client, but only one may make one

    def client(self, service: str) -> Any:
        """The boto3 client of a service, e.g. `"dynamodb"`."""
        with self._lock:
            if service not in self._clients:
                self._clients[service] = self._connection.client(service)
            return self._clients[service]

    def arn(self, service: str, resource: str) -> str:
        """The ARN of something of this account in this region."""
        return f"arn:aws:{service}:{self.region}:{self.account_id}:{resource}"
