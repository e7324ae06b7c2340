"""Lambda's functions: the checks, names and errors that ministack's Lambda lacks."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from botocore.exceptions import ClientError

from aws_semantics.limits import ASYNC_PAYLOAD_BYTES, INVOCATION_PAYLOAD_BYTES
from aws_semantics.permissions import sending_failures
from local.endpoint import ministack_internals
from local.endpoint.api.aws_call import AwsCall
from local.endpoint.api.errors import AwsError
from local.endpoint.api.http_messages import OWN, Reply
from local.endpoint.clients import REQUEST_ID_HEADER, Connection
from local.endpoint.functions import environments
from local.endpoint.functions.names import account_of, name_of, qualifier_of
from local.endpoint.roles import LAMBDA, Caller, Roles, refused_call
from local.endpoint.routes import PassOn, Routes
from local.engine.alarms.metrics import Metrics
from local.engine.clock import Clock

#: Operations on a function that exists.
_NAMING = (
    "AddPermission",
    "DeleteFunction",
    "DeleteFunctionConcurrency",
    "GetFunction",
    "GetFunctionConcurrency",
    "GetFunctionConfiguration",
    "PutFunctionConcurrency",
    "RemovePermission",
    "UpdateFunctionCode",
    "UpdateFunctionConfiguration",
)


class FunctionService:
    """Roles at creation; request ids, sizes, throttles and injected crashes at invocation.

    Args:
        connection: The endpoint's region and account.
        functions: A boto3 client of Lambda.
        roles: The account's roles.
        metrics: The recorded datapoints.
        clock: The clock of the datapoints.
    """

    def __init__(self, *, connection: Connection, functions: Any, roles: Roles, metrics: Metrics, clock: Clock) -> None:
        self._connection = connection
        self._functions = functions
        self._roles = roles
        self._metrics = metrics
        self._clock = clock

    @property
    def routes(self) -> Routes:
        """The operations."""
        return Routes(
            checked={
                "lambda:CreateFunction": [self._check_role],
                "lambda:Invoke": [_check_size],
                "lambda:UpdateFunctionConfiguration": [self._check_new_role],
            },
            amended={
                **{f"lambda:{operation}": self._named for operation in _NAMING},
                "lambda:GetPolicy": self._get_policy,
                "lambda:Invoke": self._invoke,
            },
        )

    def crashed(self, call: AwsCall) -> dict[str, Any]:
        """Record an invocation whose process ended, and return Lambda's error document."""
        self._record("Errors", call)
        return dict(environments.exit_error(call.request.headers.get(REQUEST_ID_HEADER, "unknown")).document)

    def _check_role(self, call: AwsCall) -> None:
        """Refuse a role that Lambda cannot assume."""
        name = name_of(call.parameters["FunctionName"])
        connection = self._connection
        arn = f"arn:aws:lambda:{connection.region}:{connection.account_id}:function:{name}"
        caller = Caller(call.parameters["Role"], LAMBDA, arn)
        refusal = self._roles.refusal(caller)
        if refusal is not None:
            raise refused_call(refusal, "InvalidParameterValueException", refusal.message)
        target = (call.parameters.get("DeadLetterConfig") or {}).get("TargetArn")
        refusal = self._roles.refusal(caller, sending_failures(target)) if target else None
        if refusal is not None:
            call_on = "Publish on SNS" if ":sns:" in str(target) else "SendMessage on SQS"
            message = f"The provided execution role does not have permissions to call {call_on}"
            raise refused_call(refusal, "InvalidParameterValueException", message)

    def _check_new_role(self, call: AwsCall) -> None:
        """Refuse a new role that Lambda cannot assume, or that may not send to a new dead-letter queue."""
        if "Role" in call.parameters or "DeadLetterConfig" in call.parameters:
            role = call.parameters.get("Role") or self._role_of(call.parameters["FunctionName"])
            if role is not None:
                self._check_role(replace(call, parameters={**call.parameters, "Role": role}))

    def _role_of(self, function: str) -> str | None:
        try:
            return self._functions.get_function_configuration(FunctionName=function)["Role"]
        except ClientError:
            return None  # ministack answers that the function does not exist

    async def _named(self, call: AwsCall, pass_on: PassOn) -> Reply:
        """Pass a call on with the function's full ARN in place of a partial one, which ministack does not read."""
        given = str(call.parameters["FunctionName"])
        if given.startswith("arn:") or account_of(given) is None:
            return await pass_on(call)
        qualifier = qualifier_of(given)
        full = f"arn:aws:lambda:{self._connection.region}:{account_of(given)}:function:{name_of(given)}"
        full += f":{qualifier}" if qualifier else ""
        path = call.request.path
        for spelling in (quote(given, safe=""), given):
            path = path.replace(f"/functions/{spelling}", f"/functions/{quote(full, safe='')}")
        return await pass_on(replace(call, request=replace(call.request, path=path)))

    async def _get_policy(self, call: AwsCall, pass_on: PassOn) -> Reply:
        """Refuse to describe a policy without statements: then there is none on AWS."""
        reply = await self._named(call, pass_on)
        if reply.status == 200 and not json.loads(json.loads(reply.body)["Policy"])["Statement"]:
            raise AwsError("ResourceNotFoundException", "The resource you requested does not exist.", status=404)
        return reply

    async def _invoke(self, call: AwsCall, pass_on: PassOn) -> Reply:
        with environments.named(call.request.headers.get(REQUEST_ID_HEADER)):
            reply = await self._run(call, pass_on)
        if reply.status == 429:
            self._record("Throttles", call)
        return reply

    async def _run(self, call: AwsCall, pass_on: PassOn) -> Reply:
        """Run an invocation. The payload of one that waits reaches the function as the text that it is."""
        given = str(call.parameters["FunctionName"])
        waits = call.parameters.get("InvocationType", "RequestResponse") == "RequestResponse"
        if not waits or account_of(given) not in (None, self._connection.account_id):
            return await self._named(call, pass_on)
        headers = call.request.headers
        event = ministack_internals.RawJson(_payload(call).decode().replace("\n", " ").replace("\r", " "))
        answer = await ministack_internals.invoke(name_of(given), qualifier_of(given), event, headers)
        return Reply.plain(*answer)

    def _record(self, metric: str, call: AwsCall) -> None:
        name = name_of(call.parameters["FunctionName"])
        self._metrics.record(metric, 1, at=self._clock.now(), FunctionName=name)


def _payload(call: AwsCall) -> bytes:
    """Return the payload of an invocation, which must be JSON."""
    payload: bytes = call.parameters.get("Payload", b"") or b"{}"
    if call.request.client != OWN:
        try:
            json.loads(payload)
        except ValueError as wrong:
            message = f"Could not parse request body into json: {wrong}"
            raise AwsError("InvalidRequestContentException", message) from wrong
    return payload


def _check_size(call: AwsCall) -> None:
    """Refuse a payload that is too large."""
    size = len(call.parameters.get("Payload", b""))
    waits = call.parameters.get("InvocationType") != "Event"
    limit = INVOCATION_PAYLOAD_BYTES if waits else ASYNC_PAYLOAD_BYTES
    if size > limit:
        operation = "InvokeFunction" if waits else "InvokeAsync"
        message = f"Request must be smaller than {limit} bytes for the {operation} operation"
        raise AwsError("RequestTooLargeException", message, status=413)
