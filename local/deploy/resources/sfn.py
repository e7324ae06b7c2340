"""Step Functions state machines."""

from __future__ import annotations

from collections.abc import Mapping

from local.deploy.resources.aws import Aws
from local.deploy.resources.members import Document, as_json
from local.deploy.resources.resource_type import Change, Found, Name, ResourceType, words


def _create(aws: Aws, request: Document) -> str:
    return aws.client("stepfunctions").create_state_machine(**request)["stateMachineArn"]


def _read(aws: Aws, id_: str, _request: Document) -> Found:
    found = aws.client("stepfunctions").describe_state_machine(stateMachineArn=id_)
    return Found(found, {"name": found["name"], "arn": id_})


def _update(aws: Aws, id_: str, change: Change) -> None:
    changed = {name: change.new[name] for name in change.names}
    aws.client("stepfunctions").update_state_machine(stateMachineArn=id_, **changed)


def _delete(aws: Aws, id_: str, _request: Document) -> None:
    aws.client("stepfunctions").delete_state_machine(stateMachineArn=id_)


TYPES: Mapping[str, ResourceType] = {
    "aws:sfn/stateMachine:StateMachine": ResourceType(
        members={"name": "name", "definition": as_json("definition"), "roleArn": "roleArn", "type": "type"},
        begin=_create,
        read=_read,
        update=_update,
        delete=_delete,
        name=Name(longest=80, allowed=r"[^\s<>{}\[\]?*\"#%\\^|~`$&,;:/]"),
        replaces=words("name namePrefix type"),
        outputs=words("arn"),
    )
}
"""Types of the package `sfn`."""
