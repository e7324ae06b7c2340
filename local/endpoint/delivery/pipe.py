"""Running a pipe: what it executes batches with, what it remembers of them, and where that goes which is given up."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aws_semantics.permissions import reading, sending_failures
from local.endpoint.delivery.destinations import Destinations
from local.endpoint.delivery.history import GivenUp, History, Invocation, ThrottledRead, keys_of
from local.endpoint.delivery.pipe_services import Services
from local.endpoint.delivery.pipe_telemetry import Concurrency, ExecutionTrace, PipeLog, PipeMetrics
from local.endpoint.delivery.queue_poller import QueuePoller
from local.endpoint.delivery.stream_poller import Poller
from local.endpoint.readers.stream_shard import Reader
from local.endpoint.roles import Roles, role_of_pipe
from local.engine.alarms.metrics import Metrics
from local.engine.clock import Clock
from local.engine.pipes.admission import queue_settings_of, settings_of
from local.engine.pipes.execution import Executions
from local.engine.pipes.sources import as_event
from local.engine.queues.batches import QueueBatches
from local.engine.streams.documents import pipe_failure_document
from local.engine.streams.lane import GiveUp, Invoke
from local.engine.streams.mapping import EventSourceMapping
from local.engine.streams.outcomes import Failed, Outcome, accepted


@dataclass(frozen=True)
class Surroundings:
    """What pipes share: what executions need, and where their records and messages come from.

    Attributes:
        logs: A boto3 client of CloudWatch Logs.
        queues: One of SQS.
        services: What pipes send to.
        destinations: Where dead letters go.
        roles: What the pipes' roles allow.
        concurrency: Counts the executions of all pipes.
    """

    logs: Any
    queues: Any
    services: Services
    destinations: Destinations
    roles: Roles
    clock: Clock
    metrics: Metrics
    concurrency: Concurrency


class PipeRunner:
    """One run of a pipe, from when it is started until it is stopped.

    Args:
        pipe: As DescribePipe answers it.
        account_id: Of its metrics.
        history: What it did goes there.
        on_problem: Told why its stream cannot be read, and nothing when it can again.
    """

    def __init__(
        self,
        pipe: Mapping[str, Any],
        *,
        surroundings: Surroundings,
        account_id: str,
        history: History,
        on_problem: Callable[[str], None],
    ) -> None:
        self._pipe = pipe
        self._role = role_of_pipe(pipe)
        self._with = surroundings
        self._history = history
        self._on_problem = on_problem
        clock = surroundings.clock
        self._executions = Executions(
            pipe,
            services=surroundings.services,
            refusal=lambda needs: surroundings.roles.refusal(self._role, needs),
            now=clock.now,
        )
        self._log = PipeLog(pipe.get("LogConfiguration", {}), pipe_arn=pipe["Arn"], logs=surroundings.logs, clock=clock)
        self._metrics = PipeMetrics(surroundings.metrics, clock, pipe_name=pipe["Name"], account_id=account_id)

    def of_stream(self, readers: Sequence[Reader]) -> Poller:
        """What runs a pipe that reads a stream, by a reader for each shard."""
        settings = settings_of(self._pipe)

        def execute(call: Invoke) -> Outcome:
            outcome, entry = self._execute(call, age_of=-1, bisects=settings.bisect)
            self._history.add(entry)
            return outcome

        return Poller(
            EventSourceMapping(settings),
            readers,
            name=self._name,
            clock=self._with.clock,
            invoke=execute,
            give_up=lambda given_up: self._give_up(given_up, settings.destination),
            identify=as_event,
            admit=self._admit,
            unreadable=lambda failure: self._on_problem(f"PROBLEM: {failure}"),
            throttled=lambda shard_id: self._history.add(ThrottledRead(at=self._with.clock.now(), shard_id=shard_id)),
        )

    def of_queue(self, queue_url: str) -> QueuePoller:
        """What runs a pipe that reads a queue."""

        def deliver(call: Invoke, end: Callable[[Outcome], None]) -> None:
            outcome, entry = self._execute(call, age_of=0, bisects=False)
            end(outcome)
            self._history.add(entry)

        return QueuePoller(
            QueueBatches(queue_settings_of(self._pipe)),
            queues=self._with.queues,
            queue_url=queue_url,
            queue_arn=self._pipe["Source"],
            name=self._name,
            clock=self._with.clock,
            deliver=deliver,
            may=lambda operation: (
                not self._with.roles.refusal(self._role, [(f"sqs:{operation}", self._pipe["Source"])])
            ),
        )

    def _admit(self) -> None:
        self._with.roles.admit(self._role, reading(self._pipe["Source"]))
        self._on_problem("")

    @property
    def _name(self) -> str:
        return f"pipe-{self._pipe['Name']}"

    def _execute(self, call: Invoke, *, age_of: int, bisects: bool) -> tuple[Outcome, Invocation]:
        """Execute a batch: what it came to, and what the history says of it, with the age of the record at `age_of`."""
        now = self._with.clock.now()
        age = max(0, round((now - call.records[age_of].arrived) * 1000))
        with self._with.concurrency.one_more() as running:
            self._metrics.record("Concurrency", running)
            outcome, ended = self._executions.run(call, ExecutionTrace(self._log, self._metrics))
        return outcome, Invocation(
            at=now,
            shard_id=call.shard_id,
            request_id=call.request_id,
            attempt=call.attempt,
            identifiers=[each.identifier for each in call.records],
            keys=keys_of(call.records),
            outcome=ended,
            accepted=accepted(outcome, len(call.records)),
            error_type=None,
            bisected=isinstance(outcome, Failed) and bisects and len(call.records) > 1,
            iterator_age_ms=age,
        )

    def _give_up(self, given_up: GiveUp, dead_letters: str | None) -> bool | None:
        now = self._with.clock.now()
        document: dict[str, Any] | None = None
        location: str | None = None
        if dead_letters is not None:
            document = pipe_failure_document(
                given_up,
                now=now,
                pipe_arn=self._pipe["Arn"],
                stream_arn=self._pipe["Source"],
                shard_id=given_up.shard_id,
            )
            refused = self._with.roles.refusal(self._role, sending_failures(dead_letters))
            location = None if refused else self._with.destinations.send(document, dead_letters)
        self._history.add(
            GivenUp(
                at=now,
                shard_id=given_up.shard_id,
                condition=given_up.condition,
                identifiers=[record.identifier for record in given_up.records],
                keys=keys_of(given_up.records),
                document=document,
                location=location,
            )
        )
        return None if dead_letters is None else location is not None
