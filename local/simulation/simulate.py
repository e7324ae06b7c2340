"""From a scenario to its report."""

from __future__ import annotations

from collections.abc import Mapping

from local.clock import VirtualClock
from local.delivery import admission
from local.delivery.settings import MappingSettings
from local.pipes import admission as pipe_admission
from local.pipes.execution import EXECUTION_SECONDS
from local.pipes.targets import service_of
from local.simulation.pipes import pipe
from local.simulation.report import Identifiers, Report, mapping_documents, pipe_documents
from local.simulation.rules import Rules, function
from local.simulation.run import Handler, Simulation
from local.simulation.scenario import Function, Scenario


def simulate(scenario: Scenario) -> Report:
    """What would happen. The same scenario always gives the same report.

    Example:
        >>> from local.simulation.scenario import parse
        >>> report = simulate(parse('''
        ... eventSourceMapping: {StartingPosition: TRIM_HORIZON, MaximumRetryAttempts: 1}
        ... records: [{dynamodb: {SequenceNumber: "100"}}]
        ... handler: [{then: raise}]
        ... ''')).document
        >>> [(each["t"], each["outcome"]) for each in report["invocations"]]
        [(0.0, 'error'), (0.25, 'error')]
        >>> report["dropped"]
        [{'t': 0.25, 'identifiers': ['100'], 'reason': 'RetryAttemptsExhausted'}]
    """
    identifiers = Identifiers()
    rules = {
        name: Rules(each, starts_at=scenario.starts_at)
        for name, each in (("handler", scenario.handler), ("enrichment", scenario.enrichment))
    }
    settings, handler = _of(scenario, rules)
    if scenario.pipe is not None:
        pipe_arn = scenario.beside_stream("pipes", f"pipe/{scenario.pipe['Name']}")
        document = pipe_documents(pipe_arn=pipe_arn, stream_arn=scenario.stream_arn)
    else:
        document = mapping_documents(
            function_arn=scenario.function_arn,
            stream_arn=scenario.stream_arn,
            destination=settings.destination,
            identifiers=identifiers,
        )
    report = Report(starts_at=scenario.starts_at, document=document)
    simulation = Simulation(
        settings,
        scenario.feeds(),
        handler,
        sink=report,
        clock=VirtualClock(scenario.starts_at),
        until=scenario.ends_at,
        destination_fails=scenario.destination.fails,
        new_request_id=lambda: str(identifiers.next()),
        record=lambda name, value, _: report.count(name, value),
    )
    simulation.mapping.enabled = _is_enabled(scenario)
    simulation.run()
    report.finish(
        checkpoints=simulation.mapping.checkpoints,
        unfinished=[
            record
            for feed in simulation.feeds
            for record in (*simulation.mapping.unfinished(feed.shard_id), *feed.rest())
        ],
    )
    report.never_applied = [f"{name}.{index}" for name, each in rules.items() for index in each.never_applied()]
    return report


def _of(scenario: Scenario, rules: Mapping[str, Rules]) -> tuple[MappingSettings, Handler]:
    retention = scenario.stream.retention_seconds
    answers = rules["handler"]
    timeout = (scenario.function or Function()).Timeout
    if scenario.pipe is None:
        settings = admission.settings_of(scenario.event_source_mapping or {}, retention=retention)
        return settings, function(answers, settings, timeout=timeout)
    target = service_of(scenario.pipe["Target"])
    handler = pipe(
        scenario.pipe,
        target=answers,
        enrichment=rules["enrichment"],
        timeout=timeout if target.kind == "Lambda function" else EXECUTION_SECONDS,
    )
    return pipe_admission.settings_of(scenario.pipe, retention=retention), handler


def _is_enabled(scenario: Scenario) -> bool:
    if scenario.pipe is not None:
        return scenario.pipe.get("DesiredState", "RUNNING") == "RUNNING"
    return (scenario.event_source_mapping or {}).get("Enabled", True)
