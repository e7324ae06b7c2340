"""Groups of EventBridge Scheduler, and their schedules."""

from __future__ import annotations

from collections.abc import Mapping

from local.deploy.resources.aws import Aws
from local.deploy.resources.members import Block, Document, Members, as_time
from local.deploy.resources.resource_type import Change, Found, Name, ResourceType, words


def _create_group(aws: Aws, request: Document) -> str:
    aws.client("scheduler").create_schedule_group(**request)
    return request["Name"]


def _read_group(aws: Aws, id_: str, _request: Document) -> Found:
    found = aws.client("scheduler").get_schedule_group(Name=id_)
    return Found(found, {"name": id_, "arn": found["Arn"], "state": found["State"]})


def _delete_group(aws: Aws, id_: str, _request: Document) -> None:
    aws.client("scheduler").delete_schedule_group(Name=id_)


def _create(aws: Aws, request: Document) -> str:
    aws.client("scheduler").create_schedule(**request)
    return f"{request.get('GroupName', 'default')}/{request['Name']}"


def _read(aws: Aws, id_: str, _request: Document) -> Found:
    found = aws.client("scheduler").get_schedule(**_named(id_))
    return Found(found, {"name": found["Name"], "groupName": found["GroupName"], "arn": found["Arn"]})


def _update(aws: Aws, id_: str, change: Change) -> None:
    aws.client("scheduler").update_schedule(**{**change.new, **_named(id_)})


def _delete(aws: Aws, id_: str, _request: Document) -> None:
    aws.client("scheduler").delete_schedule(**_named(id_))


def _named(id_: str) -> Document:
    group, _, name = id_.partition("/")
    return {"GroupName": group, "Name": name}


_TARGET: Members = {
    "arn": "Arn",
    "deadLetterConfig": Block("DeadLetterConfig", {"arn": "Arn"}),
    "input": "Input",
    "retryPolicy": Block(
        "RetryPolicy",
        {"maximumEventAgeInSeconds": "MaximumEventAgeInSeconds", "maximumRetryAttempts": "MaximumRetryAttempts"},
    ),
    "roleArn": "RoleArn",
    "sqsParameters": Block("SqsParameters", {"messageGroupId": "MessageGroupId"}),
}

TYPES: Mapping[str, ResourceType] = {
    "aws:scheduler/scheduleGroup:ScheduleGroup": ResourceType(
        members={"name": "Name"},
        begin=_create_group,
        read=_read_group,
        delete=_delete_group,
        name=Name(longest=64),
        replaces=words("name namePrefix"),
        outputs=words("arn state"),
    ),
    "aws:scheduler/schedule:Schedule": ResourceType(
        members={
            "actionAfterCompletion": "ActionAfterCompletion",
            "description": "Description",
            "endDate": as_time("EndDate"),
            "flexibleTimeWindow": Block(
                "FlexibleTimeWindow", {"maximumWindowInMinutes": "MaximumWindowInMinutes", "mode": "Mode"}
            ),
            "groupName": "GroupName",
            "kmsKeyArn": "KmsKeyArn",
            "name": "Name",
            "scheduleExpression": "ScheduleExpression",
            "scheduleExpressionTimezone": "ScheduleExpressionTimezone",
            "startDate": as_time("StartDate"),
            "state": "State",
            "target": Block("Target", _TARGET),
        },
        begin=_create,
        read=_read,
        update=_update,
        delete=_delete,
        name=Name(longest=64),
        replaces=words("name namePrefix groupName"),
        outputs=words("arn"),
    ),
}
"""Types of the package `scheduler`."""
