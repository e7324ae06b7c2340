"""boto3 clients of the endpoint."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from aws_semantics.limits import FUNCTION_TIMEOUT

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

#: Header of an Invoke with the request id that the function sees: AWS gives a retried batch its former id.
REQUEST_ID_HEADER = "x-weir-request-id"

#: Request id of the Invoke calls of this context.
request_id: ContextVar[str | None] = ContextVar("request_id", default=None)

#: Header of a call of DynamoDB Streams with the name of one of the endpoint's own readers. A shard serves two.
READER_HEADER = "x-weir-reader"

#: Name of the reader of streams in this context.
reader: ContextVar[str | None] = ContextVar("reader", default=None)

#: Header of a DeleteItem that is DynamoDB's own, because the item has expired.
EXPIRED_HEADER = "x-weir-expired"

#: Whether the deletions made in this context are of expired items.
expired: ContextVar[bool] = ContextVar("expired", default=False)


@dataclass(frozen=True)
class Connection:
    """Address and keys of an endpoint.

    Attributes:
        url: The root of its addresses, `http://127.0.0.1:<port>`.
        region: The region that it simulates.
        account_id: The account that it simulates.
        access_key_id: The access key id that it issued.
        secret_access_key: The secret that requests are signed with.
    """

    url: str
    region: str
    account_id: str
    access_key_id: str
    secret_access_key: str = field(repr=False)

    @property
    def port(self) -> int:
        """The port in its address."""
        return int(self.url.rpartition(":")[2])

    def client(self, service: str) -> Any:
        """Make a boto3 client. Calls are tried once, so that a test sees the failure that it provokes."""
        from botocore.config import Config

        config = Config(
            retries={"mode": "standard", "total_max_attempts": 1},
            read_timeout=FUNCTION_TIMEOUT.maximum + 10,
            max_pool_connections=50,
            inject_host_prefix=False,
        )
        with _session_lock:
            client = _session()(
                service,
                endpoint_url=self.url,
                region_name=self.region,
                aws_access_key_id=self.access_key_id,
                aws_secret_access_key=self.secret_access_key,
                config=config,
            )
        client.meta.events.register("before-call.lambda.Invoke", _name_request)
        client.meta.events.register("before-call.dynamodb.DeleteItem", _mark_expired)
        client.meta.events.register("before-call.dynamodb-streams", _name_reader)
        return client


@cache
def _session() -> Any:
    """Return the function that makes clients: one session, whose loaded models all clients share."""
    # boto3 takes a third of a second to import, which starting an endpoint should not.
    import boto3

    # The stubs know each service by its own literal.
    return boto3.session.Session().client


#: Guards the session, which is not safe for threads.
_session_lock = threading.Lock()


class LazyClient:
    """A boto3 client that is made when it is first used: an endpoint's start need not wait for clients.

    Args:
        make: Makes the client.
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._client: Any = None
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        with self._lock:
            if self._client is None:
                self._client = self._make()
        return getattr(self._client, name)


def error_code(error: ClientError) -> str:
    """Return the code of an error that a client raised."""
    return error.response.get("Error", {}).get("Code", "")


def _name_request(params: dict[str, Any], **_: Any) -> None:
    named = request_id.get()
    if named is not None:
        params["headers"][REQUEST_ID_HEADER] = named


def is_throttling(error: ClientError) -> bool:
    """Return whether a stream was read too often, by the codes of DynamoDB, of Kinesis, and of injected faults."""
    return error_code(error) in (
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "ThrottlingException",
    )


@contextmanager
def reading_as(name: str) -> Generator[None]:
    """Read streams as this reader while the block runs."""
    before = reader.set(name)
    try:
        yield
    finally:
        reader.reset(before)


def _name_reader(params: dict[str, Any], **_: Any) -> None:
    name = reader.get()
    if name is not None:
        params["headers"][READER_HEADER] = name


@contextmanager
def deleting_expired() -> Generator[None]:
    """Delete as DynamoDB deletes expired items while the block runs."""
    before = expired.set(True)
    try:
        yield
    finally:
        expired.reset(before)


def _mark_expired(params: dict[str, Any], **_: Any) -> None:
    if expired.get():
        params["headers"][EXPIRED_HEADER] = "true"
