"""Step Functions: what AWS refuses and ministack does not."""

from __future__ import annotations

from typing import Any

from local.endpoint.api.aws_call import AwsCall
from local.endpoint.api.errors import AwsError
from local.endpoint.routes import Routes
from local.endpoint.services.state_language import check_definition


def state_machine_routes(machines: Any) -> Routes:
    """Make the tables of Step Functions.

    Args:
        machines: A boto3 client of Step Functions.
    """

    def check_express(call: AwsCall) -> None:
        described = machines.describe_state_machine(stateMachineArn=call.parameters["stateMachineArn"])
        if described["type"] != "EXPRESS":
            raise AwsError(
                "StateMachineTypeNotSupported", "This operation is not supported by this type of state machine"
            )

    return Routes(
        checked={
            "stepfunctions:CreateStateMachine": [_check_definition],
            "stepfunctions:StartSyncExecution": [check_express],
            "stepfunctions:UpdateStateMachine": [_check_definition],
        }
    )


def _check_definition(call: AwsCall) -> None:
    if "definition" in call.parameters:
        check_definition(call.parameters["definition"])
