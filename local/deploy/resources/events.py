"""Event buses, and the rules that send their events on."""

from __future__ import annotations

from collections.abc import Mapping

from local.deploy.resources.aws import Aws
from local.deploy.resources.members import Document, as_json
from local.deploy.resources.resource_type import Change, Found, Gone, Name, ResourceType, words


def _create_bus(aws: Aws, request: Document) -> str:
    aws.client("events").create_event_bus(**request)
    return request["Name"]


def _read_bus(aws: Aws, id_: str, _request: Document) -> Found:
    return Found({}, {"name": id_, "arn": aws.client("events").describe_event_bus(Name=id_)["Arn"]})


def _delete_bus(aws: Aws, id_: str, _request: Document) -> None:
    aws.client("events").delete_event_bus(Name=id_)


def _put_rule(aws: Aws, request: Document) -> str:
    aws.client("events").put_rule(**request)
    bus = request.get("EventBusName", "default")
    return request["Name"] if bus == "default" else f"{bus}/{request['Name']}"


def _read_rule(aws: Aws, _id: str, request: Document) -> Found:
    found = aws.client("events").describe_rule(**_rule(request))
    return Found(found, {"name": found["Name"], "arn": found["Arn"]})


def _put_rule_again(aws: Aws, _id: str, change: Change) -> None:
    _put_rule(aws, change.new)


def _delete_rule(aws: Aws, _id: str, request: Document) -> None:
    aws.client("events").delete_rule(**_rule(request))


def _rule(request: Document) -> Document:
    return {name: request[name] for name in ("Name", "EventBusName") if name in request}


def _put_target(aws: Aws, request: Document) -> str:
    target = {name: request[name] for name in ("Id", "Arn") if name in request}
    answer = aws.client("events").put_targets(**_rule_of(request), Targets=[target])
    if answer["FailedEntryCount"]:
        raise ValueError(f"the rule did not take its target: {answer['FailedEntries'][0]['ErrorMessage']}")
    return f"{request['Rule']}-{request['Id']}"


def _read_target(aws: Aws, id_: str, request: Document) -> Found:
    for found in aws.client("events").list_targets_by_rule(**_rule_of(request))["Targets"]:
        if found["Id"] == request["Id"]:
            return Found(found, {"targetId": found["Id"]})
    raise Gone(id_)


def _put_target_again(aws: Aws, _id: str, change: Change) -> None:
    _put_target(aws, change.new)


def _remove_target(aws: Aws, _id: str, request: Document) -> None:
    aws.client("events").remove_targets(**_rule_of(request), Ids=[request["Id"]])


def _rule_of(request: Document) -> Document:
    return {name: request[name] for name in ("Rule", "EventBusName") if name in request}


TYPES: Mapping[str, ResourceType] = {
    "aws:cloudwatch/eventBus:EventBus": ResourceType(
        members={"name": "Name"},
        begin=_create_bus,
        read=_read_bus,
        delete=_delete_bus,
        name=Name(longest=256, allowed=r"[A-Za-z0-9_./-]"),
        replaces=words("name eventSourceName"),
        outputs=words("arn"),
    ),
    "aws:cloudwatch/eventRule:EventRule": ResourceType(
        members={
            "name": "Name",
            "eventBusName": "EventBusName",
            "eventPattern": as_json("EventPattern"),
            "description": "Description",
            "state": "State",
        },
        begin=_put_rule,
        read=_read_rule,
        update=_put_rule_again,
        delete=_delete_rule,
        name=Name(longest=64),
        replaces=words("name namePrefix eventBusName"),
        outputs=words("arn"),
    ),
    "aws:cloudwatch/eventTarget:EventTarget": ResourceType(
        members={"targetId": "Id", "rule": "Rule", "eventBusName": "EventBusName", "arn": "Arn"},
        begin=_put_target,
        read=_read_target,
        update=_put_target_again,
        delete=_remove_target,
        name=Name("targetId", longest=64),
        replaces=words("rule eventBusName targetId"),
    ),
}
"""Types of the package `cloudwatch` that belong to EventBridge."""
