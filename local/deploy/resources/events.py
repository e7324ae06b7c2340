"""Event buses, and the rules that send their events on."""

from __future__ import annotations

from local.deploy.program import Created
from local.deploy.resources.aws import Aws
from local.deploy.resources.inputs import Inputs


def bus(inputs: Inputs, aws: Aws) -> Created:
    """CreateEventBus."""
    name = inputs.name()
    inputs.finish()
    arn = aws.client("events").create_event_bus(Name=name)["EventBusArn"]
    return Created(name, {"name": name, "arn": arn})


def rule(inputs: Inputs, aws: Aws) -> Created:
    """PutRule."""
    name = inputs.name()
    request = inputs.members(
        {"eventBusName": "EventBusName", "eventPattern": "EventPattern", "description": "Description", "state": "State"}
    )
    inputs.finish()
    arn = aws.client("events").put_rule(Name=name, **request)["RuleArn"]
    of_bus = request.get("EventBusName", "default")
    return Created(name if of_bus == "default" else f"{of_bus}/{name}", {"name": name, "arn": arn})


def target(inputs: Inputs, aws: Aws) -> Created:
    """PutTargets, with one."""
    target_id = inputs.name("targetId")
    request = inputs.members({"rule": "Rule", "eventBusName": "EventBusName"})
    described = inputs.members({"arn": "Arn"})
    inputs.finish()
    answer = aws.client("events").put_targets(**request, Targets=[{"Id": target_id, **described}])
    if answer["FailedEntryCount"]:
        raise ValueError(f"the rule did not take its target: {answer['FailedEntries'][0]['ErrorMessage']}")
    return Created(f"{request['Rule']}-{target_id}", {"targetId": target_id})
