"""The target and the enrichment of a simulated pipe, which behave as the scenario's rules say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from local.delivery.lane import Invoke
from local.delivery.outcomes import Outcome, Succeeded, Throttled
from local.pipes.execution import EXECUTION_SECONDS, enriched, read_target, too_large, too_many
from local.pipes.sources import source_of
from local.pipes.targets import service_of, waits_for_answer
from local.simulation.rules import Answer, Rules
from local.simulation.run import Handler


def pipe(parameters: Mapping[str, Any], *, target: Rules, enrichment: Rules, timeout: float) -> Handler:
    """A pipe's executions.

    Args:
        parameters: The pipe's, by CreatePipe's names.
        target: What the target does.
        enrichment: What the enrichment does, if the pipe has one.
        timeout: Seconds that the target may take.
    """
    source, service = source_of(parameters["Source"]), service_of(parameters["Target"])
    waits = waits_for_answer(service, parameters.get("TargetParameters", {}))
    has_enrichment = bool(parameters.get("Enrichment"))

    def execute(invoke: Invoke, now: float) -> tuple[Outcome, float]:
        identifiers = [record.identifier for record in invoke.records]
        spent = 0.0
        if has_enrichment:
            result, spent = enrichment.call(identifiers, now, limit=EXECUTION_SECONDS)
            if not isinstance(result, Answer):
                return result, spent
            if (failed := too_large(result.value)) is not None:
                return failed, spent
            events = [record.event for record in invoke.records] if result.echoes else enriched(result.value)
            if not events:
                return Succeeded(), spent
            if (failed := too_many(events, service)) is not None:
                return failed, spent
        result, takes = target.call(identifiers, now + spent, limit=min(timeout, EXECUTION_SECONDS - spent))
        if isinstance(result, Throttled):
            return result, spent + takes
        if not waits:
            return Succeeded(), spent
        outcome = read_target(result.value, identifiers, service, source) if isinstance(result, Answer) else result
        return outcome, spent + takes

    return execute
