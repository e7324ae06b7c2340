"""`Stream`: a stream to read, and the one statement that adds a consumer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pulumi

from components.access import Access
from components.alarms import STREAM_ALARMS, AlarmOpinion
from components.delivery import StreamDelivery
from components.function_settings import FunctionSettings
from components.python_layer import PythonLayer
from components.repeats import found_harmless
from components.stream_consumer import StreamConsumer
from components.stream_source import StreamSource, check_stream
from components.subscription import subscription_name
from components.watched import Watched
from handlers.cdc import Consumer


class Stream(pulumi.ComponentResource):
    """The changes of one table, read by up to two consumers.

    Args:
        source: The stream: `users.stream` of a `ChangeTable`, or a `StreamSource` for a table that exists.
        delivery: Settings that consumers get unless they bring their own.
        function: How consumers' functions run, unless `subscribe` says otherwise.
        alarm_actions: ARNs that consumers' alarms notify, usually of SNS topics.
        page_actions: ARNs that their urgent alarms notify; `alarm_actions` when not given.

    Attributes:
        consumers: Each `StreamConsumer`, by name.
        repeats: How a consumer makes a second delivery harmless, by its name, where it is known.

    Example:
        changes = Stream("changes", source=users.stream, alarm_actions=[alarms.arn])
        changes.subscribe(welcome_email.handler, access=[ledger.access(), mail.send_access()])
    """

    def __init__(
        self,
        name: str,
        *,
        source: StreamSource,
        delivery: StreamDelivery | None = None,
        function: FunctionSettings | None = None,
        alarm_actions: Sequence[pulumi.Input[str]] = (),
        page_actions: Sequence[pulumi.Input[str]] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        check_stream(name, source)
        super().__init__("weir:index:Stream", name, {}, opts)
        self._name = name
        self.source = source
        self.delivery = delivery or StreamDelivery()
        self.consumers: dict[str, StreamConsumer] = {}
        self.repeats: dict[str, str] = {}
        self.function = function or FunctionSettings()
        self._alarm_actions = alarm_actions
        self._page_actions = page_actions
        self.register_outputs({"streamArn": source.arn})

    def subscribe(
        self,
        consumer: Consumer,
        *,
        name: str | None = None,
        access: Sequence[Access] = (),
        delivery: StreamDelivery | None = None,
        environment: Mapping[str, pulumi.Input[str]] | None = None,
        timeout: int | None = None,
        memory_size: int | None = None,
        requirements: PythonLayer | str | None = None,
        function: FunctionSettings | None = None,
        alarms: Sequence[AlarmOpinion] = STREAM_ALARMS,
        drain: Sequence[str] = (),
        allow_stream_change: bool = False,
        repeats: str | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> StreamConsumer:
        """Add a consumer.

        Args:
            consumer: The handler module's `@consumer`, e.g. `welcome_email.handler`.
            name: Its name; the consumer's own by default.
            access: Permissions beyond reading the stream.
            delivery: Settings of its mapping, instead of the stream's.
            environment: Variables beyond those of `access`.
            timeout: Seconds an invocation may run, instead of the stream's.
            memory_size: MB, instead of the stream's.
            requirements: Its third-party packages: the path of a hashed lock, or a `PythonLayer` to share.
            function: How its function runs, instead of the stream's; `timeout`, `memory_size` and `requirements`
                apply on top.
            alarms: The alarms, `STREAM_ALARMS` by default.
            drain: ARNs of former streams that it reads to their end as well (docs/guides/deploy.md).
            allow_stream_change: Let this deployment change where a consumer that exists reads.
            repeats: The reason why a second delivery is harmless, in words, where the module does not show it.
            opts: Options of the consumer and its resources.

        Raises:
            Refused: `consumer` is not decorated with `@consumer`, or its name is taken; and what `StreamConsumer`
                refuses.
        """
        name = subscription_name(consumer, name, taken=self.consumers, of=self._name)
        settings = (function or self.function).with_own(
            timeout=timeout, memory_size=memory_size, requirements=requirements
        )
        subscribed = StreamConsumer(
            name,
            source=self.source,
            consumer=consumer,
            delivery=delivery or self.delivery,
            access=access,
            environment=environment,
            function=settings,
            alarms=alarms,
            alarm_actions=self._alarm_actions,
            page_actions=self._page_actions,
            drain=drain,
            allow_stream_change=allow_stream_change,
            opts=pulumi.ResourceOptions.merge(pulumi.ResourceOptions(parent=self), opts),
        )
        self.consumers[name] = subscribed
        harmless = repeats or found_harmless(consumer)
        if harmless is not None:
            self.repeats[name] = harmless
        return subscribed

    def watched(self) -> Sequence[Watched]:
        """Return what a dashboard shows of each consumer."""
        return [each for consumer in self.consumers.values() for each in consumer.watched()]
