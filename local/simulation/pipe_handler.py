"""Simulated executions of a pipe: the engine's own, with services that answer by the scenario's rules."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from local.engine.actions import Invoke
from local.engine.outcomes import Failed, Outcome, Throttled
from local.engine.pipes.answers import EXECUTION_SECONDS, Exchange, Refused
from local.engine.pipes.execution import Executions
from local.engine.pipes.log_records import is_logged, record
from local.engine.pipes.requests import PipeEvent
from local.engine.pipes.sources import EventSource
from local.engine.pipes.targets import Service, waits_for_answer
from local.simulation.scripted_handler import Answer, ReservedConcurrency, Rules
from local.simulation.stream_run import Handler


def pipe(
    parameters: Mapping[str, Any],
    *,
    target: Rules,
    enrichment: Rules,
    timeout: float,
    concurrency: ReservedConcurrency,
    log: Callable[[dict[str, Any]], None],
) -> Handler:
    """Return the handler that executes a pipe.

    Args:
        parameters: The pipe as DescribePipe answers it.
        target: The rules of the target.
        enrichment: The rules of the enrichment, if the pipe has one.
        timeout: Seconds that the target may take.
        concurrency: The target's reserved concurrency.
        log: Receives the records of the pipe's log.
    """
    called = _Called(target, enrichment, timeout, concurrency)
    executions = Executions(parameters, services=called, refusal=_allowed, now=called.now, timer=called.now)
    count = 0

    def execute(invoke: Invoke, now: float) -> tuple[Outcome, float]:
        nonlocal count
        count += 1
        called.begin(invoke, now)
        outcome, _ = executions.run(invoke, _Log(parameters, called.now, str(uuid.UUID(int=count)), log))
        return outcome, called.spent

    return execute


def _allowed(_: object) -> None:
    """Allow everything: roles are not simulated."""


class _Called:
    """`PipeCalls` that answer by rules, one execution after the other."""

    def __init__(self, target: Rules, enrichment: Rules, timeout: float, concurrency: ReservedConcurrency) -> None:
        self._target = target
        self._enrichment = enrichment
        self._timeout = timeout
        self._concurrency = concurrency
        self._identifiers: Sequence[str] = ()
        self._began = 0.0
        self.spent = 0.0

    def begin(self, invoke: Invoke, now: float) -> None:
        """Begin another execution."""
        self._identifiers = [each.identifier for each in invoke.records]
        self._began = now
        self.spent = 0.0

    def now(self) -> float:
        """Return the time within the execution."""
        return self._began + self.spent

    def enrich(
        self,
        arn: str,  # noqa: ARG002 - `PipeCalls`
        service: Service,
        messages: Sequence[PipeEvent],
        parameters: Mapping[str, Any],  # noqa: ARG002 - `PipeCalls`
    ) -> Exchange:
        """Answer for the enrichment, as `PipeCalls.enrich`."""
        return self._ask(self._enrichment, service, messages, limit=EXECUTION_SECONDS)

    def send(
        self,
        arn: str,  # noqa: ARG002 - `PipeCalls`
        service: Service,
        messages: Sequence[PipeEvent],
        parameters: Mapping[str, Any],
        *,
        pipe_name: str,  # noqa: ARG002 - `PipeCalls`
        source: EventSource,  # noqa: ARG002 - `PipeCalls`
    ) -> Exchange:
        """Answer for the target, as `PipeCalls.send`."""
        spent = self.spent
        waits = waits_for_answer(service, parameters)
        try:
            # An asynchronous call waits in Lambda's own queue instead.
            if waits and self._concurrency.is_exhausted(self.now()):
                raise _throttled(service)
            return self._ask(self._target, service, messages, limit=min(self._timeout, EXECUTION_SECONDS - spent))
        except Refused as refused:
            if waits or refused.throttled:
                raise
            return Exchange(None, None)
        finally:
            self._concurrency.run(self._began + spent, self.spent - spent)
            if not waits:
                self.spent = spent

    def _ask(self, rules: Rules, service: Service, messages: Sequence[PipeEvent], *, limit: float) -> Exchange:
        result, takes = rules.call(self._identifiers, self.now(), limit=limit)
        self.spent += takes
        match result:
            case Answer():
                return Exchange(None, None, [each.payload for each in messages] if result.echoes else result.value)
            case Throttled():
                raise _throttled(service)
            case Failed(timed_out=timed_out):
                ended = "ran out of time" if timed_out else "failed"
                raise Refused(f"{service.kind} {ended}", service=service.kind, status=200, request=None, failed=result)


def _throttled(service: Service) -> Refused:
    message = f"{service.kind} was called too often"
    return Refused(message, service=service.kind, status=429, request=None, throttled=True, internal=True)


class _Log:
    """`Trace` of one execution into the pipe's log, if its level asks for it."""

    def __init__(
        self,
        parameters: Mapping[str, Any],
        now: Callable[[], float],
        execution_id: str,
        write: Callable[[dict[str, Any]], None],
    ) -> None:
        configuration = parameters.get("LogConfiguration", {})
        self._level: str = configuration.get("Level", "OFF")
        self._with_data = "ALL" in configuration.get("IncludeExecutionData", [])
        self._pipe_arn = parameters["Arn"]
        self._now = now
        self._execution_id = execution_id
        self._write = write

    def step(self, name: str, *, error: Mapping[str, Any] | None = None, **data: Any) -> None:
        """Log a step; nothing was called, so there is no request and no response."""
        if is_logged(name, self._level):
            logged = {key: value for key, value in data.items() if value is not None} if self._with_data else {}
            self._write(
                record(
                    name,
                    data=logged,
                    error=error,
                    pipe_arn=self._pipe_arn,
                    execution_id=self._execution_id,
                    now=self._now(),
                )
            )

    def count(self, name: str, value: float = 1) -> None:
        """Ignore a metric: the report has its own sums."""
