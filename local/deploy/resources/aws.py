"""`Aws`: the endpoint that resources are made on, and its clients."""

from __future__ import annotations

import functools
import threading
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config

#: How waiters ask: a minute in all, often, since an endpoint on this machine is done at once.
WAIT = {"Delay": 0.05, "MaxAttempts": 1200}


@dataclass(frozen=True)
class Credentials:
    """Whose access key signs the requests."""

    access_key_id: str
    secret_access_key: str
    session_token: str | None = None


class Aws:
    """An AWS endpoint in one region. Clients are made once each and may be used from several threads.

    Args:
        endpoint_url: Where it answers, e.g. `http://127.0.0.1:4566`.
        region: The region that requests name.
        credentials: Who signs them.
    """

    def __init__(self, endpoint_url: str, region: str, credentials: Credentials) -> None:
        self.endpoint_url = endpoint_url.rstrip("/")
        self.region = region
        self._session = boto3.Session(
            aws_access_key_id=credentials.access_key_id,
            aws_secret_access_key=credentials.secret_access_key,
            aws_session_token=credentials.session_token,
            region_name=region,
        )
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()  # clients may be shared by threads, making them may not

    def client(self, service: str) -> Any:
        """The boto3 client of a service, e.g. `"dynamodb"`."""
        with self._lock:
            if service not in self._clients:
                self._clients[service] = self._session.client(
                    service,  # pyright: ignore[reportArgumentType, reportCallIssue] - the stubs want a literal
                    endpoint_url=self.endpoint_url,
                    # A machine knows no <bucket>.127.0.0.1, and a create must not be repeated silently.
                    config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
                )
            return self._clients[service]

    @functools.cached_property
    def caller(self) -> dict[str, str]:
        """`UserId`, `Account` and `Arn` of the credentials."""
        return self.client("sts").get_caller_identity()

    @property
    def account_id(self) -> str:
        """Twelve digits."""
        return self.caller["Account"]

    def arn(self, service: str, resource: str) -> str:
        """The ARN of something of this account in this region."""
        return f"arn:aws:{service}:{self.region}:{self.account_id}:{resource}"
