"""Calls of the endpoint's own readers, invokers and senders, which reach the application without a socket.

They are boto3 clients like any other: botocore checks and writes the request, and reads the answer. In between the call
goes to the application itself, through the same checks, faults and tables as one that came by HTTP, but unsigned.
"""

from __future__ import annotations

import asyncio
import io
import json
import threading
from collections.abc import Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.endpoint import convert_to_response_dict
from botocore.model import OperationModel
from botocore.parsers import ResponseParser, create_parser
from botocore.utils import percent_encode_sequence

from local.endpoint.api.aws_call import call_of
from local.endpoint.api.http_messages import OWN, Reply, Request
from local.endpoint.clients import Connection, LazyClient

if TYPE_CHECKING:
    from local.endpoint.application import Application

#: Answers that stay in the protocol's JSON: reading them as boto3 does would cost most of a reader's time.
_PLAIN_JSON = ("dynamodbstreams:GetRecords",)


class InProcess:
    """The way from the endpoint's own threads to its application.

    Args:
        connection: The endpoint's address and keys.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._ready = threading.Event()
        self._application: Application | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def open(self, application: Application, loop: asyncio.AbstractEventLoop) -> None:
        """Let calls pass to an application that runs on an event loop."""
        self._application, self._loop = application, loop
        self._ready.set()

    def client(self, service: str) -> Any:
        """Make a client; boto3's is made when it is first used."""
        return LazyClient(lambda: self._make(service))

    def _make(self, service: str) -> Any:
        client = self._connection.client(service)

        def send(model: OperationModel, params: dict[str, Any], **_: Any) -> tuple[AWSResponse, Any]:
            return self._send(service, model, params)

        # botocore takes what a handler of this event returns for the answer. More specific handlers come first.
        client.meta.events.register("before-call", send)
        return client

    def _send(self, service: str, model: OperationModel, params: dict[str, Any]) -> tuple[AWSResponse, Any]:
        self._ready.wait()
        application, loop = self._application, self._loop
        assert application is not None  # noqa: S101 - it is set before the event
        assert loop is not None  # noqa: S101
        address = urlsplit(params["url"])
        # ministack finds some services by the scope of the signature alone.
        name = model.service_model.signing_name
        scope = f"{self._connection.access_key_id}/20260101/{self._connection.region}/{name}/aws4_request"
        request = Request(
            method=params["method"],
            path=address.path or "/",
            query_string=address.query,
            headers={
                **{header.lower(): str(value) for header, value in params["headers"].items()},
                # ministack writes it into the URLs of queues.
                "host": address.netloc,
                "authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=-",
            },
            body=_bytes(params["body"]),
            client=OWN,
        )
        call = call_of(service, model.name, request)
        reply = application.ask(call, loop)
        response = _response(params["url"], reply)
        if reply.status == 200 and str(call) in _PLAIN_JSON:
            return response, json.loads(reply.body)
        answer = convert_to_response_dict(response, model)
        return response, _parser(call.protocol).parse(answer, model.output_shape)  # pyright: ignore[reportArgumentType]


class _Body(io.BytesIO):
    """A body as botocore reads it."""

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self.read()


def _bytes(body: Any) -> bytes:
    """Return the body that botocore has written: a text, bytes, a file or a form."""
    if isinstance(body, Mapping):
        body = percent_encode_sequence(cast("Mapping[str, str]", body))
    elif hasattr(body, "read"):
        body = body.read()
    return body.encode() if isinstance(body, str) else bytes(body)


def _response(url: str, reply: Reply) -> AWSResponse:
    headers = HTTPHeaders()
    for name, value in reply.headers:
        headers[name.decode("latin-1")] = value.decode("latin-1")
    return AWSResponse(url, reply.status, headers, _Body(reply.body))


@cache
def _parser(protocol: str) -> ResponseParser:
    return create_parser(protocol)
