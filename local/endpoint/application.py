"""The ASGI application: one AWS, made of what the endpoint answers itself and what ministack answers.

A request first passes the gate (`local.endpoint.api.gate`). Then its operation is found by botocore's models. If
`local.endpoint.api.operations` does not list it, it is refused by name; otherwise the tables of `local.endpoint.routes`
decide.
"""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import replace
from typing import Any, cast
from urllib.parse import unquote

from local.endpoint.api import operations
from local.endpoint.api.aws_call import AwsCall, identify, protocol_of
from local.endpoint.api.errors import AwsError, render
from local.endpoint.api.gate import (
    BODY_BYTES,
    CONTROL_PREFIX,
    EXECUTE_API_PREFIX,
    Gate,
    NotAdmitted,
    api_path,
    is_plain_host,
    too_large,
)
from local.endpoint.api.http_messages import OWN, Reply, Request
from local.endpoint.api.signatures import is_signed
from local.endpoint.authorization.authorizer import Authorizer
from local.endpoint.clients import Connection
from local.endpoint.control.api import ControlApi
from local.endpoint.control.faults import Fault, Faults, records_before, without_conditions
from local.endpoint.ministack_internals import Handler
from local.endpoint.routes import Routes

logger = logging.getLogger(__name__)

AsgiMessage = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[AsgiMessage]]
Send = Callable[[AsgiMessage], Awaitable[None]]
Asgi = Callable[[AsgiMessage, Receive, Send], Awaitable[None]]


