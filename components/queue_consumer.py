"""`QueueConsumer`: one consumer of a fan-out, with a queue, retries, dead letters and alarms of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

from aws_semantics.permissions import READING
from components.access import Access, allow, decrypt
from components.alarms import QUEUE_ALARMS, AlarmOpinion, QueueAlarms
from components.consumer_queue import ConsumerQueue
from components.delivery import InvalidDelivery
from components.failure_destination import FailureDestination
from components.function_settings import FunctionSettings
from components.import_contract import check_import
from components.names import FIFO_QUEUE, check_name
from components.needs import check_needs
from components.push_down import queue_filters_of
from components.python_function import PythonFunction
from components.queue_delivery import QueueDelivery
from components.stream_source import StreamSource
from components.watched import Line, Watched, function_lines, queue_age, waiting
from handlers.cdc import Consumer
from handlers.cdc.effect_ledger import LEASE_MARGIN_SECONDS
from handlers.cdc.queues import ATTEMPTS_VARIABLE
from handlers.cdc.windows import WindowedConsumer


class QueueConsumer(pulumi.ComponentResource):
    """A Lambda function that reads a FIFO queue of its own, which a fan-out's topic fills. Made by `FanOut.subscribe`.

    Args:
        topic: The fan-out's topic.
        source: The stream that its changes come from.
        consumer: The handler module's `@consumer`. Its condition becomes the mapping's filter on `body`, as far as AWS
            can evaluate it (docs/guides/conditions.md).
        delivery: Settings of the queue and its mapping.
        access: Permissions beyond reading the queue and parking.
        environment: Variables beyond those of `access`.
        function: How the function runs. A crashed worker's effects stay claimed for the timeout plus a second, so the
            retries must last longer.
        kms_key_arn: A customer managed key for the queues.
        replay_from: Time from which the topic's archive is replayed into the queue, e.g. `2026-01-31T08:30:00Z`.
        alarms: The alarms, `QUEUE_ALARMS` by default.
        alarm_actions: ARNs, usually of SNS topics.
        page_actions: ARNs for the urgent alarms; `alarm_actions` when not given.

    Attributes:
        consumer: The `@consumer`; `delivery` and `access` are its settings and permissions.
        function: The `aws.lambda_.Function`; `role`, `log_group` and `policy` belong to it.
        queue: The `aws.sqs.Queue` that the function reads.
        dead_letters: The queue of what SQS gave up after `maximum_receives`.
        undelivered: The queue of what the topic could not deliver.
        subscription: The `aws.sns.TopicSubscription`.
        event_source_mapping: The `aws.lambda_.EventSourceMapping`.
        on_failure: The `FailureDestination` of changes that are given up.
        alarms: The `QueueAlarms`.

    Raises:
        Refused: A value of the function is out of range, or the consumer's condition can never match.
        InvalidDelivery: The retries end before the lease of a crashed worker does, a message would come back while it
            is in work, or the consumer keeps a state over tumbling windows.
        ImportContractBroken: The handler module does more than define itself when it is imported.

    Example:
        fan_out = FanOut("fan-out", source=users.stream, alarm_actions=[alarms.arn])
        subscribed = fan_out.subscribe(welcome_email.handler, access=[ledger.access(), mail.send_access()])
        pulumi.export("welcomeEmailQueue", subscribed.queue.name)
    """

    def __init__(
        self,
        name: str,
        *,
        topic: aws.sns.Topic,
        source: StreamSource,
        consumer: Consumer,
        delivery: QueueDelivery | None = None,
        access: Sequence[Access] = (),
        environment: Mapping[str, pulumi.Input[str]] | None = None,
        function: FunctionSettings | None = None,
        kms_key_arn: pulumi.Input[str] | None = None,
        replay_from: str | None = None,
        alarms: Sequence[AlarmOpinion] = QUEUE_ALARMS,
        alarm_actions: Sequence[pulumi.Input[str]] = (),
        page_actions: Sequence[pulumi.Input[str]] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        delivery, function = delivery or QueueDelivery(), function or FunctionSettings()
        function.check(name)
        _check(name, delivery, consumer, function.timeout)
        filters = queue_filters_of(name, consumer, source, delivery)
        check_import(consumer.module)
        check_name(f"{name}-dead-letters", FIFO_QUEUE, of=name)
        check_needs(name, consumer.module, access, environment or {})
        super().__init__("weir:index:QueueConsumer", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)

        self.delivery, self.consumer, self.access = delivery, consumer, access
        queues = ConsumerQueue(
            name,
            topic=topic,
            visibility_timeout_in_seconds=delivery.visibility_timeout(function.timeout),
            retention_in_seconds=delivery.retention_in_seconds,
            maximum_receives=delivery.maximum_receives,
            kms_key_arn=kms_key_arn,
            replay_from=replay_from,
            parent=self,
        )
        self.queue, self.subscription = queues.queue, queues.subscription
        self.dead_letters, self.undelivered = queues.dead_letters, queues.undelivered
        self.on_failure = FailureDestination(
            f"{name}-failures", kind=delivery.on_failure, parks_only=True, alarm_actions=alarm_actions, opts=child
        )
        answered_by = PythonFunction(
            name,
            entry_point=consumer.entry_point,
            access=access,
            statements=[
                # The runtime hides a failed message for as long as its pause lasts, and deletes one that is done before
                # it starts one that may end the process (handlers/cdc/queues.py).
                allow([*READING["sqs"], "sqs:ChangeMessageVisibility", "sqs:GetQueueUrl"], self.queue.arn),
                *decrypt(kms_key_arn),
                *self.on_failure.statements,
            ],
            environment={
                ATTEMPTS_VARIABLE: str(delivery.attempts),
                **self.on_failure.environment,
                **(environment or {}),
            },
            settings=function,
            opts=child,
        )
        self.function, self.role = answered_by.function, answered_by.role
        self.policy, self.log_group = answered_by.policy, answered_by.log_group
        self.event_source_mapping = aws.lambda_.EventSourceMapping(
            name,
            function_name=self.function.arn,
            event_source_arn=self.queue.arn,
            **_mapping_settings(delivery, filters),
            opts=pulumi.ResourceOptions(
                parent=self,
                # Reading starts at once: with the permission to, into the right code, with a place for failures.
                depends_on=[self.function, self.policy, *self.on_failure.resources],
                # AWS takes one mapping per function and queue, so the old one must go before a new one can come.
                delete_before_replace=True,
            ),
        )
        self.alarms = QueueAlarms(
            name,
            dimensions={
                "FunctionName": self.function.name,
                "EventSourceMappingUUID": self.event_source_mapping.uuid,
                "QueueName": self.queue.name,
                "DeadLetterQueueName": self.dead_letters.name,
                "UndeliveredQueueName": self.undelivered.name,
            },
            actions=alarm_actions,
            page_actions=page_actions,
            opinions=alarms,
            failure_destination=self.on_failure.arn,
            opts=child,
        )
        self.register_outputs({"functionName": self.function.name, "queueArn": self.queue.arn})

    def watched(self) -> Sequence[Watched]:
        """Return what a dashboard shows of the consumer."""
        discarded = Line(namespace="Weir", metric="Discarded", dimensions={"FunctionName": self.function.name})
        return [
            Watched(
                name=self.pulumi_resource_name,
                lag=queue_age(self.queue),
                **function_lines(self.function, self.event_source_mapping),
                dead_letters=[discarded, *waiting(self.dead_letters, self.undelivered)],
                alarms=[*self.alarms.alarms.values(), *self.on_failure.alarms.values()],
            )
        ]


def _check(name: str, delivery: QueueDelivery, consumer: Consumer, timeout: int) -> None:
    if isinstance(consumer, WindowedConsumer):
        raise InvalidDelivery(
            f"{name}: {consumer.module} keeps a state over a tumbling window, and a queue has none: every batch would "
            "fail until its changes are parked; subscribe it to a Stream, or make the function with @consumer"
        )
    hidden = delivery.visibility_timeout(timeout)
    if hidden < timeout:
        raise InvalidDelivery(
            f"{name}: visibility_timeout_in_seconds={hidden} is below the function's timeout of {timeout} s: a message "
            "would come back while it is in work, and AWS refuses the mapping; leave it out for six times the timeout"
        )
    lease, horizon = timeout + LEASE_MARGIN_SECONDS, delivery.retry_horizon().shortest
    if horizon <= lease:
        raise InvalidDelivery(
            f"{name}: retries end after {horizon:g} s, and an effect of a crashed worker stays claimed for {lease:g} s "
            f"(timeout + 1 s): its change could be parked while nobody may run it; raise attempts above "
            f"{delivery.attempts}, or lower the timeout of {timeout} s"
        )


def _mapping_settings(delivery: QueueDelivery, filters: Sequence[str]) -> dict[str, Any]:
    settings: dict[str, Any] = {"batch_size": delivery.batch_size}
    if delivery.maximum_concurrency is not None:
        settings["scaling_config"] = {"maximum_concurrency": delivery.maximum_concurrency}
    if delivery.report_batch_item_failures:
        settings["function_response_types"] = ["ReportBatchItemFailures"]
    if filters:
        settings["filter_criteria"] = {"filters": [{"pattern": pattern} for pattern in filters]}
    if delivery.event_count_metrics:
        settings["metrics_config"] = {"metrics": ["EventCount"]}
    return settings
