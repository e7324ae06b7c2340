"""`PipeReading`: how a pipe reads its source, and what becomes of the events that it cannot deliver."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import pulumi

from components.access import Statement
from components.alarms import PIPE_ALARMS, QUEUE_SOURCE_ALARMS, AlarmOpinion
from components.delivery import InvalidDelivery, check_retention
from components.failure_destination import FailureDestination
from components.function_enrichment import FunctionEnrichment
from components.kinesis_delivery import KinesisPipeDelivery
from components.kinesis_source import KinesisSource
from components.pipe_delivery import PipeDelivery
from components.pipe_parts import check_message_paths
from components.pipe_targets import Enrichment, PipeTarget
from components.push_down import pipe_filters_of
from components.queue_source import QueueSource, QueueSourceDelivery
from components.refusal import Refused
from components.stream_change import Refusal, other_place, other_queue, place_of
from components.stream_source import StreamSource
from components.watched import Line, queue_age, waiting, waiting_in
from handlers.cdc import Condition


@dataclass(frozen=True, kw_only=True)
class PipeReading:
    """How a pipe reads its source.

    Attributes:
        arn: The source's ARN.
        parameters: The pipe's source parameters, without the filters.
        statements: Permissions of the pipe's role to read, and to send what it gives up.
        dead_letters: ARN of the queue or topic with what was given up.
        dead_letter_queues: ARNs of the queues among them, for the operator's commands.
        on_failure: The `FailureDestination` of a stream's pipe; a queue has its own.
        resources: The resources that must exist before the first batch is read.
        alarms: The pipe's alarms, unless it is given others.
        dimensions: Values of the dimensions that those name beyond the pipe's own.
        lag: The lines of how far behind the pipe is; empty where CloudWatch does not measure it.
        waiting: The lines of dead letters that wait.
        stream: ARN of the table's stream that the changes are of, where the source does not say it.
    """

    arn: pulumi.Input[str]
    parameters: Mapping[str, Any]
    statements: Sequence[Statement]
    dead_letters: pulumi.Input[str]
    dead_letter_queues: Sequence[pulumi.Input[str]]
    on_failure: FailureDestination | None = None
    resources: Sequence[pulumi.Resource] = ()
    alarms: Sequence[AlarmOpinion] = PIPE_ALARMS
    dimensions: Mapping[str, pulumi.Input[str]] = field(default_factory=dict[str, pulumi.Input[str]])
    lag: Sequence[Line] = ()
    waiting: Sequence[Line] = ()
    stream: pulumi.Input[str] | None = None


class Reader(Protocol):
    """A pipe's side towards its source: everything that depends on the kind of source.

    Attributes:
        batch_size: Events per batch at most.
        place: Where the pipe begins to read, as its component is registered with.
        refusal: Words the refusal of another place.
    """

    batch_size: int
    place: dict[str, Any]
    refusal: Refusal

    def adapted(
        self, target: PipeTarget, enrichment: Enrichment | FunctionEnrichment | None, input_template: str | None
    ) -> PipeTarget:
        """Return the target as it is for this source.

        Raises:
            Refused: A path reads what the source's events do not have.
        """
        ...

    def filters(self, when: Condition | None, *, residue_is_evaluated: bool) -> tuple[str, ...]:
        """Return the patterns of the pipe's filter; none if every event is wanted.

        Raises:
            Refused: AWS could not evaluate the condition on the source's events.
        """
        ...

    def read(
        self, *, alarm_actions: Sequence[pulumi.Input[str]], works: bool, opts: pulumi.ResourceOptions
    ) -> PipeReading:
        """Let the pipe read.

        Args:
            alarm_actions: ARNs that the alarm of a failure destination notifies.
            works: Whether somebody's code works on a batch while its events wait.
            opts: Options of what is made.
        """
        ...

    def checked(self, target: PipeTarget, reading: PipeReading) -> PipeTarget:
        """Return the target, known once nothing of the source forbids the pipe."""
        ...


def reader_of(name: str, source: object, delivery: object) -> Reader:
    """Return the side of a pipe towards its source.

    Args:
        name: The pipe's name.
        source: A `StreamSource` or a `QueueSource`.
        delivery: The settings; `None` for the defaults.

    Raises:
        Refused: It is no source of a pipe.
        InvalidDelivery: The settings are of another kind of source.
    """
    match source:
        case StreamSource():
            return _StreamReader(name, source, delivery)
        case QueueSource():
            return _QueueReader(name, source, delivery)
        case _:
            raise Refused(
                f"{name}: source is {type(source).__name__}, and a StreamPipe reads the stream of a table "
                "(users.stream), the source of a KinesisChanges, or a queue: for an aws.sqs.Queue pass "
                "QueueSource(queue=…), and for a queue of a fan-out's changes let FanOut.pipe(…) make queue and pipe"
            )


class _StreamReader:
    def __init__(self, name: str, source: StreamSource, delivery: object) -> None:
        self._name = name
        self._source = source
        kinesis = source.dialect == "kinesis"
        delivery = delivery or (KinesisPipeDelivery() if kinesis else PipeDelivery())
        if not isinstance(delivery, PipeDelivery) or isinstance(delivery, KinesisPipeDelivery) != kinesis:
            raise InvalidDelivery(
                f"{name}: delivery is a {type(delivery).__name__}, and {source.table} is read through "
                f"{'Kinesis: pass a KinesisPipeDelivery' if kinesis else 'its own stream: pass a PipeDelivery'}"
            )
        check_retention(name, delivery.maximum_record_age_in_seconds, source.retention_in_seconds)
        self._delivery = delivery
        self.batch_size = delivery.batch_size
        self.place = place_of(source, delivery.position)
        self.refusal: Refusal = other_place

    def adapted(
        self,
        target: PipeTarget,
        enrichment: Enrichment | FunctionEnrichment | None,  # noqa: ARG002 - see `Reader`
        input_template: str | None,  # noqa: ARG002
    ) -> PipeTarget:
        return target

    def filters(self, when: Condition | None, *, residue_is_evaluated: bool) -> tuple[str, ...]:
        dialect = "kinesis" if self._source.dialect == "kinesis" else "pipe"
        return self._delivery.filters or pipe_filters_of(
            self._name, when, self._source, residue_is_evaluated=residue_is_evaluated, dialect=dialect
        )

    def read(
        self, *, alarm_actions: Sequence[pulumi.Input[str]], works: bool, opts: pulumi.ResourceOptions
    ) -> PipeReading:
        del works  # a stream waits
        source = self._source
        on_failure = FailureDestination(
            f"{self._name}-failures", kind=self._delivery.on_failure, alarm_actions=alarm_actions, opts=opts
        )
        queues = [] if on_failure.queue is None else [on_failure.queue]
        return PipeReading(
            arn=source.arn,
            parameters=_stream_parameters(self._delivery, on_failure.arn),
            statements=[*source.pipe_statements(), *on_failure.send_statements],
            dead_letters=on_failure.arn,
            dead_letter_queues=[queue.arn for queue in queues],
            on_failure=on_failure,
            resources=on_failure.resources,
            waiting=waiting(*queues),
            # A stream of Kinesis does not say which table its changes are of.
            stream=source.table_stream if isinstance(source, KinesisSource) else None,
        )

    def checked(self, target: PipeTarget, reading: PipeReading) -> PipeTarget:  # noqa: ARG002 - see `Reader`
        return target


class _QueueReader:
    def __init__(self, name: str, source: QueueSource, delivery: object) -> None:
        delivery = delivery or QueueSourceDelivery()
        if not isinstance(delivery, QueueSourceDelivery):
            raise InvalidDelivery(
                f"{name}: delivery is a {type(delivery).__name__}, and {source.name} is a queue, which has no starting "
                "position, and of whose pipe AWS takes neither retries nor bisection nor a failure destination: pass a "
                "QueueSourceDelivery, and set attempts and dead-letter queue by the queue's redrive_policy"
            )
        self._name = name
        self._source = source
        self._delivery = delivery
        self.batch_size = delivery.batch_size
        self.place: dict[str, Any] = {"stream": f"the queue {source.name}"}
        self.refusal: Refusal = other_queue

    def adapted(
        self, target: PipeTarget, enrichment: Enrichment | FunctionEnrichment | None, input_template: str | None
    ) -> PipeTarget:
        target = target.of_queue(self._source.identity)
        check_message_paths(self._name, target, enrichment, input_template)
        return target

    def filters(self, when: Condition | None, *, residue_is_evaluated: bool) -> tuple[str, ...]:
        if when is None:
            return self._delivery.filters
        if self._source.changes_of is None:
            raise Refused(
                f"{self._name}: when is {when!r}, a condition on changes, and {self._source.name} holds messages of "
                "any kind: say whose changes are their bodies, QueueSource(queue=…, changes_of=users.stream), or "
                "filter messages with QueueSourceDelivery(filters=('{\"body\": …}',))"
            )
        return self._delivery.filters or pipe_filters_of(
            self._name,
            when,
            self._source.changes_of,
            residue_is_evaluated=residue_is_evaluated,
            dialect="queue",
        )

    def read(
        self,
        *,
        alarm_actions: Sequence[pulumi.Input[str]],  # noqa: ARG002 - a queue has its own dead-letter queue
        works: bool,
        opts: pulumi.ResourceOptions,  # noqa: ARG002
    ) -> PipeReading:
        source, delivery = self._source, self._delivery
        dead_letters = source.dead_letters(self._name, delivery, works=works)
        parameters: dict[str, Any] = {"batch_size": delivery.batch_size}
        if delivery.maximum_batching_window_in_seconds:
            parameters["maximum_batching_window_in_seconds"] = delivery.maximum_batching_window_in_seconds
        dead_letter_queue = dead_letters.apply(lambda arn: arn.rpartition(":")[2])
        return PipeReading(
            arn=source.queue.arn,
            parameters={"sqs_queue_parameters": parameters},
            statements=source.statements(),
            dead_letters=dead_letters,
            dead_letter_queues=[dead_letters],
            alarms=QUEUE_SOURCE_ALARMS,
            dimensions={"QueueName": source.queue.name, "DeadLetterQueueName": dead_letter_queue},
            lag=queue_age(source.queue),
            waiting=[waiting_in(dead_letter_queue)],
            stream=None if source.changes_of is None else source.changes_of.arn,
        )

    def checked(self, target: PipeTarget, reading: PipeReading) -> PipeTarget:
        return self._source.checked_target(self._name, target, reading.dead_letters)


def _stream_parameters(delivery: PipeDelivery, dead_letters: pulumi.Input[str]) -> dict[str, Any]:
    stream: dict[str, Any] = {
        "starting_position": delivery.starting_position,
        "batch_size": delivery.batch_size,
        "maximum_batching_window_in_seconds": delivery.maximum_batching_window_in_seconds,
        "parallelization_factor": delivery.parallelization_factor,
        "maximum_retry_attempts": delivery.maximum_retry_attempts,
        "maximum_record_age_in_seconds": delivery.maximum_record_age_in_seconds,
        "dead_letter_config": {"arn": dead_letters},
    }
    if delivery.automatic_bisect:
        stream["on_partial_batch_item_failure"] = "AUTOMATIC_BISECT"
    if not isinstance(delivery, KinesisPipeDelivery):
        return {"dynamodb_stream_parameters": stream}
    if delivery.starting_position_timestamp is not None:
        stream["starting_position_timestamp"] = delivery.starting_position_timestamp
    return {"kinesis_stream_parameters": stream}
