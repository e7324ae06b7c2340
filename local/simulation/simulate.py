"""`simulate`: runs a scenario and returns its report."""

from __future__ import annotations

from collections.abc import Mapping

from local.engine.clock import VirtualClock
from local.engine.pipes import admission as pipe_admission
from local.engine.pipes.answers import EXECUTION_SECONDS
from local.engine.pipes.targets import service_of
from local.engine.queues.admission import MAPPING_DEFAULTS, mapping_settings_of
from local.engine.streams import admission
from local.simulation.collector import uncollected
from local.simulation.pipe_handler import pipe
from local.simulation.queue_run import QueueSimulation
from local.simulation.report import Identifiers, Report, mapping_documents, pipe_documents
from local.simulation.scenario import Scenario
from local.simulation.scripted_handler import ReadAnswer, ReservedConcurrency, Rules, function, of_queue, of_stream
from local.simulation.sections import Function
from local.simulation.stream_run import Handler, Simulation
from local.simulation.virtual_queue import VirtualQueue


def simulate(scenario: Scenario) -> Report:
    """Run a scenario. The same scenario always gives the same report.

    Example:
        >>> from local.simulation.parsing import parse
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
    rules = {
        name: Rules(each, starts_at=scenario.starts_at)
        for name, each in (("handler", scenario.handler), ("enrichment", scenario.enrichment))
    }
    with uncollected():
        report = _of_stream(scenario, rules) if scenario.source.is_stream else _of_queue(scenario, rules)
    report.never_applied = [f"{name}.{index}" for name, each in rules.items() for index in each.never_applied()]
    return report


def _of_stream(scenario: Scenario, rules: Mapping[str, Rules]) -> Report:
    identifiers = Identifiers()
    retention = scenario.stream.retention_seconds
    if scenario.pipe is not None:
        settings = pipe_admission.settings_of(scenario.pipe, retention=retention)
        pipe_arn = scenario.beside_source("pipes", f"pipe/{scenario.pipe['Name']}")
        document = pipe_documents(pipe_arn=pipe_arn, stream_arn=scenario.source_arn)
    else:
        settings = admission.settings_of(scenario.event_source_mapping or {}, retention=retention)
        document = mapping_documents(
            function_arn=scenario.function_arn,
            stream_arn=scenario.source_arn,
            destination=settings.destination,
            identifiers=identifiers,
        )
    report = Report(starts_at=scenario.starts_at, document=document)
    simulation = Simulation(
        settings,
        scenario.feeds(),
        _handler(scenario, of_stream(settings), rules, report),
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
            record.identifier
            for feed in simulation.feeds
            for record in (*simulation.mapping.unfinished(feed.shard_id), *feed.rest())
        ],
    )
    return report


def _of_queue(scenario: Scenario, rules: Mapping[str, Rules]) -> Report:
    identifiers = Identifiers()
    if scenario.pipe is not None:
        settings = pipe_admission.queue_settings_of(scenario.pipe)
    else:
        settings = mapping_settings_of({**MAPPING_DEFAULTS, **(scenario.event_source_mapping or {})})
    queue = VirtualQueue(
        scenario.messages(),
        fifo=scenario.source_arn.endswith(".fifo"),
        visibility_timeout=scenario.queue.visibility_timeout,
        max_receive_count=scenario.queue.max_receive_count,
        retention=scenario.queue.retention_seconds,
    )
    report = Report(starts_at=scenario.starts_at)
    simulation = QueueSimulation(
        settings,
        queue,
        _handler(scenario, of_queue(settings), rules, report),
        queue_arn=scenario.source_arn,
        report=report,
        clock=VirtualClock(scenario.starts_at),
        until=scenario.ends_at,
        new_request_id=lambda: str(identifiers.next()),
        record=lambda name, value, _: report.count(name, value),
    )
    simulation.run(enabled=_is_enabled(scenario))
    report.finish(checkpoints={}, unfinished=[message.message_id for message in queue.left])
    return report


def _handler(scenario: Scenario, read: ReadAnswer, rules: Mapping[str, Rules], report: Report) -> Handler:
    of_function = scenario.function or Function()
    timeout, concurrency = of_function.Timeout, ReservedConcurrency(of_function.ReservedConcurrentExecutions)
    if scenario.pipe is None:
        return function(rules["handler"], read, timeout=timeout, concurrency=concurrency)
    target = service_of(scenario.pipe["Target"])
    return pipe(
        {**scenario.pipe, "Arn": scenario.beside_source("pipes", f"pipe/{scenario.pipe['Name']}")},
        target=rules["handler"],
        enrichment=rules["enrichment"],
        timeout=timeout if target.kind == "Lambda function" else EXECUTION_SECONDS,
        concurrency=concurrency,
        log=report.log,
    )


def _is_enabled(scenario: Scenario) -> bool:
    if scenario.pipe is not None:
        return scenario.pipe.get("DesiredState", "RUNNING") == "RUNNING"
    return (scenario.event_source_mapping or {}).get("Enabled", True)
