"""`ScheduleTargets`: calls the targets of EventBridge Scheduler with the execution role of each schedule."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local.endpoint.clients import error_code
from local.endpoint.delivery.targets import Delivery, NotDelivered
from local.endpoint.roles import SCHEDULER, Caller, Roles

_THROTTLED_STATUS = 429
_THROTTLED_CODES = ("RequestThrottled", "ThrottlingException", "TooManyRequestsException")


@dataclass(frozen=True)
class _Kind:
    """A kind of target.

    Attributes:
        action: The permission that the role needs.
        call: The call, as dead letters name it.
        request: Makes the call's parameters from the target and the input.
    """

    action: str
    call: str
    request: Callable[[Mapping[str, Any], str], dict[str, Any]]


class ScheduleTargets:
    """The functions, queues and state machines that schedules call, and their dead-letter queues.

    Args:
        roles: The account's roles.
        functions: A boto3 client of Lambda.
        machines: A boto3 client of Step Functions.
        queues: A boto3 client of SQS.
        url: The root of the endpoint's addresses.
    """

    def __init__(self, roles: Roles, *, functions: Any, machines: Any, queues: Any, url: str) -> None:
        self._roles = roles
        self._functions = functions
        self._machines = machines
        self._queues = queues
        self._kinds: Mapping[str, _Kind] = {
            "lambda": _Kind("lambda:InvokeFunction", "lambda:invoke", _invocation),
            "sqs": _Kind(
                "sqs:SendMessage",
                "sqs:sendMessage",
                lambda target, text: {
                    "MessageBody": text,
                    "QueueUrl": self._queue_url(target["Arn"]),
                    **target.get("SqsParameters", {}),
                },
            ),
            "states": _Kind("states:StartExecution", "sfn:startExecution", _execution),
        }
        self._url = url

    def needs(self, target: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Return what the role of a target needs."""
        letters = target.get("DeadLetterConfig", {}).get("Arn")
        needs = [(self._kind(target).action, target["Arn"])]
        return [*needs, ("sqs:SendMessage", letters)] if letters else needs

    def delivery(
        self, schedule: Mapping[str, Any], caller: str, moment: float, execution_id: str, now: float
    ) -> Delivery:
        """Make the delivery of an invocation.

        Args:
            schedule: The schedule, as GetSchedule answers.
            caller: ARN of the schedule's group, for which the role is assumed.
            moment: The moment that the schedule names.
            execution_id: The invocation's id.
            now: The time in seconds since 1970.
        """
        target = schedule["Target"]
        kind = self._kind(target)
        scheduled = datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        attributes = {
            "<aws.scheduler.schedule-arn>": schedule["Arn"],
            "<aws.scheduler.scheduled-time>": scheduled,
            "<aws.scheduler.execution-id>": execution_id,
        }
        text = target["Input"]
        for name, value in attributes.items():
            text = text.replace(name, value)
        return Delivery(
            caller,
            SCHEDULER,
            target,
            text,
            json.dumps(kind.request(target, text)),
            now,
            attributes={
                "EXECUTION_ID": execution_id,
                "IS_PAYLOAD_TRUNCATED": "false",
                "SCHEDULED_TIME": scheduled,
                "SCHEDULE_ARN": schedule["Arn"],
                "TARGET_ARN": f"arn:aws:scheduler:::aws-sdk:{kind.call}",
            },
        )

    def send(self, delivery: Delivery) -> None:
        """Call a target once.

        Raises:
            NotDelivered: The target did not take the call.
        """
        kind = self._kind(delivery.target)
        self._admit(delivery, kind.action, delivery.target["Arn"])
        request = kind.request(delivery.target, delivery.payload)
        match kind.action:
            case "lambda:InvokeFunction":
                _ask(self._functions.invoke, request)
            case "states:StartExecution":
                _ask(
                    self._machines.start_execution, {name[0].lower() + name[1:]: each for name, each in request.items()}
                )
            case _:
                _ask(self._queues.send_message, request)

    def park(self, delivery: Delivery, queue: str, attributes: Mapping[str, str]) -> bool:
        """Put a dead letter into its queue with the schedule's role; return whether it is there."""
        texts = {name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()}
        request = {"QueueUrl": self._queue_url(queue), "MessageBody": delivery.letter, "MessageAttributes": texts}
        try:
            self._admit(delivery, "sqs:SendMessage", queue)
            _ask(self._queues.send_message, request)
        except NotDelivered:
            return False
        return True

    def _admit(self, delivery: Delivery, action: str, arn: str) -> None:
        caller = Caller(delivery.target["RoleArn"], SCHEDULER, delivery.source)
        refused = self._roles.refusal(caller, [(action, arn)])
        if refused is not None:
            raise NotDelivered("AccessDeniedException", refused.message, retried=False)

    def _kind(self, target: Mapping[str, Any]) -> _Kind:
        return self._kinds[target["Arn"].split(":")[2]]

    def _queue_url(self, arn: str) -> str:
        account, name = arn.split(":")[4:]
        return f"{self._url}/{account}/{name}"


def _invocation(target: Mapping[str, Any], text: str) -> dict[str, Any]:
    return {"FunctionName": target["Arn"], "InvocationType": "Event", "Payload": text}


def _execution(target: Mapping[str, Any], text: str) -> dict[str, Any]:
    return {"StateMachineArn": target["Arn"], "Input": text}


def _ask(call: Callable[..., Any], request: Mapping[str, Any]) -> None:
    try:
        call(**request)
    except ClientError as refused:
        code, status = error_code(refused), refused.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
        retried = status >= 500 or status == _THROTTLED_STATUS or code in _THROTTLED_CODES
        raise NotDelivered(code, refused.response.get("Error", {}).get("Message", code), retried=retried) from refused
    except BotoCoreError as wrong:
        raise NotDelivered("AWS.Scheduler.InternalServerError", str(wrong), retried=True) from wrong
