"""Step Functions state machines."""

from __future__ import annotations

from local.deploy.program import Created
from local.deploy.resources.aws import Aws
from local.deploy.resources.inputs import Inputs


def state_machine(inputs: Inputs, aws: Aws) -> Created:
    """CreateStateMachine."""
    name = inputs.name()
    request = inputs.members({"definition": "definition", "roleArn": "roleArn", "type": "type"})
    inputs.finish()
    arn = aws.client("stepfunctions").create_state_machine(name=name, **request)["stateMachineArn"]
    return Created(arn, {"name": name, "arn": arn})
