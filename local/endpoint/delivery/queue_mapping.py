"""Running an event source mapping of a queue: what its function is called with, and what its answer means."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from local.endpoint.delivery.function_calls import call_function
from local.endpoint.delivery.history import History, Invocation
from local.endpoint.delivery.history import Outcome as OutcomeName
from local.endpoint.delivery.queue_poller import QueuePoller
from local.endpoint.roles import Caller, Roles
from local.engine.alarms.metrics import Metrics
from local.engine.clock import Clock
from local.engine.queues.batches import QueueBatches, QueueSettings
from local.engine.streams.lane import Invoke
from local.engine.streams.outcomes import Outcome, Succeeded, accepted, read_each


@dataclass(frozen=True)
class QueueSurroundings:
    """What mappings of queues share: boto3 clients of SQS and Lambda, the functions' roles, the clock, the metrics."""

    queues: Any
    functions: Any
    roles: Roles
    clock: Clock
    metrics: Metrics


@dataclass(frozen=True)
class QueueTarget:
    """What a mapping connects.

    Attributes:
        queue_url: Of the queue whose ARN `stream_arn` is.
        role: The function's, which the queue is read with.
    """

    uuid: str
    function_arn: str
    stream_arn: str
    queue_url: str
    role: Caller


class QueueRunner:
    """Delivers one queue to a function until it is stopped."""

    def __init__(
        self, target: QueueTarget, settings: QueueSettings, *, surroundings: QueueSurroundings, history: History
    ) -> None:
        self._target = target
        self._settings = settings
        self._with = surroundings
        self._history = history
        self.poller = QueuePoller(
            QueueBatches(settings, record=self._record),
            queues=surroundings.queues,
            queue_url=target.queue_url,
            queue_arn=target.stream_arn,
            name=f"mapping-{target.uuid}",
            clock=surroundings.clock,
            deliver=self._deliver,
            may=self._may,
        )

    def _deliver(self, call: Invoke, end: Callable[[Outcome], None]) -> None:
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
                outcome=name,
                accepted=accepted(outcome, len(call.records)),
                error_type=error_type,
                bisected=False,
                iterator_age_ms=max(0, round((now - call.records[0].arrived) * 1000)),
            )
        )

    def _invoke(self, call: Invoke) -> tuple[Outcome, OutcomeName, str | None]:
        return call_function(
            self._with.functions,
            self._target.function_arn,
            {"Records": [record.event for record in call.records]},
            named=call.request_id,
            read=lambda content: self._read(content, [record.identifier for record in call.records]),
        )

    def _read(self, content: Any, identifiers: list[str]) -> Outcome:
        return read_each(content, identifiers) if self._settings.report_batch_item_failures else Succeeded()

    def _may(self, operation: str) -> bool:
        """Whether the function's role allows an operation on the queue."""
        return not self._with.roles.refusal(self._target.role, [(f"sqs:{operation}", self._target.stream_arn)])

    def _record(self, name: str, value: float, now: float) -> None:
        """Record a metric of the mapping. Errors and throttles are recorded where the function runs."""
        if name.endswith("EventCount") and self._settings.event_count:
            self._with.metrics.record(name, value, at=now, EventSourceMappingUUID=self._target.uuid)
