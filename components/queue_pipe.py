"""`QueuePipe`: an EventBridge pipe from a queue of a fan-out to a service. Made by `FanOut.pipe`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from aws_semantics.limits import FIFO_QUEUE_BATCH, QUEUE_RECEIVES, QUEUE_RETENTION_SECONDS, QUEUE_VISIBILITY_SECONDS
from aws_semantics.permissions import READING
from components.access import Statement, allow, decrypt, policy_document, trust
from components.alarms import PARKED, PIPE_ALARMS, QUEUE_AGE, AlarmOpinion, make_alarms
from components.consumer_queue import ConsumerQueue
from components.delivery import InvalidDelivery, filter_problems
from components.function_enrichment import FunctionEnrichment, condition_of
from components.names import FIFO_QUEUE, check_name
from components.pipe_parts import check_message_paths, check_parts, pipe_arguments, pipe_log
from components.pipe_targets import Enrichment, PipeTarget
from components.push_down import pipe_filters_of
from components.stream_source import StreamSource
from components.watched import Watched, pipe_lines, queue_age, waiting
from handlers.cdc import Condition

#: The alarms of a pipe that reads a queue: there is no function, so there are no throttles and nothing is parked.
QUEUE_PIPE_ALARMS = (*PIPE_ALARMS, *QUEUE_AGE[:2], *PARKED[1:])


@dataclass(frozen=True, kw_only=True)
class QueuePipeDelivery:
    """Settings of the FIFO queue that a pipe reads (docs/aws-semantics.md §3.8).

    Raises:
        InvalidDelivery: A value is out of AWS's range.

    Example:
        >>> QueuePipeDelivery(batch_size=11)
        Traceback (most recent call last):
        ...
        components.delivery.InvalidDelivery: batch_size=11 is not 1 to 10: AWS refuses the pipe
    """

    batch_size: int = 10
    """Messages per batch at most, 1 to 10, and no more than the target takes in one call."""

    maximum_receives: int = 10
    """Receives after which SQS moves a message to the dead-letter queue, 1 to 1,000. No runtime parks the failing
    message alone, so those behind it in its group count with it (docs/aws-semantics.md §3.8)."""

    visibility_timeout_in_seconds: int = 360
    """How long a failed message stays hidden before it is tried again, 0 to 43,200 seconds; longer than the five
    minutes that enrichment and target may take together (docs/aws-semantics.md §3.4)."""

    retention_in_seconds: int = 14 * 24 * 60 * 60
    """How long a message waits while the target is down, 60 to 1,209,600 seconds."""

    filters: tuple[str, ...] = ()
    """Event patterns on `body` as JSON text. Without any, the condition is pushed down."""

    def __post_init__(self) -> None:
        ranged = {
            "batch_size": FIFO_QUEUE_BATCH,
            "maximum_receives": QUEUE_RECEIVES,
            "visibility_timeout_in_seconds": QUEUE_VISIBILITY_SECONDS,
            "retention_in_seconds": QUEUE_RETENTION_SECONDS,
        }
        problems = [
            f"{name}={getattr(self, name)!r} is not {allowed}: AWS refuses the pipe"
            for name, allowed in ranged.items()
            if getattr(self, name) not in allowed
        ]
        problems += filter_problems(self.filters)
        if problems:
            raise InvalidDelivery("\n".join(problems))


class QueuePipe(pulumi.ComponentResource):
    """A pipe that reads a FIFO queue of its own, which a fan-out's topic fills. Made by `FanOut.pipe`.

    A change too large for a message reaches the target as its claim check (docs/guides/fan-out.md).

    Args:
        topic: The fan-out's topic.
        source: The stream that its changes come from.
        target: The receiver of the changes, as for a `StreamPipe`.
        when: The condition of wanted changes; AWS must be able to evaluate all of it, unless the enrichment does.
        input_template: Makes the target's input of each event; the change is below `$.body`.
        enrichment: A function, Express workflow or API destination that events go through before.
        delivery: Settings of the queue.
        kms_key_arn: A customer managed key for the queues.
        replay_from: Time from which the topic's archive is replayed into the queue, e.g. `2026-01-31T08:30:00Z`.
        alarms: The alarms, `QUEUE_PIPE_ALARMS` by default.
        alarm_actions: ARNs that alarms notify, usually of SNS topics.
        page_actions: ARNs that the urgent ones notify; `alarm_actions` when not given.

    Attributes:
        pipe: The `aws.pipes.Pipe`; `role`, `policy` and `log_group` belong to it.
        queue: The `aws.sqs.Queue` that it reads.
        dead_letters: The queue of what SQS gave up after `maximum_receives`.
        undelivered: The queue of what the topic could not deliver.
        subscription: The `aws.sns.TopicSubscription`.
        alarms: The `aws.cloudwatch.MetricAlarm` of each opinion, by its name.

    Raises:
        InvalidDelivery: The batch is larger than what target or enrichment takes.
        Refused: AWS would refuse target, enrichment or template, or could not evaluate the condition; a path reads
            what no message has.

    Example:
        bus = aws.cloudwatch.EventBus("plans")
        made = fan_out.pipe(
            "plans",
            target=BusTarget(arn=bus.arn, detail_type="plan changed"),
            when=on.new("plan").is_in(["pro", "enterprise"]),
            input_template='{"userId": <$.body.dynamodb.Keys.userId.S>}',
            repeats="subscribers of the bus ignore an event id that they have seen",
        )
        pulumi.export("plansQueue", made.queue.name)
    """

    def __init__(
        self,
        name: str,
        *,
        topic: aws.sns.Topic,
        source: StreamSource,
        target: PipeTarget,
        when: Condition | None = None,
        input_template: str | None = None,
        enrichment: Enrichment | FunctionEnrichment | None = None,
        delivery: QueuePipeDelivery | None = None,
        kms_key_arn: pulumi.Input[str] | None = None,
        replay_from: str | None = None,
        alarms: Sequence[AlarmOpinion] = QUEUE_PIPE_ALARMS,
        alarm_actions: Sequence[pulumi.Input[str]] = (),
        page_actions: Sequence[pulumi.Input[str]] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        delivery = delivery or QueuePipeDelivery()
        when = condition_of(name, when, enrichment)
        target = target.of_queue()
        check_parts(name, target, enrichment, input_template, batch_size=delivery.batch_size)
        check_message_paths(name, target, enrichment, input_template)
        check_name(f"{name}-dead-letters", FIFO_QUEUE, of=name)
        filters = delivery.filters or pipe_filters_of(
            name,
            when,
            source,
            residue_is_evaluated=enrichment is not None and enrichment.evaluates_condition,
            dialect="queue",
        )
        super().__init__("weir:index:QueuePipe", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)

        queues = ConsumerQueue(
            name,
            topic=topic,
            visibility_timeout_in_seconds=delivery.visibility_timeout_in_seconds,
            retention_in_seconds=delivery.retention_in_seconds,
            maximum_receives=delivery.maximum_receives,
            kms_key_arn=kms_key_arn,
            replay_from=replay_from,
            parent=self,
        )
        self.queue, self.subscription = queues.queue, queues.subscription
        self.dead_letters, self.undelivered = queues.dead_letters, queues.undelivered
        self.log_group = pipe_log(name, child)
        self.role = aws.iam.Role(name, assume_role_policy=trust("pipes.amazonaws.com"), opts=child)
        made = None if enrichment is None else enrichment.made(name, child)
        statements: list[Statement] = [
            allow(READING["sqs"], self.queue.arn),
            *decrypt(kms_key_arn),
            *target.statements(),
            *(made.by.statements() if made else []),
        ]
        self.policy = aws.iam.RolePolicy(name, role=self.role.name, policy=policy_document(statements), opts=child)
        self.pipe = aws.pipes.Pipe(
            name,
            role_arn=self.role.arn,
            source=self.queue.arn,
            **_source_arguments(delivery, filters),
            **pipe_arguments(self.log_group, target, made, input_template),
            # AWS tries the role when the pipe is created, and a failure is final.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self.policy]),
        )
        self.alarms = make_alarms(
            name,
            alarms,
            {
                "PipeName": self.pipe.name,
                "AwsAccountId": aws.get_caller_identity_output().account_id,
                "QueueName": self.queue.name,
                "DeadLetterQueueName": self.dead_letters.name,
                "UndeliveredQueueName": self.undelivered.name,
            },
            actions=alarm_actions,
            page_actions=page_actions,
            failure_destination=self.dead_letters.arn,
            opts=child,
        )
        self._stream = source.arn
        self.register_outputs({"pipeName": self.pipe.name, "queueArn": self.queue.arn})

    def exported(self) -> Mapping[str, pulumi.Input[Any]]:
        """Return what the stack's output `pipes` has to say of the pipe, so that the operator's commands know it."""
        return {
            "pipe": self.pipe.name,
            "stream": self._stream,
            "deadLetterQueues": [self.dead_letters.arn, self.undelivered.arn],
            "alarms": {alarm: made.name for alarm, made in self.alarms.items()},
        }

    def watched(self) -> Sequence[Watched]:
        """Return what a dashboard shows of the pipe."""
        return [
            Watched(
                name=self.pulumi_resource_name,
                lag=queue_age(self.queue),
                **pipe_lines(self.pipe),
                dead_letters=waiting(self.dead_letters, self.undelivered),
                alarms=[*self.alarms.values()],
            )
        ]


def _source_arguments(delivery: QueuePipeDelivery, filters: Sequence[str]) -> dict[str, Any]:
    parameters: dict[str, Any] = {"sqs_queue_parameters": {"batch_size": delivery.batch_size}}
    if filters:
        parameters["filter_criteria"] = {"filters": [{"pattern": pattern} for pattern in filters]}
    return {"source_parameters": parameters}