class Application:
    """HTTP, faults, and the way to ministack.

    Args:
        ministack: The application behind this one.
        connection: The endpoint's address and keys.
        gate: The checks of a request's headers.
        routes: The tables of all services.
        authorizer: The judge of what functions call with their own keys.
        faults: The faults that are set.
        control: The control API.
        crashed: Records an invocation that crashed, and returns Lambda's error document.
        kill: Ends the process of a function by the id of its access key.
        authorization: Returns the authorization type of the route that a request to an HTTP API reaches, by host,
            method and decoded path; `None` if it reaches no route.
        handlers: ministack's handlers of services, by boto3's names, for the endpoint's own calls.
    """

    def __init__(
        self,
        ministack: Asgi,
        *,
        connection: Connection,
        gate: Gate,
        routes: Routes,
        authorizer: Authorizer,
        faults: Faults,
        control: ControlApi,
        crashed: Callable[[AwsCall], dict[str, Any]],
        kill: Callable[[str], None],
        authorization: Callable[[str, str, str], str | None],
        handlers: Mapping[str, Handler],
    ) -> None:
        self._ministack = ministack
        self._connection = connection
        self._host = connection.url.removeprefix("http://")
        self._gate = gate
        self._routes = routes
        self._authorizer = authorizer
        self._faults = faults
        self._control = control
        self._crashed = crashed
        self._kill = kill
        self._authorization = authorization
        self._handlers = handlers

    async def __call__(self, scope: AsgiMessage, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await self._ministack(scope, receive, send)
            return
        if scope["type"] == "websocket":
            await send({"type": "websocket.close"})
            return
        request = _head(scope)
        try:
            self._gate.check(request)
            request = replace(request, body=await _body(receive, request))
            reply = await self._reply(request)
        except NotAdmitted as refused:
            reply = Reply.json(403, {"message": str(refused)})
        except AwsError as refused:
            reply = _error(refused, request)
        except Exception:
            logger.exception("%s %s", request.method, request.path)
            broken = AwsError("InternalFailure", "the local endpoint failed on this request; see its log", status=500)
            reply = _error(broken, request)
        if reply.status >= 400 and request.signing_name == "lambda":
            reply = _with_type(reply)
        # No page of another origin reads an answer. ministack lets all of them.
        headers = [each for each in reply.headers if not each[0].lower().startswith(b"access-control-")]
        if reply.header("x-amzn-requestid") is None and reply.header("x-amz-request-id") is None:
            headers.append((b"x-amzn-RequestId", str(uuid.uuid4()).encode()))
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if request.method == "HEAD" else reply.body})

    async def _reply(self, request: Request) -> Reply:
        if request.path.startswith(CONTROL_PREFIX):
            return Reply.json(*await asyncio.to_thread(self._control.answer, request))
        path = api_path(request)
        if path is not None:
            return await self._http_api(request, path)
        return await self._call(identify(request))

    def ask(self, call: AwsCall, loop: asyncio.AbstractEventLoop) -> Reply:
        """Answer a call of a thread that is not the event loop's, errors included."""
        try:
            operations.check(call)
            fault = self._faults.fire(call)
            if fault is not None:
                return asyncio.run_coroutine_threadsafe(self._faulty(fault, call), loop).result()
            answered = self._answer(call)
            return answered or asyncio.run_coroutine_threadsafe(self._pass(call), loop).result()
        except AwsError as refused:
            return _error(refused, call.request, call.protocol)

    async def _call(self, call: AwsCall) -> Reply:
        operations.check(call)
        return await self._authorizer.answer(call, self._authorized)

    async def _authorized(self, call: AwsCall) -> Reply:
        keys = self._authorizer.sessions.of(call.request.access_key_id)
        fault = self._faults.fire(call, None if keys is None else keys.name)
        return await (self._serve(call) if fault is None else self._faulty(fault, call))

    async def _serve(self, call: AwsCall) -> Reply:
        """Answer a call as the tables say."""
        name = str(call)
        answered = None
        if name in self._routes.checked or name in self._routes.answered:
            # They may call the endpoint themselves, and wait for it.
            answered = await asyncio.to_thread(self._answer, call)
        return answered or await self._pass(call)

    def _answer(self, call: AwsCall) -> Reply | None:
        """Check a call, and answer it if the endpoint does so itself."""
        name = str(call)
        for check in self._routes.checked.get(name, ()):
            check(call)
        answer = self._routes.answered.get(name)
        return None if answer is None else Reply.json(*answer(call.parameters))

    async def _pass(self, call: AwsCall) -> Reply:
        """Pass a call on to ministack, and wake the readers of what it has changed."""
        name = str(call)
        amend = self._routes.amended.get(name)
        reply = await (self._pass_on(call) if amend is None else amend(call, self._pass_on))
        if reply.status == 200:
            for tell in self._routes.tells.get(name, ()):
                tell(call)
        return reply

    async def _faulty(self, fault: Fault, call: AwsCall) -> Reply:
        match fault.kind:
            case "fail" | "throttle":
                return _error(fault.error(call), call.request, call.protocol)
            case "lose writes":
                return Reply.json(200, {"UnprocessedItems": {}} if call.operation == "BatchWriteItem" else {})
            case "drop answer":
                await self._serve(call)
                lost = AwsError("ServiceException", "The answer was lost (fault injected)", status=500)
                return _error(lost, call.request, call.protocol)
            case "crash":
                return await self._crash(fault, call)
            case "kill":
                self._kill(call.request.access_key_id or "")
                return _error(fault.error(call), call.request, call.protocol)
            case "ignore conditions":
                return await self._serve(without_conditions(call))

    async def _crash(self, fault: Fault, call: AwsCall) -> Reply:
        """Invoke the function with the records before the one that the fault hits, then answer as a crash."""
        before = records_before(call, fault.containing or "")
        if before is not None:
            reply = await self._serve(before)
            if reply.status != 200 or reply.header("x-amz-function-error"):
                return reply
        return Reply(200, [(b"x-amz-function-error", b"Unhandled")], json.dumps(self._crashed(call)).encode())

    async def _http_api(self, request: Request, path: str) -> Reply:
        authorization = self._authorization(self._host, request.method, unquote(path))
        # Even if ministack would find a route: a request that was not checked is not served.
        if authorization is None:
            return Reply.json(404, {"message": "Not Found"})
        if authorization == "AWS_IAM" and not await self._may_call_api(request, path):
            return Reply.json(403, {"message": "Forbidden"})
        reply = await self._forward(replace(request, path=path))
        # ministack returns the function's error; an HTTP API hides it.
        if reply.status == 502 and b'"errorType"' in reply.body:
            return Reply.json(500, {"message": "Internal Server Error"})
        return reply

    async def _may_call_api(self, request: Request, path: str) -> bool:
        sessions = self._authorizer.sessions
        keys = sessions.of(request.access_key_id)
        if not is_signed(request, sessions.connection_of(request.access_key_id)):
            return False
        api_id, _, route = path.removeprefix(EXECUTE_API_PREFIX).partition("/")
        return keys is None or await asyncio.to_thread(
            self._authorizer.may_invoke_api, keys, api_id, request.method, unquote(route)
        )

    async def _pass_on(self, call: AwsCall) -> Reply:
        """Return ministack's answer; the endpoint's own calls take the short way to the service."""
        request = call.request
        handler = self._handlers.get(call.service) if request.client == OWN else None
        if handler is None:
            return await self._forward(request)
        status, headers, body = await handler(request.method, request.path, request.headers, request.body, {})
        return Reply.plain(status, headers, body)

    async def _forward(self, request: Request) -> Reply:
        """Return ministack's answer."""
        messages: list[AsgiMessage] = []
        sent = False

        async def receive() -> AsgiMessage:
            nonlocal sent
            if sent:
                # The client is still there: it waits for the answer.
                await asyncio.Event().wait()
            sent = True
            return {"type": "http.request", "body": request.body, "more_body": False}

        async def send(message: AsgiMessage) -> None:
            messages.append(message)

        await self._ministack(self._scope(request), receive, send)
        start = messages[0]
        return Reply(
            start["status"], list(start.get("headers", [])), b"".join(m.get("body", b"") for m in messages[1:])
        )

    def _scope(self, request: Request) -> AsgiMessage:
        # ministack also routes by host; here the path alone decides, so that the checked call is the served one.
        as_checked = request.headers if is_plain_host(request) else {**request.headers, "host": self._host}
        return {
            "type": "http",
            "http_version": "1.1",
            "scheme": "http",
            "method": request.method,
            "path": unquote(request.path),
            "raw_path": request.path.encode("latin-1"),
            "query_string": request.query_string.encode("latin-1"),
            "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in as_checked.items()],
            "client": ("127.0.0.1", 0),
        }


