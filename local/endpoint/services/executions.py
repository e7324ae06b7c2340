"""Executions of state machines: their time-outs, the answers that tasks wait for, and the rights of their role.

ministack walks from state to state. It knows neither heartbeats nor the time-out of a whole machine, takes answers to
tasks that have ended, and lets every role do everything, so these are done here (docs/aws-semantics.md §10.3).
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NoReturn, Protocol

from local.endpoint.api.aws_call import AwsCall
from local.endpoint.api.errors import AwsError
from local.endpoint.authorization.lookups import Lookups
from local.endpoint.authorization.needs import needs_of
from local.endpoint.roles import STATES, Caller, Roles
from local.endpoint.routes import Routes
from local.engine.alarms.metrics import Metrics
from local.engine.clock import Clock

#: Services of the resources `arn:aws:states:::service:action`, by their names in these ARNs.
INTEGRATIONS: Mapping[str, str] = {
    "dynamodb": "dynamodb",
    "events": "events",
    "lambda": "lambda",
    "sns": "sns",
    "sqs": "sqs",
    "states": "stepfunctions",
}

#: Services of the resources `arn:aws:states:::aws-sdk:service:action` whose names differ from boto3's.
_SDK_SERVICES = {"eventbridge": "events", "sfn": "stepfunctions", "sesv2": "sesv2"}


#: CloudWatch's metric of each end of an execution.
METRICS: Mapping[str, str] = {
    "ABORTED": "ExecutionsAborted",
    "FAILED": "ExecutionsFailed",
    "SUCCEEDED": "ExecutionsSucceeded",
    "TIMED_OUT": "ExecutionsTimedOut",
}


class TaskFailed(Exception):
    """An error that ends a task, as `Catch` and `Retry` see it.

    Attributes:
        error: Its name, e.g. `States.Timeout`.
        cause: Its cause.
    """

    def __init__(self, error: str, cause: str) -> None:
        super().__init__(f"{error}: {cause}")
        self.error = error
        self.cause = cause


class Execution(Protocol):
    """An execution that ministack walks through."""

    @property
    def arn(self) -> str:
        """Its ARN."""
        ...

    @property
    def role_arn(self) -> str:
        """ARN of the machine's role when it started."""
        ...

    @property
    def definition(self) -> Mapping[str, Any]:
        """The machine's definition when it started."""
        ...

    @property
    def machine_arn(self) -> str:
        """ARN of its state machine."""
        ...

    @property
    def status(self) -> str:
        """Its status, e.g. `RUNNING`."""
        ...

    def is_running(self) -> bool:
        """Return whether it has not ended."""
        ...

    def time_out(self) -> None:
        """End it as timed out."""
        ...


@dataclass
class _Waiting:
    """A task that waits for an answer to its token.

    Attributes:
        heard: When it began or sent its last heartbeat, in seconds since 1970.
        answer: The output, or the error; `None` before it is answered.
    """

    heard: float
    answer: str | TaskFailed | None = None


