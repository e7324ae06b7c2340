"""The ASGI application: one AWS, put together from what the endpoint answers itself and what ministack does.

Every request is looked up in botocore's models first. Operations that `local.endpoint.api.operations` does not list are
refused by name, and so are unsigned requests to an HTTP API's route that wants a signature.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

from local.endpoint.api import operations
from local.endpoint.api.aws_call import AwsCall, Request, identify, protocol_of
from local.endpoint.api.errors import AwsError, render
from local.endpoint.api.signatures import is_signed
from local.endpoint.api.writes import changed_tables, written_stream
from local.endpoint.clients import EXPIRED_HEADER, READER_HEADER, REQUEST_ID_HEADER, Connection, deleting_expired
from local.endpoint.control.api import CONTROL_PREFIX, ControlApi
from local.endpoint.control.faults import Fault, Faults, contains
from local.endpoint.functions import environments
from local.endpoint.roles import LAMBDA, Caller, Roles, refused_call
from local.endpoint.services.cloudwatch import CloudWatch, check_alarm
from local.endpoint.services.event_source_mappings import EventSourceMappings
from local.endpoint.services.managed_policies import check_attachable, check_policy
from local.endpoint.services.pipes import Pipes
from local.endpoint.services.stream_specifications import check_specification
from local.endpoint.services.streaming_destinations import check_destination
from local.endpoint.services.streams import Streams
from local.endpoint.services.time_to_live import TimeToLive
from local.engine.alarms.metrics import Metrics
from local.engine.clock import Clock

logger = logging.getLogger(__name__)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Asgi = Callable[[Message, Receive, Send], Awaitable[None]]

#: ministack's path form of an HTTP API's address: its host form is a name that nobody resolves.
EXECUTE_API_PREFIX = "/_aws/execute-api/"


#: Operations after which a role may allow something else.
_CHANGING_ROLES = (
    "iam:AttachRolePolicy",
    "iam:CreatePolicyVersion",
    "iam:CreateRole",
    "iam:DeleteRolePolicy",
    "iam:DetachRolePolicy",
    "iam:PutRolePolicy",
    "iam:UpdateAssumeRolePolicy",
)


@dataclass(frozen=True)
class Reply:
    """An HTTP answer."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes

    def header(self, name: str) -> str | None:
        """A header by its lower-case name."""
        return next((value.decode() for key, value in self.headers if key.lower() == name.encode()), None)