def _error(error: AwsError, request: Request, protocol: str | None = None) -> Reply:
    request_id = str(uuid.uuid4())
    status, headers, body = render(error, protocol or protocol_of(request), request_id)
    return Reply.plain(status, {**headers, "x-amzn-RequestId": request_id}, body)


def _with_type(reply: Reply) -> Reply:
    """Return an error of Lambda's with the member that says whose error it is."""
    try:
        document = json.loads(reply.body)
    except ValueError:
        return reply
    if not isinstance(document, dict):
        return reply
    kind = "User" if reply.status < 500 else "Server"
    return reply.with_body(json.dumps({"Type": kind, **cast("dict[str, Any]", document)}).encode())


def _head(scope: AsgiMessage) -> Request:
    """Return a request without its body. Values of a header that is there twice are joined, so that none is missed."""
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        known, text = name.decode("latin-1").lower(), value.decode("latin-1")
        headers[known] = f"{headers[known]}, {text}" if known in headers else text
    return Request(
        method=scope["method"],
        path=scope["raw_path"].decode("latin-1"),
        query_string=scope["query_string"].decode("latin-1"),
        headers=headers,
        client=str(scope["client"]),
    )


async def _body(receive: Receive, request: Request) -> bytes:
    """Read a request's body.

    Raises:
        AwsError: It is too large.
    """
    parts: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > BODY_BYTES:
            raise too_large(request)
        more = message.get("more_body", False)
    return b"".join(parts)
