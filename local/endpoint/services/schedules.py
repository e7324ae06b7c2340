"""EventBridge Scheduler: groups and schedules, and the thread that calls their targets when they are due.

https://docs.aws.amazon.com/scheduler/latest/APIReference/ and docs/aws-semantics.md §10.3.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from local.api_models import violations
from local.endpoint.api.errors import AwsError, NotSimulated
from local.endpoint.api.pages import page_of
from local.endpoint.delivery.schedule_targets import ScheduleTargets
from local.endpoint.delivery.targets import Delivery, TargetDeliveries
from local.endpoint.roles import SCHEDULER, Caller, Roles, refused_call
from local.endpoint.routes import Routes
from local.engine.clock import Clock
from local.engine.schedules.agenda import Agenda, Due, Plan
from local.engine.schedules.expressions import At, Expression, InvalidExpression, NotHonoured, parse

Parameters = Mapping[str, Any]

_DEFAULT = "default"

#: Members of GetSchedule's answer that come from the request.
_GIVEN = (
    *("Description", "EndDate", "FlexibleTimeWindow", "KmsKeyArn", "Name", "ScheduleExpression", "StartDate"),
    "Target",
)

#: Members that say when a schedule is due.
_TIMES = ("EndDate", "FlexibleTimeWindow", "ScheduleExpression", "StartDate", "State")


class Schedules:
    """The API of EventBridge Scheduler.

    Args:
        targets: Calls the targets.
        roles: The account's roles.
        clock: The clock of the schedules.
        region: Region in the ARNs.
        account_id: Account in the ARNs.
    """

    def __init__(self, targets: ScheduleTargets, roles: Roles, clock: Clock, *, region: str, account_id: str) -> None:
        self._targets = targets
        self._roles = roles
        self._clock = clock
        self._arn = f"arn:aws:scheduler:{region}:{account_id}"
        self._deliveries = TargetDeliveries(targets.send, targets.park, lambda _: None, clock)
        self._lock = threading.Lock()
        self._groups: dict[str, dict[str, Any]] = {_DEFAULT: self._group(_DEFAULT)}
        self._schedules: dict[str, dict[str, Any]] = {}
        self._answers: dict[str | None, dict[str, Any]] = {}
        self._agenda = Agenda()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="schedules", daemon=True)

    @property
    def routes(self) -> Routes:
        """The operations."""
        return Routes(
            answered={
                "scheduler:CreateSchedule": self._create,
                "scheduler:CreateScheduleGroup": self._create_group,
                "scheduler:DeleteSchedule": self._delete,
                "scheduler:DeleteScheduleGroup": self._delete_group,
                "scheduler:GetSchedule": self._get,
                "scheduler:GetScheduleGroup": self._get_group,
                "scheduler:ListSchedules": self._list,
                "scheduler:UpdateSchedule": self._update,
            }
        )

    @property
    def role_arns(self) -> list[str]:
        """The ARNs of the schedules' roles."""
        with self._lock:
            return [each["Target"]["RoleArn"] for each in self._schedules.values()]

    def start(self) -> None:
        """Begin to call targets."""
        self._deliveries.start()
        self._thread.start()

    def close(self) -> None:
        """Stop calling targets."""
        self._closed = True
        self._clock.wake()
        self._deliveries.close()

    def _create_group(self, parameters: Parameters) -> tuple[int, Any]:
        _check_model("CreateScheduleGroup", parameters)
        name = parameters["Name"]

        def create() -> dict[str, Any]:
            if name in self._groups:
                raise AwsError("ConflictException", f"Schedule group {name} already exists.", status=409)
            self._groups[name] = self._group(name)
            return {"ScheduleGroupArn": self._groups[name]["Arn"]}

        return self._once(parameters, create)

    def _get_group(self, parameters: Parameters) -> tuple[int, Any]:
        return 200, self._found_group(parameters["Name"])

    def _delete_group(self, parameters: Parameters) -> tuple[int, Any]:
        name = parameters["Name"]
        if name == _DEFAULT:
            raise AwsError("ValidationException", "The default schedule group cannot be deleted.")

        def delete() -> dict[str, Any]:
            self._found_group(name)
            del self._groups[name]
            for arn in [arn for arn, each in self._schedules.items() if each["GroupName"] == name]:
                self._forget(arn)
            return {}

        return self._once(parameters, delete)

    def _create(self, parameters: Parameters) -> tuple[int, Any]:
        _check_model("CreateSchedule", parameters)
        arn, now = self._arn_of(parameters), self._clock.now()
        plan = self._checked(parameters, now)

        def create() -> dict[str, Any]:
            if arn in self._schedules:
                raise AwsError("ConflictException", f"Schedule {parameters['Name']} already exists.", status=409)
            self._schedules[arn] = self._document(arn, parameters, created=now)
            self._enter(arn, plan)
            return {"ScheduleArn": arn}

        return self._once(parameters, create)

    def _update(self, parameters: Parameters) -> tuple[int, Any]:
        """Answer UpdateSchedule: a member that is not given gets its default."""
        _check_model("UpdateSchedule", parameters)
        arn, now = self._arn_of(parameters), self._clock.now()
        plan = self._checked(parameters, now)

        def update() -> dict[str, Any]:
            before = self._found(parameters)
            after = self._document(arn, parameters, created=before["CreationDate"])
            self._schedules[arn] = after
            moved = before["ScheduleExpression"] != after["ScheduleExpression"]
            if moved or (not _is_past(plan, now) and any(before.get(each) != after.get(each) for each in _TIMES)):
                self._enter(arn, plan)
            return {"ScheduleArn": arn}

        return self._once(parameters, update)

    def _delete(self, parameters: Parameters) -> tuple[int, Any]:
        def delete() -> dict[str, Any]:
            self._found(parameters)
            self._forget(self._arn_of(parameters))
            return {}

        return self._once(parameters, delete)

    def _once(self, parameters: Parameters, change: Callable[[], dict[str, Any]]) -> tuple[int, Any]:
        """Make a change, or answer a call that is repeated with its ClientToken as the first one."""
        token = parameters.get("ClientToken")
        with self._lock:
            answer = self._answers.get(token)
            if answer is None:
                answer = change()
            if token is not None:
                self._answers[token] = answer
        # Not under the lock: whoever waits for the clock asks for it.
        self._clock.wake()
        return 200, answer

    def _get(self, parameters: Parameters) -> tuple[int, Any]:
        with self._lock:
            return 200, self._found(parameters)

    def _list(self, parameters: Parameters) -> tuple[int, Any]:
        given: Parameters = {
            **parameters,
            **({"MaxResults": int(parameters["MaxResults"])} if "MaxResults" in parameters else {}),
        }
        for problem in violations("scheduler", "ListSchedules", given):
            raise AwsError("ValidationException", problem)
        with self._lock:
            summaries = [
                {
                    **{name: each[name] for name in ("Arn", "CreationDate", "GroupName", "LastModificationDate")},
                    **{name: each[name] for name in ("Name", "State")},
                    "Target": {"Arn": each["Target"]["Arn"]},
                }
                for _, each in sorted(self._schedules.items())
                if given.get("GroupName", each["GroupName"]) == each["GroupName"]
                and given.get("State", each["State"]) == each["State"]
                and each["Name"].startswith(given.get("NamePrefix", ""))
            ]
        try:
            page, token = page_of(summaries, size=given.get("MaxResults", 100), token=given.get("NextToken"))
        except ValueError as wrong:
            raise AwsError("ValidationException", "Invalid NextToken") from wrong
        return 200, {"Schedules": page, **({} if token is None else {"NextToken": token})}

    def _checked(self, parameters: Parameters, now: float) -> Plan:
        """Check a schedule, and return its times."""
        group = parameters.get("GroupName", _DEFAULT)
        self._found_group(group)
        expression, window = _expression(parameters["ScheduleExpression"]), parameters["FlexibleTimeWindow"]
        if (window["Mode"] == "FLEXIBLE") != ("MaximumWindowInMinutes" in window):
            raise AwsError(
                "ValidationException", "MaximumWindowInMinutes must be given if, and only if, Mode is FLEXIBLE."
            )
        target = parameters["Target"]
        if not target["Arn"].startswith("arn:aws:sqs:") and not _is_json(target["Input"]):
            raise AwsError("ValidationException", "Invalid input JSON.")
        # Not under the lock: it calls the endpoint, which may be waiting for the lock.
        caller = Caller(target["RoleArn"], SCHEDULER, self._group_arn(group))
        refused = self._roles.refusal(caller)
        if refused is not None:
            message = "The execution role you provide must allow AWS EventBridge Scheduler to assume the role."
            raise refused_call(refused, "ValidationException", message)
        self._roles.check_decidable(caller, self._targets.needs(target))
        return Plan(
            expression,
            begin=max(now, parameters.get("StartDate", now)),
            end=parameters.get("EndDate", float("inf")),
            window=60.0 * window.get("MaximumWindowInMinutes", 0),
        )

    def _enter(self, arn: str, plan: Plan) -> None:
        self._agenda.drop(arn)
        if self._schedules[arn]["State"] == "ENABLED":
            self._agenda.put(arn, plan)

    def _document(self, arn: str, parameters: Parameters, *, created: float) -> dict[str, Any]:
        return {
            **{name: parameters[name] for name in _GIVEN if name in parameters},
            "ActionAfterCompletion": parameters.get("ActionAfterCompletion", "NONE"),
            "Arn": arn,
            "CreationDate": created,
            "GroupName": parameters.get("GroupName", _DEFAULT),
            "LastModificationDate": self._clock.now(),
            "ScheduleExpressionTimezone": parameters.get("ScheduleExpressionTimezone", "UTC"),
            "State": parameters.get("State", "ENABLED"),
        }

    def _run(self) -> None:
        while not self._closed:
            first = self._first()
            self._clock.wait_until(first, lambda first=first: self._closed or self._first() < first)
            self._call_due()

    def _first(self) -> float:
        with self._lock:
            return self._agenda.next_moment()

    def _call_due(self) -> None:
        now = self._clock.now()
        with self._lock:
            due = [self._taken(each, now) for each in self._agenda.due(now)]
        for delivery in due:
            self._deliveries.deliver(delivery)

    def _taken(self, due: Due, now: float) -> Delivery:
        schedule = self._schedules[due.schedule]
        if due.last and schedule["ActionAfterCompletion"] == "DELETE":
            del self._schedules[due.schedule]
        caller = self._group_arn(schedule["GroupName"])
        return self._targets.delivery(schedule, caller, due.moment, uuid.uuid4().hex[:16], now)

    def _forget(self, arn: str) -> None:
        del self._schedules[arn]
        self._agenda.drop(arn)

    def _found(self, parameters: Parameters) -> dict[str, Any]:
        found = self._schedules.get(self._arn_of(parameters))
        if found is None:
            raise AwsError("ResourceNotFoundException", f"Schedule {parameters['Name']} does not exist.", status=404)
        return found

    def _found_group(self, name: str) -> dict[str, Any]:
        found = self._groups.get(name)
        if found is None:
            raise AwsError("ResourceNotFoundException", f"Schedule group {name} does not exist.", status=404)
        return found

    def _group(self, name: str) -> dict[str, Any]:
        now = self._clock.now()
        arn = self._group_arn(name)
        return {"Arn": arn, "CreationDate": now, "LastModificationDate": now, "Name": name, "State": "ACTIVE"}

    def _group_arn(self, name: str) -> str:
        return f"{self._arn}:schedule-group/{name}"

    def _arn_of(self, parameters: Parameters) -> str:
        return f"{self._arn}:schedule/{parameters.get('GroupName', _DEFAULT)}/{parameters['Name']}"


def _expression(text: str) -> Expression:
    try:
        return parse(text)
    except InvalidExpression as wrong:
        raise AwsError("ValidationException", f"Invalid Schedule Expression {text}.") from wrong
    except NotHonoured as other:
        raise NotSimulated(
            f"the local endpoint does not evaluate {other}: select days by number, range or step here, or run this "
            "against an AWS account"
        ) from other


def _is_past(plan: Plan, now: float) -> bool:
    return isinstance(plan.expression, At) and plan.expression.moment < now


def _check_model(operation: str, parameters: Parameters) -> None:
    for problem in violations("scheduler", operation, parameters):
        raise AwsError("ValidationException", problem)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
