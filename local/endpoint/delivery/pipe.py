"""Runs a pipe: executes its batches, remembers the outcomes, and sends what is given up to its dead-letter queue."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aws_semantics.permissions import reading, sending_failures
from local.endpoint.delivery.destinations import Destinations
from local.endpoint.delivery.history import (
    GivenUp,
    History,
    Invocation,
    ThrottledRead,
    event_ids_of,
    filtered_out,
    keys_of,
)
from local.endpoint.delivery.pipe_services import PipeServices
from local.endpoint.delivery.pipe_telemetry import Concurrency, ExecutionTrace, PipeLog, PipeMetrics
from local.endpoint.delivery.polling_thread import PollingThread
from local.endpoint.delivery.queue_poller import QueuePoller
from local.endpoint.delivery.stream_poller import StreamPoller
from local.endpoint.readers.stream_shard import Reader
from local.endpoint.roles import Roles, role_of_pipe
from local.engine.actions import GiveUp, Invoke, Lose
from local.engine.alarms.metrics import Metrics
from local.engine.clock import Clock
from local.engine.outcomes import Failed, Outcome, accepted
from local.engine.pipes.admission import queue_settings_of, settings_of
from local.engine.pipes.execution import Executions
from local.engine.pipes.sources import as_event
from local.engine.queues.batches import Message, QueueBatches
from local.engine.streams.batches import StreamBatches
from local.engine.streams.documents import pipe_failure_document
from local.engine.streams.records import StreamRecord
from local.engine.streams.settings import MappingSettings


@dataclass(frozen=True)
class PipeDependencies:
    """The services and clocks that pipes share.

    Attributes:
        logs: A boto3 client of CloudWatch Logs.
        queues: A boto3 client of SQS.
        services: The services that pipes call.
        destinations: The services that dead letters go to.
        roles: The account's roles.
        clock: The endpoint's clock.
        metrics: The recorded datapoints.
        concurrency: The count of all running executions.
    """

    logs: Any
    queues: Any
    services: PipeServices
    destinations: Destinations
    roles: Roles
    clock: Clock
    metrics: Metrics
    concurrency: Concurrency


class PipeRun:
    """One run of a pipe, from its start until it is stopped.

    Args:
        pipe: DescribePipe's answer.
        dependencies: The services that pipes share.
        account_id: The account, which is a dimension of some metrics.
        history: Receives an entry for everything that happens.
        on_problem: Called with the reason why the stream cannot be read, and with an empty text once it can again.
    """

    def __init__(
        self,
        pipe: Mapping[str, Any],
        *,
        dependencies: PipeDependencies,
        account_id: str,
        history: History,
        on_problem: Callable[[str], None],
    ) -> None:
        self.pipe = pipe
        self.role = role_of_pipe(pipe)
        self.dependencies = dependencies
        self.history = history
        self.on_problem = on_problem
        self.name = f"pipe-{pipe['Name']}"
        clock = dependencies.clock
        self._executions = Executions(
            pipe,
            services=dependencies.services,
            refusal=lambda needs: dependencies.roles.refusal(self.role, needs),
            now=clock.now,
        )
        self._log = PipeLog(pipe.get("LogConfiguration", {}), pipe_arn=pipe["Arn"], logs=dependencies.logs, clock=clock)
        self._metrics = PipeMetrics(dependencies.metrics, clock, pipe_name=pipe["Name"], account_id=account_id)

    def of_stream(self, readers: Sequence[Reader], *, retention: int) -> PollingThread:
        """Make the poller of a pipe that reads a stream.

        Args:
            readers: A reader for each shard.
            retention: Seconds that the stream keeps a record.
        """
        settings = settings_of(self.pipe, retention=retention)
        runner = PipeStreamRunner(self, settings)
        clock = self.dependencies.clock
        return StreamPoller(StreamBatches(settings), readers, runner, name=self.name, clock=clock, counted=False)

    def of_queue(self, queue_url: str) -> PollingThread:
        """Make the poller of a pipe that reads a queue."""
        return QueuePoller(
            QueueBatches(queue_settings_of(self.pipe)),
            PipeQueueRunner(self),
            queues=self.dependencies.queues,
            queue_url=queue_url,
            queue_arn=self.pipe["Source"],
            name=self.name,
            clock=self.dependencies.clock,
            counted=False,
        )

    def execute(self, call: Invoke, *, age_of: int, bisects: bool) -> tuple[Outcome, Invocation]:
        """Execute a batch; return its outcome and the history's entry, with the age of the record at `age_of`."""
        now = self.dependencies.clock.now()
        age = max(0, round((now - call.records[age_of].arrived) * 1000))
        with self.dependencies.concurrency.one_more() as running:
            self._metrics.record("Concurrency", running)
            outcome, ended = self._executions.run(call, ExecutionTrace(self._log, self._metrics))
        return outcome, Invocation(
            at=now,
            shard_id=call.shard_id,
            request_id=call.request_id,
            attempt=call.attempt,
            identifiers=[each.identifier for each in call.records],
            keys=keys_of(call.records),
            event_ids=event_ids_of(call.records),
            outcome=ended,
            accepted=accepted(outcome, len(call.records)),
            error_type=None,
            bisected=isinstance(outcome, Failed) and bisects and len(call.records) > 1,
            iterator_age_ms=age,
        )


