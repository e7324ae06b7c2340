"""Lambda's functions: what the endpoint adds to ministack's CreateFunction and Invoke."""

from __future__ import annotations

from typing import Any

from local.endpoint.api.aws_call import AwsCall
from local.endpoint.api.http_messages import Reply
from local.endpoint.clients import REQUEST_ID_HEADER, Connection
from local.endpoint.functions import environments
from local.endpoint.roles import LAMBDA, Caller, Roles, refused_call
from local.endpoint.routes import PassOn, Routes
from local.engine.alarms.metrics import Metrics
from local.engine.clock import Clock


class FunctionService:
    """Roles at creation; request ids, throttles and injected crashes at invocation.

    Args:
        connection: The endpoint's region and account.
        roles: The account's roles.
        metrics: The recorded datapoints.
        clock: The clock of the datapoints.
    """

    def __init__(self, *, connection: Connection, roles: Roles, metrics: Metrics, clock: Clock) -> None:
        self._connection = connection
        self._roles = roles
        self._metrics = metrics
        self._clock = clock

    @property
    def routes(self) -> Routes:
        """The operations."""
        return Routes(
            checked={"lambda:CreateFunction": [self._check_role]},
            amended={"lambda:Invoke": self._invoke},
        )

    def crashed(self, call: AwsCall) -> dict[str, Any]:
        """Record an invocation whose process ended, and return Lambda's error document."""
        self._record("Errors", call)
        return dict(environments.exit_error(call.request.headers.get(REQUEST_ID_HEADER, "unknown")).document)

    def _check_role(self, call: AwsCall) -> None:
        """Refuse a role that Lambda cannot assume."""
        name = environments.name_of(call.parameters["FunctionName"])
        connection = self._connection
        arn = f"arn:aws:lambda:{connection.region}:{connection.account_id}:function:{name}"
        refusal = self._roles.refusal(Caller(call.parameters["Role"], LAMBDA, arn))
        if refusal is not None:
            raise refused_call(refusal, "InvalidParameterValueException", refusal.message)

    async def _invoke(self, call: AwsCall, pass_on: PassOn) -> Reply:
        with environments.named(call.request.headers.get(REQUEST_ID_HEADER)):
            reply = await pass_on(call)
        if reply.status == 429:
            self._record("Throttles", call)
        return reply

    def _record(self, metric: str, call: AwsCall) -> None:
        name = environments.name_of(call.parameters["FunctionName"])
        self._metrics.record(metric, 1, at=self._clock.now(), FunctionName=name)
