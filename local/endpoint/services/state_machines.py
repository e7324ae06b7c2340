"""Step Functions: what AWS refuses and ministack does not, and the repeated start of one execution."""

from __future__ import annotations

import asyncio
import re
from typing import Any

from local.endpoint.api.aws_call import AwsCall
from local.endpoint.api.errors import AwsError, NotSimulated
from local.endpoint.api.http_messages import Reply
from local.endpoint.roles import STATES, Caller, Roles, refused_call
from local.endpoint.routes import PassOn, Routes
from local.endpoint.services.state_language import check_definition

#: Characters of an execution's name at most (SFN-1).
_NAME_CHARACTERS = 80

#: Characters that AWS takes in no name.
_REFUSED_IN_NAMES = re.compile(r"[\s<>{}\[\]?*\"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f]")


class StateMachines:
    """The operations on state machines, and the start of their executions.

    Args:
        machines: A boto3 client of Step Functions.
        roles: The account's roles.
    """

    def __init__(self, machines: Any, roles: Roles) -> None:
        self._machines = machines
        self._roles = roles

    @property
    def routes(self) -> Routes:
        """The tables of Step Functions."""
        return Routes(
            checked={
                "stepfunctions:CreateStateMachine": [_check_definition, self._check_role],
                "stepfunctions:StartExecution": [_check_execution_name],
                "stepfunctions:StartSyncExecution": [_check_execution_name, self._check_express],
                "stepfunctions:UpdateStateMachine": [_check_definition, self._check_role],
            },
            amended={"stepfunctions:StartExecution": self._start},
        )

    def _check_role(self, call: AwsCall) -> None:
        if "roleArn" not in call.parameters:
            return
        refused = self._roles.refusal(Caller(call.parameters["roleArn"], STATES, ""))
        if refused is not None:
            raise refused_call(refused, "AccessDeniedException", refused.message)

    def _check_express(self, call: AwsCall) -> None:
        if self._describe(call.parameters["stateMachineArn"])["type"] != "EXPRESS":
            raise AwsError(
                "StateMachineTypeNotSupported", "This operation is not supported by this type of state machine"
            )

    async def _start(self, call: AwsCall, pass_on: PassOn) -> Reply:
        """Start an execution, or find the running one of the same name and input (SFN-2)."""
        reply = await pass_on(call)
        if reply.status != 400 or b"ExecutionAlreadyExists" not in reply.body:
            return reply
        running = await asyncio.to_thread(self._same, call)
        return reply if running is None else Reply.json(200, running)

    def _same(self, call: AwsCall) -> dict[str, Any] | None:
        machine, name = call.parameters["stateMachineArn"], call.parameters["name"]
        if self._describe(machine)["type"] == "EXPRESS":
            raise NotSimulated(
                f"the local endpoint does not run a second EXPRESS execution named {name!r}: start it without a name "
                "or under another one, or run this against an AWS account"
            )
        arn = f"{machine.replace(':stateMachine:', ':execution:')}:{name}"
        found = self._machines.describe_execution(executionArn=arn)
        if found["status"] != "RUNNING" or found["input"] != call.parameters.get("input", "{}"):
            return None
        return {"executionArn": arn, "startDate": found["startDate"].timestamp()}

    def _describe(self, arn: str) -> Any:
        return self._machines.describe_state_machine(stateMachineArn=arn)


def _check_definition(call: AwsCall) -> None:
    if "definition" in call.parameters:
        check_definition(call.parameters["definition"])


def _check_execution_name(call: AwsCall) -> None:
    name = call.parameters.get("name", "-")
    if not 1 <= len(name) <= _NAME_CHARACTERS:
        raise AwsError(
            "ValidationException",
            f"1 validation error detected: Value '{name}' at 'name' failed to satisfy constraint: Member must have "
            f"length less than or equal to {_NAME_CHARACTERS}",
        )
    if _REFUSED_IN_NAMES.search(name):
        raise AwsError("InvalidName", f"Invalid Name: '{name}'")