class PipeStreamRunner:
    """`StreamRunner` of a pipe."""

    def __init__(self, run: PipeRun, settings: MappingSettings) -> None:
        self._run = run
        self._with = run.dependencies
        self._settings = settings

    def admit(self) -> None:
        """Check that the pipe's role may read the stream."""
        self._with.roles.admit(self._run.role, reading(self._run.pipe["Source"]))
        self._run.on_problem("")

    def identify(self, record: StreamRecord) -> StreamRecord:
        """Return the record in the shape of a pipe, which identifies records by event ID."""
        return as_event(record)

    def deliver(self, call: Invoke) -> Outcome:
        """Execute a batch."""
        outcome, entry = self._run.execute(call, age_of=-1, bisects=self._settings.bisect)
        self._run.history.add(entry)
        return outcome

    def give_up(self, given_up: GiveUp) -> bool | None:
        """Send the document of a failed batch to the dead-letter queue or topic, if the pipe has one."""
        dead_letters = self._settings.destination
        now = self._with.clock.now()
        document: dict[str, Any] | None = None
        location: str | None = None
        if dead_letters is not None:
            document = pipe_failure_document(
                given_up,
                now=now,
                pipe_arn=self._run.pipe["Arn"],
                stream_arn=self._run.pipe["Source"],
                shard_id=given_up.shard_id,
            )
            refusal = self._with.roles.refusal(self._run.role, sending_failures(dead_letters))
            location = None if refusal else self._with.destinations.send(document, dead_letters)
        self._run.history.add(
            GivenUp(
                at=now,
                shard_id=given_up.shard_id,
                condition=given_up.condition,
                identifiers=[record.identifier for record in given_up.records],
                keys=keys_of(given_up.records),
                event_ids=event_ids_of(given_up.records),
                document=document,
                location=location,
            )
        )
        return None if dead_letters is None else location is not None

    def lose(self, lost: Lose) -> None:
        """Note records that the stream has forgotten; the pipe itself reports nothing of them."""
        if not lost.records:
            return
        self._run.history.add(
            GivenUp(
                at=self._with.clock.now(),
                shard_id=lost.shard_id,
                condition="retention",
                identifiers=[record.identifier for record in lost.records],
                keys=keys_of(lost.records),
                event_ids=event_ids_of(lost.records),
                document=None,
                location=None,
            )
        )

    def throttled(self, shard_id: str) -> None:
        """Note that a shard had too many readers."""
        self._run.history.add(ThrottledRead(at=self._with.clock.now(), shard_id=shard_id))

    def unreadable(self, failure: Exception) -> None:
        """Show the reason in the pipe's StateReason."""
        self._run.on_problem(f"PROBLEM: {failure}")


class PipeQueueRunner:
    """`QueueRunner` of a pipe."""

    def __init__(self, run: PipeRun) -> None:
        self._run = run

    def may(self, operation: str) -> bool:
        """Return whether the pipe's role allows an operation on the queue."""
        roles = self._run.dependencies.roles
        return not roles.refusal(self._run.role, [(f"sqs:{operation}", self._run.pipe["Source"])])

    def deliver(self, call: Invoke, end: Callable[[Outcome], None]) -> None:
        """Execute a batch."""
        outcome, entry = self._run.execute(call, age_of=0, bisects=False)
        end(outcome)
        self._run.history.add(entry)

    def skip(self, messages: Sequence[Message]) -> None:
        """Note messages that no filter matches."""
        self._run.history.add(filtered_out(messages, at=self._run.dependencies.clock.now()))
