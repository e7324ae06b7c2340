"""Runs an event source mapping of a queue: calls its function, and reads what the answer means."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from local.endpoint.delivery.function_calls import call_function
from local.endpoint.delivery.history import History, Invocation, event_ids_of, filtered_out
from local.endpoint.delivery.polling_thread import PollingThread
from local.endpoint.delivery.queue_poller import QueuePoller
from local.endpoint.roles import Caller, Roles
from local.engine.actions import Invoke
from local.engine.alarms.metrics import Metrics
from local.engine.clock import Clock
from local.engine.outcomes import Outcome, OutcomeName, Succeeded, accepted, read_each
from local.engine.queues.batches import Message, QueueBatches, QueueSettings


@dataclass(frozen=True)
class QueueMappingDependencies:
    """The services and clocks that mappings of queues share.

    Attributes:
        queues: A boto3 client of SQS.
        functions: A boto3 client of Lambda.
        roles: The account's roles.
        clock: The endpoint's clock.
        metrics: The recorded datapoints.
    """

    queues: Any
    functions: Any
    roles: Roles
    clock: Clock
    metrics: Metrics


@dataclass(frozen=True)
class QueueMapping:
    """The ends of a mapping.

    Attributes:
        uuid: The mapping's UUID.
        function_arn: ARN of the function, with its alias or version if the mapping names one.
        queue_arn: The queue's ARN.
        queue_url: The queue's URL.
        role: The function's role, which reads the queue.
    """

    uuid: str
    function_arn: str
    queue_arn: str
    queue_url: str
    role: Caller


class QueueMappingRunner:
    """`QueueRunner` of an event source mapping."""

    def __init__(
        self,
        mapping: QueueMapping,
        settings: QueueSettings,
        *,
        dependencies: QueueMappingDependencies,
        history: History,
    ) -> None:
        self._mapping = mapping
        self._settings = settings
        self._with = dependencies
        self._history = history

    def may(self, operation: str) -> bool:
        """Return whether the function's role allows an operation on the queue."""
        return not self._with.roles.refusal(self._mapping.role, [(f"sqs:{operation}", self._mapping.queue_arn)])

    def deliver(self, call: Invoke, end: Callable[[Outcome], None]) -> None:
        """Invoke the function with a batch."""
        now = self._with.clock.now()
        outcome, name, error_type = self._invoke(call)
        end(outcome)
        self._history.add(
            Invocation(
                at=now,
                shard_id=call.shard_id,
                request_id=call.request_id,
                attempt=call.attempt,
                identifiers=[record.identifier for record in call.records],
                keys=[],
                event_ids=event_ids_of(call.records),
                outcome=name,
                accepted=accepted(outcome, len(call.records)),
                error_type=error_type,
                bisected=False,
                iterator_age_ms=max(0, round((now - call.records[0].arrived) * 1000)),
            )
        )

    def skip(self, messages: Sequence[Message]) -> None:
        """Note messages that no filter matches."""
        self._history.add(filtered_out(messages, at=self._with.clock.now()))

    def record(self, name: str, value: float, now: float) -> None:
        """Record a metric of the mapping. Errors and throttles are recorded where the function runs."""
        if name.endswith("EventCount") and self._settings.event_count:
            self._with.metrics.record(name, value, at=now, EventSourceMappingUUID=self._mapping.uuid)

    def _invoke(self, call: Invoke) -> tuple[Outcome, OutcomeName, str | None]:
        return call_function(
            self._with.functions,
            self._mapping.function_arn,
            {"Records": [record.event for record in call.records]},
            named=call.request_id,
            read=lambda content: self._read(content, [record.identifier for record in call.records]),
        )

    def _read(self, content: Any, identifiers: list[str]) -> Outcome:
        return read_each(content, identifiers) if self._settings.report_batch_item_failures else Succeeded()


def poll_queue(
    mapping: QueueMapping, settings: QueueSettings, *, dependencies: QueueMappingDependencies, history: History
) -> PollingThread:
    """Make the poller of a mapping."""
    runner = QueueMappingRunner(mapping, settings, dependencies=dependencies, history=history)
    return QueuePoller(
        QueueBatches(settings, record=runner.record),
        runner,
        queues=dependencies.queues,
        queue_url=mapping.queue_url,
        queue_arn=mapping.queue_arn,
        name=f"mapping-{mapping.uuid}",
        clock=dependencies.clock,
        counted=settings.event_count,
    )
