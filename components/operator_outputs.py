"""The outputs by which the operator's commands (`weir status`, `weir dead-letters` and their like) know a stack."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pulumi

from components.fan_out import FanOut
from components.kinesis_changes import KinesisChanges
from components.python_function import PythonFunction
from components.queue_consumer import QueueConsumer
from components.repeats import GUARDS
from components.stream import Stream
from components.stream_consumer import StreamConsumer
from components.stream_pipe import StreamPipe
from components.watched import Route


def export_for_operator(routes: Sequence[Route], *, functions: Mapping[str, PythonFunction] | None = None) -> None:
    """Export the consumers, pipes and forwarders of a program, so that the commands of `weir` find them.

    The outputs are `consumers`, `pipes`, `functionNames`, `otherAlarms` (those of what is neither consumer nor pipe),
    and with a fan-out `forwarders`, `forwarderAlarms` (those of its topic too) and the first one's `forwarder`. Call it
    once, after the last `subscribe` and `pipe`.

    Args:
        routes: The fan-outs, streams and pipes of the program, and what else has alarms: workflows, sequencers,
            reconciliations, backfills, webhooks. The same as those of a `StreamDashboard`.
        functions: Other functions whose logs `weir tail` shows, by a name, e.g. `HttpApi.functions`.
    """
    fan_outs = [route for route in routes if isinstance(route, FanOut)]
    subscribed = [
        each for route in routes if isinstance(route, FanOut | KinesisChanges | Stream) for each in _consumers(route)
    ]
    others = {} if functions is None else functions
    pulumi.export("consumers", {name: entry for name, _, entry in subscribed})
    pulumi.export("pipes", {name: entry for route in routes for name, entry in _pipes(route)})
    pulumi.export(
        "functionNames",
        {
            **{name: made.function.name for name, made in others.items()},
            **{name: consumer.function.name for name, consumer, _ in subscribed},
        },
    )
    pulumi.export("otherAlarms", {name: alarms for route in routes for name, alarms in _others(route)})
    if fan_outs:
        forwarders = {
            each.forwarder.pulumi_resource_name: each.forwarder.event_source_mapping.uuid for each in fan_outs
        }
        pulumi.export("forwarders", forwarders)
        pulumi.export(
            "forwarderAlarms",
            {
                each.forwarder.pulumi_resource_name: {
                    alarm: made.name for alarm, made in {**each.forwarder.alarms.alarms, **each.alarms}.items()
                }
                for each in fan_outs
            },
        )
        pulumi.export("forwarder", fan_outs[0].forwarder.event_source_mapping.uuid)


def _consumers(
    route: FanOut | KinesisChanges | Stream,
) -> Iterator[tuple[str, QueueConsumer | StreamConsumer, Mapping[str, Any]]]:
    # A stream of Kinesis does not say which table its changes are of.
    stream = route.source.table_stream if isinstance(route, KinesisChanges) else route.source.arn
    archive = route.exported_archive() if isinstance(route, FanOut) else None
    for name, consumer in route.consumers.items():
        parked = consumer.on_failure
        given_up = [consumer.dead_letters, consumer.undelivered] if isinstance(consumer, QueueConsumer) else []
        yield (
            name,
            consumer,
            {
                "eventSourceMapping": consumer.event_source_mapping.uuid,
                "stream": stream,
                "failureDestination": parked.arn if parked else None,
                "retryHorizonSeconds": consumer.delivery.retry_horizon()._asdict(),
                "guarded": route.repeats.get(name) in GUARDS,
                "alarms": {
                    alarm: made.name
                    for alarm, made in {**consumer.alarms.alarms, **(parked.alarms if parked else {})}.items()
                },
                "deadLetterQueues": [queue.arn for queue in given_up],
                "archive": archive,
            },
        )


def _others(route: Route) -> Iterator[tuple[str, Mapping[str, pulumi.Output[str]]]]:
    if isinstance(route, FanOut | Stream | StreamPipe):
        return
    if isinstance(route, KinesisChanges):
        yield route.pulumi_resource_name, {alarm: made.name for alarm, made in route.alarms.items()}
        return
    for each in route.watched():
        yield each.name, {made.pulumi_resource_name.removeprefix(f"{each.name}-"): made.name for made in each.alarms}


def _pipes(route: Route) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(route, StreamPipe):
        yield route.pulumi_resource_name, route.exported()
    elif isinstance(route, FanOut):
        for name, pipe in route.pipes.items():
            yield name, pipe.exported()
