"""`Executions`: the executions of a pipe, each of one batch: enrichment, input template, target."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from aws_semantics.permissions import Need, calling
from local.engine.actions import Invoke
from local.engine.outcomes import Failed, Outcome, OutcomeName, Partial, Rejected, Succeeded, Throttled, name_of
from local.engine.pipes.answers import (
    EXECUTION_SECONDS,
    Exchange,
    PipeCalls,
    Refused,
    Trace,
    enriched,
    read_target,
    too_large,
    too_many,
)
from local.engine.pipes.requests import PipeEvent
from local.engine.pipes.sources import opened, source_of
from local.engine.pipes.targets import enrichment_of, service_of, waits_for_answer
from local.engine.pipes.templates import InputTemplate, InvalidTemplate
from local.engine.roles.refusals import Refusal

Stage = Literal["Enrichment", "Target"]

#: Steps that end an execution and metrics that count them, by outcome.
_ENDS: Mapping[OutcomeName, tuple[str, str | None]] = {
    "success": ("EXECUTION_SUCCEEDED", None),
    "partial": ("EXECUTION_PARTIALLY_FAILED", "ExecutionPartiallyFailed"),
    "error": ("EXECUTION_FAILED", "ExecutionFailed"),
    "service error": ("EXECUTION_FAILED", "ExecutionFailed"),
    "throttled": ("EXECUTION_THROTTLED", "ExecutionThrottled"),
    "timeout": ("EXECUTION_TIMEOUT", "ExecutionTimeout"),
}


class Executions:
    """Executes one pipe.

    Args:
        pipe: The pipe as DescribePipe answers it.
        services: Calls its enrichment and target.
        refusal: Returns why its role may not do something that is needed; `None` when it may.
        now: Returns the time for ingestion times, in seconds since 1970.
        timer: Returns seconds, to measure executions.
    """

    def __init__(
        self,
        pipe: Mapping[str, Any],
        *,
        services: PipeCalls,
        refusal: Callable[[Sequence[Need]], Refusal | None],
        now: Callable[[], float],
        timer: Callable[[], float] = lambda: time.monotonic(),
    ) -> None:
        self._pipe = pipe
        self._services = services
        self._refusal = refusal
        self._now = now
        self._timer = timer
        self._source = source_of(pipe["Source"])
        self._target = service_of(pipe["Target"])
        self._constants = {
            "pipe-arn": pipe["Arn"],
            "pipe-name": pipe["Name"],
            "source-arn": pipe["Source"],
            "enrichment-arn": pipe.get("Enrichment", ""),
            "target-arn": pipe["Target"],
        }

    def run(self, call: Invoke, trace: Trace) -> tuple[Outcome, OutcomeName]:
        """Execute a batch, and return its outcome and the word for it."""
        events = [each.event for each in call.records]
        trace.count("Invocations")
        trace.count("EventCount", len(events))
        trace.count("EventSize", sum(each.payload_bytes for each in call.records))
        trace.step("EXECUTION_STARTED", payload=events)
        started = self._timer()
        error: Mapping[str, Any] | None = None
        try:
            outcome = self._stages(call, trace)
            ended = name_of(outcome)
        except Refused as refused:
            outcome, ended, error = *_of_refusal(refused), _error(refused)
        seconds = self._timer() - started
        if seconds >= EXECUTION_SECONDS:
            outcome, ended = Failed(function_error=None, timed_out=True), "timeout"
        trace.count("Duration", seconds * 1000)
        step, metric = _ENDS[ended]
        trace.step(step, error=error)
        if metric is not None:
            trace.count(metric)
        return outcome, ended

    def _stages(self, call: Invoke, trace: Trace) -> Outcome:
        events: Sequence[Any] = [each.event for each in call.records]
        if self._pipe.get("Enrichment"):
            outcome, answer = self._enrich(events, trace)
            if outcome is not None:
                return outcome
            events = answer
        parameters: Mapping[str, Any] = self._pipe.get("TargetParameters", {})
        identifiers = [each.identifier for each in call.records]

        def read(exchange: Exchange) -> Outcome:
            if not waits_for_answer(self._target, parameters):
                return Succeeded()
            return read_target(exchange.value, identifiers, self._target, self._source)

        def ask(messages: Sequence[PipeEvent]) -> Exchange:
            self._admit("Target", self._pipe["Target"], wait=waits_for_answer(self._target, parameters))
            return self._services.send(
                self._pipe["Target"],
                self._target,
                messages,
                parameters,
                pipe_name=self._pipe["Name"],
                source=self._source,
            )

        return self._stage("Target", events, parameters, trace, ask, read, opens=not self._pipe.get("Enrichment"))[0]

    def _enrich(self, events: Sequence[Any], trace: Trace) -> tuple[Outcome | None, list[Any]]:
        """Return the events for the target, or the outcome of an execution that does not reach it."""
        arn, parameters = self._pipe["Enrichment"], self._pipe.get("EnrichmentParameters", {})
        service = enrichment_of(arn)

        def ask(messages: Sequence[PipeEvent]) -> Exchange:
            self._admit("Enrichment", arn, wait=True)
            return self._services.enrich(arn, service, messages, parameters)

        outcome, exchange = self._stage(
            "Enrichment",
            events,
            parameters,
            trace,
            ask,
            lambda exchange: too_large(exchange.value) or Succeeded(),
            opens=True,
        )
        if isinstance(outcome, Failed):
            return outcome, []
        answer = enriched(exchange.value)
        if not answer:
            trace.step("TARGET_STAGE_SKIPPED")
            return Succeeded(), []
        if (failed := too_many(answer, self._target)) is not None:
            trace.step("TARGET_INVOCATION_SKIPPED")
            return failed, []
        return None, answer

    def _stage(
        self,
        stage: Stage,
        events: Sequence[Any],
        parameters: Mapping[str, Any],
        trace: Trace,
        ask: Callable[[Sequence[PipeEvent]], Exchange],
        read: Callable[[Exchange], Outcome],
        *,
        opens: bool,
    ) -> tuple[Outcome, Exchange]:
        """Run one stage; `opens` if its events are the source's own, whose content paths can lead into."""
        name = stage.upper()
        started = self._timer()
        trace.step(f"{name}_STAGE_ENTERED")
        try:
            seen = [opened(event) for event in events] if opens else events
            messages = self._transform(name, events, seen, parameters.get("InputTemplate", ""), trace)
            exchange = self._ask(name, messages, trace, ask)
        except Refused as refused:
            trace.count(f"{stage}StageFailed")
            trace.step(f"{name}_STAGE_FAILED", error=_error(refused))
            raise
        finally:
            trace.count(f"{stage}StageDuration", (self._timer() - started) * 1000)
        outcome = read(exchange)
        match outcome:
            case Succeeded():
                trace.step(f"{name}_INVOCATION_SUCCEEDED", awsRequest=exchange.request, awsResponse=exchange.response)
                payload = enriched(exchange.value) if stage == "Enrichment" else [each.payload for each in messages]
                trace.step(f"{name}_STAGE_SUCCEEDED", payload=payload)
            case Partial() | Rejected():
                self._tell_failure(f"{name}_INVOCATION_PARTIALLY_FAILED", exchange, trace)
                trace.step(f"{name}_STAGE_PARTIALLY_FAILED")
                trace.count(f"{stage}StagePartiallyFailed")
            case _:
                self._tell_failure(f"{name}_INVOCATION_FAILED", exchange, trace)
                trace.step(f"{name}_STAGE_FAILED")
                trace.count(f"{stage}StageFailed")
        return outcome, exchange

    def _transform(
        self, name: str, events: Sequence[Any], seen: Sequence[Any], text: str, trace: Trace
    ) -> list[PipeEvent]:
        """Apply a stage's input template to each event as it is seen; without one, events pass as they are."""
        if not text:
            return [PipeEvent(*each) for each in zip(seen, events, strict=True)]
        trace.step(f"{name}_TRANSFORMATION_STARTED")
        template = InputTemplate(text)
        ingested = datetime.fromtimestamp(self._now(), UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
        try:
            messages = [
                PipeEvent(each, template.render(each, self._constants, ingested=ingested, raw=event))
                for each, event in zip(seen, events, strict=True)
            ]
        except InvalidTemplate as invalid:
            refused = Refused(str(invalid), service="pipes", status=400, request=None)
            trace.step(f"{name}_TRANSFORMATION_FAILED", error=_error(refused))
            raise refused from invalid
        trace.step(f"{name}_TRANSFORMATION_SUCCEEDED", payload=[message.payload for message in messages])
        return messages

    def _ask(
        self, name: str, messages: Sequence[PipeEvent], trace: Trace, ask: Callable[[Sequence[PipeEvent]], Exchange]
    ) -> Exchange:
        trace.step(f"{name}_INVOCATION_STARTED")
        try:
            return ask(messages)
        except Refused as refused:
            trace.step(
                f"{name}_INVOCATION_FAILED",
                error=_error(refused),
                awsRequest=refused.request,
                awsResponse=refused.response,
            )
            raise

    def _admit(self, stage: Stage, arn: str, *, wait: bool) -> None:
        """Check that the pipe's role allows the call of a stage.

        Raises:
            Refused: It does not, which is the customer's error (PIPE-FAIL-1).
        """
        refused = self._refusal(calling(arn, wait=wait))
        if refused is not None:
            service = arn.split(":")[2]
            said = f"{stage} invocation failed with error from {service.capitalize()}. Not allowed to invoke {arn}."
            message = said if refused.simulated else refused.message
            raise Refused(message, service=service, status=400, request=None)

    def _tell_failure(self, step: str, exchange: Exchange, trace: Trace) -> None:
        trace.step(step, awsRequest=exchange.request, awsResponse=exchange.response)


def _of_refusal(refused: Refused) -> tuple[Outcome, OutcomeName]:
    if refused.internal:
        return Throttled(), "throttled" if refused.throttled else "service error"
    return refused.failed or Failed(function_error=None), "error"


def _error(refused: Refused) -> dict[str, Any]:
    return {
        "httpStatusCode": refused.status,
        "message": str(refused),
        "details": "",
        "awsService": refused.service,
        "requestId": refused.request_id,
    }