class Executions:
    """The steps of all executions between their states.

    Args:
        roles: The account's roles.
        lookups: What is known of the account's resources.
        clock: The clock that waits and time-outs follow.
        metrics: Where the ends of executions are counted.
    """

    failure: type[Exception] = TaskFailed

    def __init__(self, roles: Roles, lookups: Lookups, clock: Clock, metrics: Metrics) -> None:
        self._roles = roles
        self._lookups = lookups
        self._clock = clock
        self._metrics = metrics
        self._current: ContextVar[Execution] = ContextVar("execution")
        self._lock = threading.Lock()
        self._waiting: dict[str, _Waiting] = {}
        self._ended: set[str] = set()

    @property
    def routes(self) -> Routes:
        """The operations on tokens."""
        return Routes(
            answered={
                "stepfunctions:SendTaskFailure": self._fail,
                "stepfunctions:SendTaskHeartbeat": self._beat,
                "stepfunctions:SendTaskSuccess": self._succeed,
            },
            tells={"stepfunctions:StopExecution": [lambda _: self._clock.wake()]},
        )

    def run(self, execution: Execution, walk: Callable[[], None]) -> None:
        """Walk through an execution, and end it when the time of its machine is up."""
        self._current.set(execution)
        seconds = execution.definition.get("TimeoutSeconds")
        if seconds is not None:
            limit = self._clock.now() + seconds
            threading.Thread(target=self._watch, args=(execution, limit), name="execution", daemon=True).start()
        self._count("ExecutionsStarted", execution)
        try:
            walk()
        finally:
            self._clock.wake()
        self._count(METRICS[execution.status], execution)

    def pause(self, seconds: float) -> None:
        """Let seconds pass in the current execution.

        Raises:
            TaskFailed: The execution has ended.
        """
        self._pause_until(self._clock.now() + seconds)

    def pause_until(self, moment: str) -> None:
        """Let time pass up to a moment in ISO 8601.

        Raises:
            TaskFailed: The execution has ended.
        """
        self._pause_until(datetime.fromisoformat(moment).timestamp())

    def now(self) -> str:
        """Return the time as Step Functions writes it."""
        return self._clock.iso()

    def ask(self, resource: str, given: Any, ask: Callable[[str, Any], Any]) -> Any:
        """Do what a task's resource names, with the rights of the machine's role.

        Raises:
            TaskFailed: The execution has ended, or the role does not allow the call.
        """
        execution = self._current.get()
        if not execution.is_running():
            _raise_ended()
        call = _call_of(resource, given)
        if call is not None:
            needs = [
                (need.action, need.resource)
                for need in needs_of(call.service, call.operation, call.parameters, self._lookups)
            ]
            refused = self._roles.refusal(Caller(execution.role_arn, STATES, execution.arn), needs)
            if refused is not None:
                raise TaskFailed("States.Permissions", refused.message)
        return ask(resource, given)

    def ask_and_wait(self, token: str, state: Mapping[str, Any], ask: Callable[[], Any]) -> Any:
        """Do what a task's resource names, and wait until its token is answered.

        Args:
            token: The token.
            state: The state, with its TimeoutSeconds and HeartbeatSeconds.
            ask: Makes the call that brings the token to whoever answers it.

        Raises:
            TaskFailed: The call fails, the answer is a failure, or none comes in time.
        """
        with self._lock:
            waiting = self._waiting[token] = _Waiting(self._clock.now())
        started = waiting.heard
        try:
            ask()
            return self._answer(waiting, state, started)
        finally:
            with self._lock:
                del self._waiting[token]
                self._ended.add(token)

    def _count(self, metric: str, execution: Execution) -> None:
        named = {"StateMachineArn": execution.machine_arn}
        self._metrics.record(metric, 1, at=self._clock.now(), namespace="AWS/States", **named)

    def _answer(self, waiting: _Waiting, state: Mapping[str, Any], started: float) -> Any:
        execution = self._current.get()
        limit = started + state.get("TimeoutSeconds", float("inf"))
        silence = state.get("HeartbeatSeconds", float("inf"))
        while True:
            heard = waiting.heard

            def changed(heard: float = heard) -> bool:
                return waiting.answer is not None or waiting.heard != heard or not execution.is_running()

            in_time = self._clock.wait_until(min(limit, heard + silence), changed)
            match waiting.answer:
                case TaskFailed() as failure:
                    raise failure
                case str() as output:
                    return json.loads(output)
                case None if not execution.is_running():
                    _raise_ended()
                case None if not in_time and limit <= heard + silence:
                    raise TaskFailed("States.Timeout", "")
                case None if not in_time:
                    raise TaskFailed("States.HeartbeatTimeout", "")
                case None:
                    pass  # a heartbeat

    def _watch(self, execution: Execution, limit: float) -> None:
        if not self._clock.wait_until(limit, lambda: not execution.is_running()):
            execution.time_out()
            self._clock.wake()

    def _pause_until(self, moment: float) -> None:
        execution = self._current.get()
        if self._clock.wait_until(moment, lambda: not execution.is_running()):
            _raise_ended()

    def _succeed(self, parameters: Mapping[str, Any]) -> tuple[int, Any]:
        try:
            json.loads(parameters["output"])
        except ValueError as wrong:
            raise AwsError("InvalidOutput", f"Invalid Output: '{wrong}'") from wrong
        return self._settle(parameters["taskToken"], parameters["output"])

    def _fail(self, parameters: Mapping[str, Any]) -> tuple[int, Any]:
        failure = TaskFailed(parameters.get("error", ""), parameters.get("cause", ""))
        return self._settle(parameters["taskToken"], failure)

    def _settle(self, token: str, answer: str | TaskFailed) -> tuple[int, Any]:
        with self._lock:
            waiting = self._find(token)
            waiting.answer = answer
        self._clock.wake()
        return 200, {}

    def _beat(self, parameters: Mapping[str, Any]) -> tuple[int, Any]:
        with self._lock:
            self._find(parameters["taskToken"]).heard = self._clock.now()
        self._clock.wake()
        return 200, {}

    def _find(self, token: str) -> _Waiting:
        waiting = self._waiting.get(token)
        if waiting is not None and waiting.answer is None:
            return waiting
        if waiting is not None or token in self._ended:
            raise AwsError("TaskTimedOut", "Task Timed Out: 'Provided task does not exist anymore'")
        raise AwsError("InvalidToken", "Invalid Token: 'Invalid token'")


def _call_of(resource: str, given: Any) -> AwsCall | None:
    """Return the AWS call that a task's resource stands for; `None` if it needs no permission that is known here."""
    _, _, rest = resource.partition(":states:::")
    if not rest:
        return AwsCall("lambda", "Invoke", "rest-json", {"FunctionName": resource})
    service, _, action = rest.removeprefix("aws-sdk:").partition(":")
    if rest.startswith("aws-sdk:"):
        service = _SDK_SERVICES.get(service.lower(), service.lower())
    else:
        service = INTEGRATIONS[service]
    operation = action.partition(".")[0]
    operation = operation[:1].upper() + operation[1:]
    parameters = {f"{name[0].lower()}{name[1:]}": value for name, value in given.items()}
    return AwsCall(service, operation, "json", parameters if service == "stepfunctions" else given)


def _raise_ended() -> NoReturn:
    """Leave the thread of an execution that was stopped or has timed out; nobody sees the error."""
    raise TaskFailed("States.Runtime", "the execution has ended")
