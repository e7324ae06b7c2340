"""`FanOut`: one reader of a stream, and a queue for each of up to a hundred consumers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

import pulumi
import pulumi_aws as aws

from aws_semantics.limits import FIFO_TOPIC_SUBSCRIPTIONS, MESSAGE_BYTES, TOPIC_ARCHIVE_DAYS
from components.access import Access, allow
from components.alarms import QUEUE_ALARMS, TOPIC_ALARMS, AlarmOpinion, make_alarms
from components.delivery import StreamDelivery
from components.failure_destination import KEEP_FAILED_BATCHES_DAYS
from components.function_enrichment import FunctionEnrichment
from components.function_settings import FunctionSettings
from components.pipe_targets import Enrichment, PipeTarget
from components.private_bucket import private_bucket
from components.python_layer import PythonLayer
from components.queue_consumer import QueueConsumer
from components.queue_delivery import QueueDelivery
from components.queue_pipe import QUEUE_PIPE_ALARMS, QueuePipe, QueuePipeDelivery
from components.refusal import Refused
from components.repeats import harmless_repeats
from components.stream_consumer import StreamConsumer
from components.stream_source import StreamSource
from components.subscription import subscription_name
from components.watched import Watched
from handlers.cdc import Condition, Consumer, claim_check, forwarder

#: Bounded by age alone: a throttled topic passes, and a change that is given up here is missing from every consumer
#: (docs/aws-semantics.md §10.1). The other settings are those of any consumer of a stream.
FORWARDING = StreamDelivery(maximum_retry_attempts=-1)

#: The forwarder waits for calls most of its time, and a batch of a hundred changes takes one item a hundred of them.
_FORWARDER_TIMEOUT_SECONDS = 60

#: Days that a change waits in its queue at most.
_QUEUE_DAYS = 15


class FanOut(pulumi.ComponentResource):
    """The changes of one table, each delivered to every consumer: in order per item, at least once.

    A forwarder is one of the stream's two readers. It publishes each change to a FIFO topic, which copies it into a
    FIFO queue per consumer. A consumer that is down, slow or wrong delays nobody else. Guide: docs/guides/fan-out.md;
    the reasons: docs/decisions/0040-fan-out-by-sns-fifo.md.

    Args:
        source: The stream: `users.stream` of a `ChangeTable`, or a `StreamSource` for a table that exists.
        delivery: Settings of queues and mappings that consumers get unless they bring their own.
        forwarding: Settings of the forwarder's mapping.
        function: How consumers' functions run, unless `subscribe` says otherwise.
        archive_days: Days that the topic keeps every change for new consumers, 1 to 365; 0 for none. AWS refuses to
            delete a topic with an archive: set it to 0 and run `pulumi up` before `pulumi destroy`.
        kms_key_arn: A customer managed key for topic and queues. Its key policy must let `sns.amazonaws.com` use
            `kms:GenerateDataKey` and `kms:Decrypt`.
        alarm_actions: ARNs that alarms notify, usually of SNS topics.
        page_actions: ARNs that the urgent ones notify; `alarm_actions` when not given.
        drain: ARNs of former streams that the forwarder reads to their end as well (docs/guides/deploy.md).
        allow_stream_change: Let this deployment change where a forwarder that exists reads.

    Attributes:
        forwarder: The `StreamConsumer` that publishes the changes.
        topic: The `aws.sns.Topic`.
        claim_checks: The `aws.s3.Bucket` of changes that no message holds.
        kms_key_arn: The customer managed key of topic and queues; `None` without one.
        consumers: Each `QueueConsumer`, by name.
        pipes: Each `QueuePipe`, by name.
        repeats: How each consumer makes a second delivery harmless, by its name.

    Raises:
        TooManyReaders: The stream has as many readers as it serves.
        InvalidDelivery: `forwarding` gives changes up after a number of retries.
        Refused: `archive_days` is out of range.

    Example:
        fan_out = FanOut("fan-out", source=users.stream, alarm_actions=[alarms.arn])
        fan_out.subscribe(welcome_email.handler, access=[ledger.access(), mail.send_access()])
    """

    def __init__(
        self,
        name: str,
        *,
        source: StreamSource,
        delivery: QueueDelivery | None = None,
        forwarding: StreamDelivery = FORWARDING,
        function: FunctionSettings | None = None,
        archive_days: int = 0,
        kms_key_arn: pulumi.Input[str] | None = None,
        alarm_actions: Sequence[pulumi.Input[str]] = (),
        page_actions: Sequence[pulumi.Input[str]] | None = None,
        drain: Sequence[str] = (),
        allow_stream_change: bool = False,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        if archive_days != 0 and archive_days not in TOPIC_ARCHIVE_DAYS:
            raise Refused(f"{name}: archive_days={archive_days} is not {TOPIC_ARCHIVE_DAYS}, or 0 for no archive")
        if forwarding.maximum_retry_attempts != -1:
            raise Refused(
                f"{name}: forwarding has maximum_retry_attempts={forwarding.maximum_retry_attempts}: a topic that "
                "throttles for a minute would cost every consumer its changes; leave it at -1, the record age bounds it"
            )
        super().__init__("weir:index:FanOut", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        self._name = name
        self.source = source
        self.delivery = delivery or QueueDelivery()
        self.function = function or FunctionSettings()
        self.consumers: dict[str, QueueConsumer] = {}
        self.pipes: dict[str, QueuePipe] = {}
        self.repeats: dict[str, str] = {}
        self._archive_days = archive_days
        self.kms_key_arn = kms_key_arn
        self._alarm_actions = alarm_actions
        self._page_actions = page_actions
        self.topic = aws.sns.Topic(
            name,
            fifo_topic=True,
            # Each item has a throughput of its own. AWS takes the scope back never, so it is there from the beginning.
            fifo_throughput_scope="MessageGroup",
            maximum_message_size=MESSAGE_BYTES,
            archive_policy=json.dumps({"MessageRetentionPeriod": str(archive_days)}) if archive_days else None,
            kms_master_key_id=kms_key_arn,
            opts=child,
        )
        self.claim_checks, claim_check_resources = private_bucket(
            f"{name}-claim-checks",
            # A replayed change may be as old as the archive, and then wait in its queue. What is parked is the message,
            # and so its claim check: the change must be there for as long as the dead letter is.
            days=archive_days + _QUEUE_DAYS + KEEP_FAILED_BATCHES_DAYS,
            rule="expire-claim-checks",
            opts=child,
        )
        self.forwarder = StreamConsumer(
            f"{name}-forwarder",
            source=source,
            consumer=forwarder.handler,
            delivery=forwarding,
            access=[self._publish_access()],
            function=replace(self.function, timeout=_FORWARDER_TIMEOUT_SECONDS, requirements=None),
            alarm_actions=alarm_actions,
            page_actions=page_actions,
            drain=drain,
            allow_stream_change=allow_stream_change,
            # A change that is published before a consumer's queue is subscribed never reaches it. The program has
            # subscribed them all when this runs.
            read_after=pulumi.Output.from_input(0).apply(lambda _: [*claim_check_resources, *self._subscriptions()]),
            opts=child,
        )
        self.alarms = make_alarms(
            name,
            TOPIC_ALARMS,
            {"TopicName": self.topic.name},
            actions=alarm_actions,
            page_actions=page_actions,
            opts=child,
        )
        self.register_outputs({"topicArn": self.topic.arn})

    def subscribe(
        self,
        consumer: Consumer,
        *,
        name: str | None = None,
        access: Sequence[Access] = (),
        delivery: QueueDelivery | None = None,
        environment: Mapping[str, pulumi.Input[str]] | None = None,
        timeout: int | None = None,
        memory_size: int | None = None,
        requirements: PythonLayer | str | None = None,
        function: FunctionSettings | None = None,
        alarms: Sequence[AlarmOpinion] = QUEUE_ALARMS,
        repeats: str | None = None,
        replay_from: str | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> QueueConsumer:
        """Add a consumer.

        Args:
            consumer: The handler module's `@consumer`, e.g. `welcome_email.handler`.
            name: Its name; the consumer's own by default.
            access: Permissions beyond reading its queue.
            delivery: Settings of its queue and mapping, instead of the fan-out's.
            environment: Variables beyond those of `access`.
            timeout: Seconds an invocation may run, instead of the fan-out's.
            memory_size: MB, instead of the fan-out's.
            requirements: Its third-party packages: the path of a hashed lock, or a `PythonLayer` to share.
            function: How its function runs, instead of the fan-out's; `timeout`, `memory_size` and `requirements`
                apply on top.
            alarms: The alarms, `QUEUE_ALARMS` by default.
            repeats: The reason why a second delivery of a change is harmless, in words, needed only where the module
                uses neither an effect ledger, counters nor a projection.
            replay_from: Time from which it gets the changes of the topic's archive, e.g. `2026-01-31T08:30:00Z`;
                without it, it gets those from now on.
            opts: Options of the consumer and its resources.

        Raises:
            Refused: `consumer` is not decorated with `@consumer`, its name is taken, nothing makes repeats harmless,
                the topic has a hundred consumers, or it has no archive to replay; and what `QueueConsumer` refuses.
        """
        name = subscription_name(consumer, name, taken={**self.consumers, **self.pipes}, of=self._name)
        self._check_room(name)
        harmless = harmless_repeats(name, consumer, repeats)
        self._check_replay(name, replay_from)
        subscribed = QueueConsumer(
            name,
            topic=self.topic,
            source=self.source,
            consumer=consumer,
            delivery=delivery or self.delivery,
            access=[*access, self._claim_check_access()],
            environment=environment,
            function=(function or self.function).with_own(
                timeout=timeout, memory_size=memory_size, requirements=requirements
            ),
            kms_key_arn=self.kms_key_arn,
            replay_from=replay_from,
            alarms=alarms,
            alarm_actions=self._alarm_actions,
            page_actions=self._page_actions,
            opts=pulumi.ResourceOptions.merge(pulumi.ResourceOptions(parent=self), opts),
        )
        self.consumers[name] = subscribed
        self.repeats[name] = harmless
        return subscribed

    def pipe(
        self,
        name: str,
        *,
        target: PipeTarget,
        repeats: str,
        when: Condition | None = None,
        input_template: str | None = None,
        enrichment: Enrichment | FunctionEnrichment | None = None,
        delivery: QueuePipeDelivery | None = None,
        replay_from: str | None = None,
        alarms: Sequence[AlarmOpinion] = QUEUE_PIPE_ALARMS,
        opts: pulumi.ResourceOptions | None = None,
    ) -> QueuePipe:
        """Add a pipe to a service, which reads a queue of its own.

        Args:
            name: Its name.
            target: The queue, topic, bus, function, workflow or API destination that the changes go to.
            repeats: The reason why a second delivery of a change is harmless at the target, in words.
            when: The condition of wanted changes, which AWS must be able to evaluate.
            input_template: Makes the target's input of each event; the change is below `$.body`.
            enrichment: A function, Express workflow or API destination that events go through before.
            delivery: Settings of its queue.
            replay_from: As for `subscribe`.
            alarms: The alarms, `QUEUE_PIPE_ALARMS` by default.
            opts: Options of the pipe and its resources.

        Raises:
            Refused: The name is taken, `repeats` says nothing, or the topic has a hundred consumers; and what
                `QueuePipe` refuses.
        """
        if name in self.consumers or name in self.pipes:
            raise Refused(f"{name} reads {self._name} already: give this pipe a name of its own")
        if not repeats.strip():
            raise Refused(
                f"{name}: a fan-out delivers every change at least once, and repeats is empty: say in words what makes "
                "a second delivery harmless at the target"
            )
        self._check_room(name)
        self._check_replay(name, replay_from)
        made = QueuePipe(
            name,
            topic=self.topic,
            source=self.source,
            target=target,
            when=when,
            input_template=input_template,
            enrichment=enrichment,
            delivery=delivery,
            kms_key_arn=self.kms_key_arn,
            replay_from=replay_from,
            alarms=alarms,
            alarm_actions=self._alarm_actions,
            page_actions=self._page_actions,
            opts=pulumi.ResourceOptions.merge(pulumi.ResourceOptions(parent=self), opts),
        )
        self.pipes[name] = made
        self.repeats[name] = repeats
        return made

    def exported_archive(self) -> Mapping[str, pulumi.Input[str]] | None:
        """Return what the stack's output `consumers` has to say of the archive, so that `weir reread` reads it."""
        return {"topic": self.topic.arn, "claimChecks": self.claim_checks.arn} if self._archive_days else None

    def watched(self) -> Sequence[Watched]:
        """Return what a dashboard shows of the forwarder, the topic, and each consumer and pipe."""
        parts = [self.forwarder, *self.consumers.values(), *self.pipes.values()]
        topic = Watched(name=self._name, alarms=[*self.alarms.values()])
        return [topic, *(each for part in parts for each in part.watched())]

    def _check_room(self, name: str) -> None:
        taken = len(self.consumers) + len(self.pipes)
        if taken >= FIFO_TOPIC_SUBSCRIPTIONS:
            raise Refused(
                f"{name} would be consumer number {taken + 1} of {self._name}, and a FIFO topic has "
                f"{FIFO_TOPIC_SUBSCRIPTIONS} subscriptions: let one consumer do the work of several "
                "(Consumer().on(…)), or see docs/guides/fan-out.md for the way beyond"
            )

    def _check_replay(self, name: str, replay_from: str | None) -> None:
        if replay_from is None:
            return
        if not self._archive_days:
            raise Refused(
                f"{name}: replay_from={replay_from!r}, and {self._name} keeps no archive: set archive_days first; it "
                "keeps what is published from then on"
            )
        try:
            at = datetime.fromisoformat(replay_from)
        except ValueError:
            at = None
        if at is None or at.tzinfo is None:
            raise Refused(
                f"{name}: replay_from={replay_from!r} is not a time with its zone: write 2026-01-31T08:30:00Z"
            )

    def _subscriptions(self) -> list[pulumi.Resource]:
        return [each.subscription for each in (*self.consumers.values(), *self.pipes.values())]

    def _publish_access(self) -> Access:
        statements = [
            allow(["sns:Publish"], self.topic.arn),
            allow(["s3:PutObject"], pulumi.Output.concat(self.claim_checks.arn, "/*")),
        ]
        if self.kms_key_arn is not None:
            statements.append(allow(["kms:GenerateDataKey", "kms:Decrypt"], self.kms_key_arn))
        return Access(
            statements,
            {forwarder.TOPIC_VARIABLE: self.topic.arn, claim_check.BUCKET_VARIABLE: self.claim_checks.bucket},
        )

    def _claim_check_access(self) -> Access:
        return Access([allow(["s3:GetObject"], pulumi.Output.concat(self.claim_checks.arn, "/*"))])