class Front:
    """The application.

    Args:
        ministack: The application behind it.
        machines: A boto3 client of Step Functions.
        tables: One of DynamoDB.
        kinesis: One of Kinesis.
        iam: One of IAM.
        keep_alarm_metrics: Told the metrics and expressions of an alarm that was put, by its name.
        routes: Answers the authorization type of the route that a request to an HTTP API reaches, by host, method and
            decoded path; `None` for no route.
    """

    def __init__(
        self,
        ministack: Asgi,
        *,
        connection: Connection,
        streams: Streams,
        time_to_live: TimeToLive,
        machines: Any,
        tables: Any,
        kinesis: Any,
        iam: Any,
        clock: Clock,
        mappings: EventSourceMappings,
        pipes: Pipes,
        roles: Roles,
        metrics: Metrics,
        faults: Faults,
        control: ControlApi,
        routes: Callable[[str, str, str], str | None],
        keep_alarm_metrics: Callable[[str, list[dict[str, Any]]], None],
    ) -> None:
        self._ministack = ministack
        self._connection = connection
        self._host = connection.url.removeprefix("http://")
        self._streams = streams
        self._time_to_live = time_to_live
        self._machines = machines
        self._tables = tables
        self._kinesis = kinesis
        self._iam = iam
        self._clock = clock
        self._mappings = mappings
        self._pipes = pipes
        self._roles = roles
        self._metrics = metrics
        self._faults = faults
        self._control = control
        self._routes = routes
        self._keep_alarm_metrics = keep_alarm_metrics
        self._cloudwatch = CloudWatch(metrics)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await self._ministack(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        request = await _read(scope, receive)
        try:
            reply = await self._reply(scope, request)
        except AwsError as refused:
            reply = _plain(*render(refused, protocol_of(request)))
        except Exception:
            logger.exception("%s %s", request.method, request.path)
            broken = AwsError("InternalFailure", "the local endpoint failed on this request; see its log", status=500)
            reply = _plain(*render(broken, protocol_of(request)))
        await send({"type": "http.response.start", "status": reply.status, "headers": reply.headers})
        await send({"type": "http.response.body", "body": reply.body})

    async def _reply(self, scope: Message, request: Request) -> Reply:
        if request.path.startswith(CONTROL_PREFIX):
            return _json(*await asyncio.to_thread(self._control.answer, request))
        if request.path.startswith(EXECUTE_API_PREFIX):
            return await self._http_api(scope, request)
        call = identify(request)
        operations.check(call)
        fault = self._faults.fire(call)
        if fault is not None:
            return await self._faulty(fault, scope, request, call)
        return await self._serve(scope, request, call)

    async def _serve(self, scope: Message, request: Request, call: AwsCall) -> Reply:
        own = re.sub(r"(?<!^)(?=[A-Z])", "_", call.operation).lower()
        if call.service == "lambda" and own.endswith(("event_source_mapping", "event_source_mappings")):
            return _json(*await asyncio.to_thread(getattr(self._mappings, own), call.parameters))
        if call.service == "pipes":
            return _json(*await asyncio.to_thread(getattr(self._pipes, own), call.parameters))
        if call.service == "lambda" and call.operation == "Invoke":
            return await self._invoke(scope, request, call)
        if self._cloudwatch.answers(call):
            return _json(*getattr(self._cloudwatch, own)(call.parameters))
        if str(call) == "cloudwatch:PutMetricAlarm":
            return await self._put_metric_alarm(scope, request, call)
        if str(call) in ("dynamodb:DescribeTimeToLive", "dynamodb:UpdateTimeToLive"):
            return _json(*await asyncio.to_thread(getattr(self._time_to_live, own), call.parameters))
        if call.service == "dynamodbstreams":
            return await self._stream(scope, request, call)
        if EXPIRED_HEADER in request.headers:
            with deleting_expired():
                return await self._write(scope, request, call)
        if call.operation.endswith("KinesisStreamingDestination") and not call.operation.startswith("Describe"):
            await asyncio.to_thread(check_destination, call, tables=self._tables, kinesis=self._kinesis)
        if "PolicyArn" in call.parameters:
            check_policy(call)
        if str(call) == "iam:AttachRolePolicy":
            await asyncio.to_thread(check_attachable, call, iam=self._iam)
        if str(call) in ("dynamodb:CreateTable", "dynamodb:UpdateTable"):
            await asyncio.to_thread(check_specification, call, tables=self._tables)
        if str(call) == "lambda:CreateFunction":
            await asyncio.to_thread(self._refuse_unassumable_role, call)
        if str(call) == "stepfunctions:StartSyncExecution":
            await asyncio.to_thread(self._refuse_standard_machine, call)
        return await self._write(scope, request, call)

    async def _stream(self, scope: Message, request: Request, call: AwsCall) -> Reply:
        # Whoever is not of the endpoint's own is told apart by the connection: a process keeps one.
        self._streams.check(call, own=request.headers.get(READER_HEADER), connection=str(scope["client"]))
        if call.operation == "ListStreams":
            return _json(*self._streams.list_streams(call.parameters))
        asked = self._streams.asked(call)
        reply = await self._pass(scope, _with_body(request, json.dumps(asked).encode()))
        if reply.status == 200 and call.operation == "DescribeStream":
            return _json(200, self._streams.described(json.loads(reply.body)))
        return reply

    async def _write(self, scope: Message, request: Request, call: AwsCall) -> Reply:
        """What ministack answers, and then whoever reads what was written is told."""
        reply = await self._pass(scope, request)
        if reply.status == 200:
            written = changed_tables(call)
            self._mappings.wake_readers_of(written)
            self._pipes.wake_readers_of(written)
            stream = written_stream(call)
            self._mappings.wake_readers_of_kinesis(stream)
            self._pipes.wake_readers_of_kinesis(stream)
            if str(call) in _CHANGING_ROLES:
                self._roles.forget()
                self._mappings.wake_all()
                self._pipes.wake_all()
        return reply

    def _refuse_unassumable_role(self, call: AwsCall) -> None:
        name = environments.name_of(call.parameters["FunctionName"])
        connection = self._connection
        arn = f"arn:aws:lambda:{connection.region}:{connection.account_id}:function:{name}"
        refused = self._roles.refusal(Caller(call.parameters["Role"], LAMBDA, arn))
        if refused is not None:
            raise refused_call(refused, "InvalidParameterValueException", refused.message)

    def _refuse_standard_machine(self, call: AwsCall) -> None:
        described = self._machines.describe_state_machine(stateMachineArn=call.parameters["stateMachineArn"])
        if described["type"] != "EXPRESS":
            raise AwsError(
                "StateMachineTypeNotSupported", "This operation is not supported by this type of state machine"
            )

    async def _put_metric_alarm(self, scope: Message, request: Request, call: AwsCall) -> Reply:
        check_alarm(call)
        reply = await self._pass(scope, request)
        if reply.status == 200 and call.parameters.get("Metrics"):
            # ministack forgets them.
            self._keep_alarm_metrics(call.parameters["AlarmName"], call.parameters["Metrics"])
        return reply

    async def _invoke(self, scope: Message, request: Request, call: AwsCall) -> Reply:
        with environments.named(request.headers.get(REQUEST_ID_HEADER)):
            reply = await self._pass(scope, request)
        if reply.status == 429:
            name = environments.name_of(call.parameters["FunctionName"])
            self._metrics.record("Throttles", 1, at=self._clock.now(), FunctionName=name)
        return reply

    async def _http_api(self, scope: Message, request: Request) -> Reply:
        authorization = self._routes(self._host, request.method, scope["path"])
        # Also where ministack would find something after all: what was not checked is not served.
        if authorization is None:
            return _json(404, {"message": "Not Found"})
        if authorization == "AWS_IAM" and not is_signed(request, self._connection):
            return _json(403, {"message": "Forbidden"})
        reply = await self._pass(scope, request)
        # ministack answers with the function's error, of which an HTTP API tells nobody.
        if reply.status == 502 and b'"errorType"' in reply.body:
            return _json(500, {"message": "Internal Server Error"})
        return reply

    async def _faulty(self, fault: Fault, scope: Message, request: Request, call: AwsCall) -> Reply:
        match fault.kind:
            case "fail" | "throttle":
                return _plain(*render(fault.error(call), call.protocol))
            case "lose writes":
                return _json(200, {"UnprocessedItems": {}} if call.operation == "BatchWriteItem" else {})
            case "drop answer":
                await self._serve(scope, request, call)
                lost = AwsError("ServiceException", "The answer was lost (fault injected)", status=500)
                return _plain(*render(lost, call.protocol))
            case "crash":
                return await self._crash(fault, scope, request, call)

    async def _crash(self, fault: Fault, scope: Message, request: Request, call: AwsCall) -> Reply:
        event = json.loads(request.body)
        records = event.get("Records", []) if isinstance(event, dict) else []
        hit = [index for index, record in enumerate(records) if contains(record, fault.containing or "")]
        if hit and hit[0] > 0:
            before = json.dumps({**event, "Records": records[: hit[0]]}).encode()
            reply = await self._invoke(scope, _with_body(request, before), call)
            if reply.status != 200 or reply.header("x-amz-function-error"):
                return reply
        name = environments.name_of(call.parameters["FunctionName"])
        self._metrics.record("Errors", 1, at=self._clock.now(), FunctionName=name)
        request_id = request.headers.get(REQUEST_ID_HEADER, "unknown")
        crashed = environments.exit_error(request_id)
        return Reply(200, [(b"x-amz-function-error", b"Unhandled")], json.dumps(crashed.document).encode())

    async def _pass(self, scope: Message, request: Request) -> Reply:
        """What ministack answers."""
        messages: list[Message] = []
        sent = False

        async def receive() -> Message:
            nonlocal sent
            if sent:
                # The client is still there: it waits for the answer.
                await asyncio.Event().wait()
            sent = True
            return {"type": "http.request", "body": request.body, "more_body": False}

        async def send(message: Message) -> None:
            messages.append(message)

        # ministack also routes by host; here the path alone decides, so that what was checked is what is served.
        as_checked = {**request.headers, "host": self._host}
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in as_checked.items()]
        await self._ministack({**scope, "headers": headers}, receive, send)
        start = messages[0]
        return Reply(
            start["status"], list(start.get("headers", [])), b"".join(m.get("body", b"") for m in messages[1:])
        )


async def _read(scope: Message, receive: Receive) -> Request:
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    return Request(
        scope["method"], scope["raw_path"].decode("latin-1"), scope["query_string"].decode("latin-1"), headers, body
    )


def _with_body(request: Request, body: bytes) -> Request:
    headers = {**request.headers, "content-length": str(len(body))}
    return Request(request.method, request.path, request.query_string, headers, body)


def _plain(status: int, headers: Mapping[str, str], body: bytes) -> Reply:
    return Reply(status, [(name.encode(), value.encode()) for name, value in headers.items()], body)


def _json(status: int, document: Any) -> Reply:
    return Reply(status, [(b"content-type", b"application/json")], json.dumps(document).encode())
