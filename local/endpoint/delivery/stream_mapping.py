"""Runs an event source mapping of a stream: calls its function, and sends what is given up to its destination."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from aws_semantics.permissions import reading, sending_failures
from local.endpoint.delivery.destinations import Destinations, takes_payload
from local.endpoint.delivery.function_calls import call_function
from local.endpoint.delivery.history import (
    FilteredOut,
    GivenUp,
    History,
    Invocation,
    ThrottledRead,
    event_ids_of,
    keys_of,
)
from local.endpoint.delivery.polling_thread import PollingThread
from local.endpoint.delivery.stream_poller import StreamPoller
from local.endpoint.readers.stream_shard import Reader
from local.endpoint.roles import Caller, Roles
from local.engine.actions import GiveUp, Invoke, Lose
from local.engine.alarms.metrics import Metrics
from local.engine.clock import Clock
from local.engine.outcomes import Failed, Outcome, OutcomeName, Throttled, accepted, read_response
from local.engine.streams.batches import StreamBatches
from local.engine.streams.documents import event_of, failure_document, object_key
from local.engine.streams.records import StreamRecord
from local.engine.streams.settings import MappingSettings


@dataclass(frozen=True)
class StreamMappingDependencies:
    """The services and clocks that mappings of streams share.

    Attributes:
        streams: A boto3 client of DynamoDB Streams.
        functions: A boto3 client of Lambda.
        destinations: The services that failed batches go to.
        roles: The account's roles.
        clock: The endpoint's clock.
        metrics: The recorded datapoints.
    """

    streams: Any
    functions: Any
    destinations: Destinations
    roles: Roles
    clock: Clock
    metrics: Metrics


@dataclass(frozen=True)
class StreamMapping:
    """The ends of a mapping.

    Attributes:
        uuid: The mapping's UUID.
        function_arn: ARN of the function, with its alias or version if the mapping names one.
        stream_arn: The stream's ARN.
        role: The function's role, which reads the stream and sends failed batches.
    """

    uuid: str
    function_arn: str
    stream_arn: str
    role: Caller

    @property
    def function_name(self) -> str:
        """The function's name, which is a dimension of its metrics."""
        return self.function_arn.split(":")[6]


class StreamMappingRunner:
    """`StreamRunner` of an event source mapping.

    Args:
        mapping: The mapping's ends.
        settings: The mapping's settings.
        dependencies: The services that mappings share.
        history: Receives an entry for everything that happens.
        on_result: Called with LastProcessingResult after each invocation.
    """

    def __init__(
        self,
        mapping: StreamMapping,
        settings: MappingSettings,
        *,
        dependencies: StreamMappingDependencies,
        history: History,
        on_result: Callable[[str], None],
    ) -> None:
        self._mapping = mapping
        self._settings = settings
        self._with = dependencies
        self._history = history
        self._on_result = on_result

    def admit(self) -> None:
        """Check that the function's role may read the stream."""
        self._with.roles.admit(self._mapping.role, reading(self._mapping.stream_arn))

    def identify(self, record: StreamRecord) -> StreamRecord:
        """Return the record: a mapping identifies records as the stream does, by sequence number."""
        return record

    def deliver(self, call: Invoke) -> Outcome:
        """Invoke the function with a batch."""
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
                event_ids=event_ids_of(call.records),
                outcome=name,
                accepted=accepted(outcome, len(call.records)),
                error_type=error_type,
                bisected=isinstance(outcome, Failed) and self._settings.bisect and len(call.records) > 1,
                iterator_age_ms=age,
            )
        )
        return outcome

    def give_up(self, given_up: GiveUp) -> bool | None:
        """Send the document of a failed batch to the on-failure destination, if the mapping has one."""
        arn = self._settings.destination
        if arn is None:
            self._note(given_up, given_up.condition)
            return None
        now = self._with.clock.now()
        document = failure_document(
            given_up,
            now=now,
            function_arn=self._mapping.function_arn,
            stream_arn=self._mapping.stream_arn,
            shard_id=given_up.shard_id,
            payload=takes_payload(arn),
        )
        key = object_key(mapping_uuid=self._mapping.uuid, shard_id=given_up.shard_id, now=now)
        refusal = self._with.roles.refusal(self._mapping.role, sending_failures(arn, key=key))
        location = None if refusal else self._with.destinations.send(document, arn, key=key)
        self._note(given_up, given_up.condition, document, location)
        return location is not None

    def lose(self, lost: Lose) -> None:
        """Note records that the stream has forgotten."""
        if lost.records:
            self._note(lost, "retention")

    def throttled(self, shard_id: str) -> None:
        """Note that a shard had too many readers."""
        self._history.add(ThrottledRead(at=self._with.clock.now(), shard_id=shard_id))

    def unreadable(self, failure: Exception) -> None:
        """Show the reason in the mapping's LastProcessingResult."""
        self._on_result(f"PROBLEM: {failure}")

    def skip(self, shard_id: str, records: Sequence[StreamRecord]) -> None:
        """Note records that no filter matches."""
        self._history.add(
            FilteredOut(
                at=self._with.clock.now(),
                shard_id=shard_id,
                identifiers=[record.identifier for record in records],
                keys=keys_of(tuple(records)),
                event_ids=event_ids_of(records),
            )
        )

    def record(self, name: str, value: float, now: float) -> None:
        """Record a metric of the mapping. Errors and throttles are recorded where the function runs."""
        if name.endswith("EventCount") and self._settings.event_count:
            self._with.metrics.record(name, value, at=now, EventSourceMappingUUID=self._mapping.uuid)
        elif name in ("IteratorAge", "DestinationDeliveryFailures"):
            self._with.metrics.record(name, round(value), at=now, FunctionName=self._mapping.function_name)

    def _invoke(self, call: Invoke) -> tuple[Outcome, OutcomeName, str | None]:
        return call_function(
            self._with.functions,
            self._mapping.function_arn,
            event_of(call.records, call.window, stream_arn=self._mapping.stream_arn, shard_id=call.shard_id),
            named=call.request_id,
            read=lambda content: read_response(
                content,
                [record.identifier for record in call.records],
                reports=self._settings.report_batch_item_failures,
                windowed=call.window is not None,
            ),
        )

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
                event_ids=event_ids_of(ended.records),
                document=document,
                location=location,
            )
        )


def poll_stream(
    mapping: StreamMapping,
    settings: MappingSettings,
    *,
    readers: Sequence[Reader],
    dependencies: StreamMappingDependencies,
    history: History,
    on_result: Callable[[str], None],
) -> PollingThread:
    """Make the poller of a mapping, with a reader for each shard."""
    runner = StreamMappingRunner(mapping, settings, dependencies=dependencies, history=history, on_result=on_result)
    return StreamPoller(
        StreamBatches(settings, record=runner.record, filtered_out=runner.skip),
        readers,
        runner,
        name=f"mapping-{mapping.uuid}",
        clock=dependencies.clock,
        counted=settings.event_count,
    )
