"""boto3 clients of the endpoint."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aws_semantics.limits import FUNCTION_TIMEOUT

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

#: Header of an Invoke that sets the request id the function sees: AWS gives a retried batch the id it had.
REQUEST_ID_HEADER = "x-weir-request-id"

#: The request id of the Invoke calls made in this context.
request_id: ContextVar[str | None] = ContextVar("request_id", default=None)

#: Header of a call of DynamoDB Streams that names one of the endpoint's own readers, of which a shard serves two.
READER_HEADER = "x-weir-reader"

#: The reader of streams in this context.
reader: ContextVar[str | None] = ContextVar("reader", default=None)

#: Header of a DeleteItem that DynamoDB itself makes because the item has expired.
EXPIRED_HEADER = "x-weir-expired"

#: Whether the deletions made in this context are of expired items.
expired: ContextVar[bool] = ContextVar("expired", default=False)


@dataclass(frozen=True)
class Connection:
    """Where an endpoint is and the keys it issued.

    Attributes:
        url: Its root, `http://127.0.0.1:<port>`.
        region: The region it plays.
        account_id: The account it plays.
        access_key_id: Made at random at every start, like the secret.
        secret_access_key: What requests are signed with.
    """

    url: str
    region: str
    account_id: str
    access_key_id: str
    secret_access_key: str

    def client(self, service: str) -> Any:
        """A boto3 client; calls are tried once, so that what a test provokes is what it sees."""
        # boto3 takes a third of a second to import, which starting an endpoint should not.
        import boto3
        from botocore.config import Config

        # The stubs know each service by its own literal.
        make: Any = boto3.session.Session().client
        client = make(
            service,
            endpoint_url=self.url,
            region_name=self.region,
            aws_access_key_id=self.access_key_id,
            aws_secret_access_key=self.secret_access_key,
            config=Config(
                retries={"mode": "standard", "total_max_attempts": 1},
                read_timeout=FUNCTION_TIMEOUT.maximum + 10,
                max_pool_connections=50,
                inject_host_prefix=False,
            ),
        )
        client.meta.events.register("before-call.lambda.Invoke", _name_request)
        client.meta.events.register("before-call.dynamodb.DeleteItem", _mark_expired)
        client.meta.events.register("before-call.dynamodb-streams", _name_reader)
        return client


class LazyClient:
    """A boto3 client that is made when it is first used, since making ten would take a second of an endpoint's start.

    Args:
        connection: Where the endpoint is.
        service: boto3's name of the service.
    """

    def __init__(self, connection: Connection, service: str) -> None:
        self._connection = connection
        self._service = service
        self._client: Any = None
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        with self._lock:
            if self._client is None:
                self._client = self._connection.client(self._service)
        return getattr(self._client, name)


def error_code(error: ClientError) -> str:
    """The code of an error that a client raised."""
    return error.response.get("Error", {}).get("Code", "")


def _name_request(params: dict[str, Any], **_: Any) -> None:
    named = request_id.get()
    if named is not None:
        params["headers"][REQUEST_ID_HEADER] = named


def is_throttling(error: ClientError) -> bool:
    """Whether a stream was read too often: the words of DynamoDB, of Kinesis, and of an injected fault."""
    return error_code(error) in (
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "ThrottlingException",
    )


@contextmanager
def reading_as(name: str) -> Generator[None]:
    """Streams are read by this reader within."""
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
    """Deletions within are those of expired items."""
    before = expired.set(True)
    try:
        yield
    finally:
        expired.reset(before)


def _mark_expired(params: dict[str, Any], **_: Any) -> None:
    if expired.get():
        params["headers"][EXPIRED_HEADER] = "true"
