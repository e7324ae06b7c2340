"""Runs an event source mapping: calls its function, and sends what is given up to the failure destination.

The rules are the engine's (`local.engine.streams`), the threads the poller's. Mappings share nothing, so that none
waits for another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from aws_semantics.permissions import reading, sending_failures
from local.endpoint.delivery.destinations import Destinations, takes_payload
from local.endpoint.delivery.function_calls import call_function
from local.endpoint.delivery.history import FilteredOut, GivenUp, History, Invocation, ThrottledRead, keys_of
from local.endpoint.delivery.history import Outcome as OutcomeName
from local.endpoint.delivery.stream_poller import Poller
from local.endpoint.readers.stream_shard import Reader
from local.endpoint.roles import Caller, Roles
from local.engine.alarms.metrics import Metrics
from local.engine.clock import Clock
from local.engine.streams.documents import event_of, failure_document, object_key
from local.engine.streams.lane import GiveUp, Invoke, Lose
from local.engine.streams.mapping import EventSourceMapping
from local.engine.streams.outcomes import Failed, Outcome, Throttled, accepted, read_response
from local.engine.streams.records import StreamRecord
from local.engine.streams.settings import MappingSettings


@dataclass(frozen=True)
class Surroundings:
    """What mappings share: the services they use, the clock they go by, the metrics they record.

    Attributes:
        streams: A boto3 client of DynamoDB Streams.
        functions: One of Lambda.
        destinations: Where failed batches go.
        roles: What the functions' roles allow.
    """

    streams: Any
    functions: Any
    destinations: Destinations
    roles: Roles
    clock: Clock
    metrics: Metrics


@dataclass(frozen=True)
class Target:
    """What a mapping connects.

    Attributes:
        uuid: Of the mapping.
        function_arn: With its alias or version where the mapping has one.
        stream_arn: Of the stream.
        role: The function's, which failed batches are sent with.
    """

    uuid: str
    function_arn: str
    stream_arn: str
    role: Caller

    @property
    def function_name(self) -> str:
        """The function's name, which metrics are recorded by."""
        return self.function_arn.split(":")[6]


class MappingRunner:
    """Delivers a stream to a function until it is stopped.

    Args:
        readers: Where the records come from, one for each shard.
        on_result: Told of AWS's LastProcessingResult after each invocation.
    """

    def __init__(
        self,
        target: Target,
        settings: MappingSettings,
        *,
        readers: Sequence[Reader],
        surroundings: Surroundings,
        history: History,
        on_result: Callable[[str], None],
    ) -> None:
        self._target = target
        self._settings = settings
        self._with = surroundings
        self._history = history
        self._on_result = on_result
        self.poller = Poller(
            EventSourceMapping(settings, record=self._record, filtered_out=self._skip),
            readers,
            name=f"mapping-{target.uuid}",
            clock=surroundings.clock,
            invoke=self._deliver,
            give_up=self._give_up,
            lose=self._lose,
            admit=lambda: surroundings.roles.admit(target.role, reading(target.stream_arn)),
            throttled=lambda shard_id: history.add(ThrottledRead(at=surroundings.clock.now(), shard_id=shard_id)),
            unreadable=lambda failure: on_result(f"PROBLEM: {failure}"),
        )

    def _deliver(self, call: Invoke) -> Outcome:
        now = self._with.clock.now()
        age = max(0, round((now - call.records[-1].arrived) * 1000)) if call.records else 0
        outcome, name, error_type = self._invoke(call)
        if not isinstance(outcome, Throttled):
            self._on_result("PROBLEM: Function call failed" if isinstance(outcome, Failed) else "OK")
        self._history.add(
            Invocation(
                at=now,
                shard_id=call.shard_id,
                request_id=call.request_id,
                attempt=call.attempt,
                identifiers=[record.identifier for record in call.records],
                keys=keys_of(call.records),
                outcome=name,
                accepted=accepted(outcome, len(call.records)),
                error_type=error_type,
                bisected=isinstance(outcome, Failed) and self._settings.bisect and len(call.records) > 1,
                iterator_age_ms=age,
            )
        )
        return outcome

    def _invoke(self, call: Invoke) -> tuple[Outcome, OutcomeName, str | None]:
        return call_function(
            self._with.functions,
            self._target.function_arn,
            event_of(call.records, call.window, stream_arn=self._target.stream_arn, shard_id=call.shard_id),
            named=call.request_id,
            read=lambda content: read_response(
                content,
                [record.identifier for record in call.records],
                reports=self._settings.report_batch_item_failures,
                windowed=call.window is not None,
            ),
        )

    def _give_up(self, given_up: GiveUp) -> bool | None:
        arn = self._settings.destination
        if arn is None:
            self._note(given_up, given_up.condition)
            return None
        now = self._with.clock.now()
        document = failure_document(
            given_up,
            now=now,
            function_arn=self._target.function_arn,
            stream_arn=self._target.stream_arn,
            shard_id=given_up.shard_id,
            payload=takes_payload(arn),
        )
        key = object_key(mapping_uuid=self._target.uuid, shard_id=given_up.shard_id, now=now)
        refused = self._with.roles.refusal(self._target.role, sending_failures(arn, key=key))
        location = None if refused else self._with.destinations.send(document, arn, key=key)
        self._note(given_up, given_up.condition, document, location)
        return location is not None

    def _lose(self, lost: Lose) -> None:
        if lost.records:
            self._note(lost, "retention")

    def _note(
        self, ended: GiveUp | Lose, condition: str, document: dict[str, Any] | None = None, location: str | None = None
    ) -> None:
        self._history.add(
            GivenUp(
                at=self._with.clock.now(),
                shard_id=ended.shard_id,
                condition=condition,
                identifiers=[record.identifier for record in ended.records],
                keys=keys_of(ended.records),
                document=document,
                location=location,
            )
        )

    def _skip(self, shard_id: str, records: Sequence[StreamRecord]) -> None:
        self._history.add(
            FilteredOut(
                at=self._with.clock.now(),
                shard_id=shard_id,
                identifiers=[record.identifier for record in records],
                keys=keys_of(tuple(records)),
            )
        )

    def _record(self, name: str, value: float, now: float) -> None:
        """Record a metric of the mapping. Errors and throttles are recorded where the function runs."""
        if name.endswith("EventCount") and self._settings.event_count:
            self._with.metrics.record(name, value, at=now, EventSourceMappingUUID=self._target.uuid)
        elif name in ("IteratorAge", "DestinationDeliveryFailures"):
            self._with.metrics.record(name, round(value), at=now, FunctionName=self._target.function_name)
