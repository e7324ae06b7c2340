"""`StreamPipe`: an EventBridge pipe from a stream or a queue to a service, without code of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

from components.access import Statement, policy_document, trust
from components.alarms import AlarmOpinion, make_alarms
from components.function_enrichment import FunctionEnrichment, condition_of
from components.pipe_delivery import PipeDelivery
from components.pipe_parts import check_parts, pipe_arguments, pipe_log
from components.pipe_reading import reader_of
from components.pipe_targets import Enrichment, PipeTarget
from components.queue_source import QueueSource, QueueSourceDelivery
from components.stream_change import kept
from components.stream_source import StreamSource
from components.watched import Watched, pipe_lines
from handlers.cdc import Condition


class StreamPipe(pulumi.ComponentResource):
    """A pipe that sends the events of a stream or a queue to a queue, topic, bus, function, workflow or HTTP endpoint.

    Of a stream it is one of the readers. A failing event holds up its shard until it is given up, and then its place in
    the stream is in the dead-letter queue, not its content (docs/aws-semantics.md §3.5). A queue's message comes back
    instead, until the queue's redrive policy moves it, whole, to the queue's dead-letter queue (§3.8).

    Args:
        source: The stream: `users.stream` of a `ChangeTable`, a `StreamSource` for a table that exists, or the `source`
            of a `KinesisChanges`, whose events hold the change below `$.data`. Or a `QueueSource`, whose events hold
            the message's content below `$.body`.
        target: The receiver of the events: a `QueueTarget`, `TopicTarget`, `BusTarget`, `FunctionTarget`,
            `WorkflowTarget` or `ApiDestinationTarget`.
        when: The condition of wanted changes, e.g. `on.modify & on.new("plan").eq("pro")`. AWS must be able to evaluate
            all of it, unless the enrichment evaluates the rest. Of a queue only with its `changes_of`.
        input_template: Makes the target's input of each event, e.g. `{"user": <$.dynamodb.Keys.userId.S>}`.
        enrichment: A function, Express workflow or API destination that events go through before. A
            `FunctionEnrichment` brings the pipe's condition, and evaluates what no pattern says of it.
        delivery: Settings of the pipe: a `PipeDelivery`, a `KinesisPipeDelivery` for a Kinesis stream, or a
            `QueueSourceDelivery` for a queue.
        alarms: The alarms; by default `PIPE_ALARMS`, and `QUEUE_SOURCE_ALARMS` for a queue.
        alarm_actions: ARNs that alarms notify, usually of SNS topics.
        page_actions: ARNs that the urgent ones notify; `alarm_actions` when not given.
        allow_stream_change: Let this deployment change where a pipe that exists begins to read, or which queue.

    Attributes:
        pipe: The `aws.pipes.Pipe`.
        role: Its `aws.iam.Role`, with just the permissions that it needs; `policy` is the role's only one.
        log_group: Its `aws.cloudwatch.LogGroup`, of failures alone.
        on_failure: The `FailureDestination` of a stream's pipe; `None` for a queue, which has a dead-letter queue.
        dead_letters: ARN of the queue or topic with what was given up.
        alarms: The `aws.cloudwatch.MetricAlarm` of each opinion, by its name.

    Raises:
        TooManyReaders: The stream has as many readers as it serves.
        InvalidDelivery: The settings do not fit the target or the source; a queue has no redrive policy, hides its
            messages for too short a time, or has a key that the role may not use.
        Refused: The source is neither a stream of changes nor a `QueueSource`; AWS would refuse target, enrichment or
            template, or could not evaluate the condition; a queue's messages would go round.

    Example:
        bus = aws.cloudwatch.EventBus("changes")
        StreamPipe(
            "to-bus",
            source=users.stream,
            target=BusTarget(arn=bus.arn, detail_type="plan changed", source="users"),
            when=on.modify & on.new("plan").is_in(["pro", "enterprise"]),
            input_template='{"userId": <$.dynamodb.Keys.userId.S>}',
            alarm_actions=[alarms.arn],
        )
    """

    def __init__(
        self,
        name: str,
        *,
        source: StreamSource | QueueSource,
        target: PipeTarget,
        when: Condition | None = None,
        input_template: str | None = None,
        enrichment: Enrichment | FunctionEnrichment | None = None,
        delivery: PipeDelivery | QueueSourceDelivery | None = None,
        alarms: Sequence[AlarmOpinion] | None = None,
        alarm_actions: Sequence[pulumi.Input[str]] = (),
        page_actions: Sequence[pulumi.Input[str]] | None = None,
        allow_stream_change: bool = False,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        reader = reader_of(name, source, delivery)
        when = condition_of(name, when, enrichment)
        check_parts(name, target, enrichment, input_template, batch_size=reader.batch_size)
        target = reader.adapted(target, enrichment, input_template)
        residue_is_evaluated = enrichment is not None and enrichment.evaluates_condition
        filters = reader.filters(when, residue_is_evaluated=residue_is_evaluated)
        if isinstance(source, StreamSource):
            source.add_reader(name)
        super().__init__(
            "weir:index:StreamPipe",
            name,
            reader.place,
            kept(name, reader.place, reader.refusal, allowed=allow_stream_change, opts=opts),
        )
        child = pulumi.ResourceOptions(parent=self)

        works = target.works or enrichment is not None
        reading = reader.read(alarm_actions=alarm_actions, works=works, opts=child)
        self.on_failure = reading.on_failure
        self.dead_letters = reading.dead_letters
        self.log_group = pipe_log(name, child)
        self.role = aws.iam.Role(name, assume_role_policy=trust("pipes.amazonaws.com"), opts=child)
        made = None if enrichment is None else enrichment.made(name, child)
        statements: list[Statement] = [
            *reading.statements,
            *target.statements(),
            *(made.by.statements() if made else []),
        ]
        self.policy = aws.iam.RolePolicy(name, role=self.role.name, policy=policy_document(statements), opts=child)
        parameters: Any = dict(reading.parameters)
        if filters:
            parameters["filter_criteria"] = {"filters": [{"pattern": pattern} for pattern in filters]}
        self.pipe = aws.pipes.Pipe(
            name,
            role_arn=self.role.arn,
            source=reading.arn,
            source_parameters=parameters,
            **pipe_arguments(self.log_group, reader.checked(target, reading), made, input_template),
            # AWS tries the role when the pipe is created, and a failure is final.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self.policy, *reading.resources]),
        )
        self.alarms = make_alarms(
            name,
            reading.alarms if alarms is None else alarms,
            {
                "PipeName": self.pipe.name,
                "AwsAccountId": aws.get_caller_identity_output().account_id,
                **reading.dimensions,
            },
            actions=alarm_actions,
            page_actions=page_actions,
            failure_destination=reading.dead_letters,
            opts=child,
        )
        self._reading = reading
        self.register_outputs({"pipeName": self.pipe.name})

    def exported(self) -> Mapping[str, pulumi.Input[Any]]:
        """Return what the stack's output `pipes` has to say of the pipe, so that the operator's commands know it."""
        exported: dict[str, pulumi.Input[Any]] = {
            "pipe": self.pipe.name,
            "deadLetterQueues": list(self._reading.dead_letter_queues),
            "alarms": {alarm: made.name for alarm, made in self._every_alarm().items()},
        }
        return exported | ({} if self._reading.stream is None else {"stream": self._reading.stream})

    def watched(self) -> Sequence[Watched]:
        """Return what a dashboard shows of the pipe. Of a stream, CloudWatch does not measure how far it is behind."""
        return [
            Watched(
                name=self.pulumi_resource_name,
                lag=self._reading.lag,
                **pipe_lines(self.pipe),
                dead_letters=self._reading.waiting,
                alarms=[*self._every_alarm().values()],
            )
        ]

    def _every_alarm(self) -> Mapping[str, aws.cloudwatch.MetricAlarm]:
        return self.alarms if self.on_failure is None else {**self.alarms, **self.on_failure.alarms}
