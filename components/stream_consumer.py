"""`StreamConsumer`: one consumer of a stream, with retries, dead letters and alarms of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pulumi
import pulumi_aws as aws

from aws_semantics.permissions import READING
from components.access import Access, Statement, allow
from components.alarms import STREAM_ALARMS, AlarmOpinion, StreamAlarms, check_alarms
from components.delivery import InvalidDelivery, StreamDelivery, check_retention
from components.failure_destination import FailureDestination
from components.function_settings import FunctionSettings
from components.import_contract import check_import
from components.kinesis_delivery import KinesisDelivery
from components.names import FUNCTION, check_name
from components.needs import check_needs
from components.push_down import filters_of
from components.python_function import PythonFunction
from components.stream_change import kept, other_place, place_of
from components.stream_source import StreamSource, check_stream
from components.watched import Watched, stream_lines
from handlers.cdc import Consumer
from handlers.cdc.effect_ledger import LEASE_MARGIN_SECONDS
from handlers.cdc.windows import WindowedConsumer


class StreamConsumer(pulumi.ComponentResource):
    """A Lambda function that reads a stream through an event source mapping. Made by `Stream.subscribe`.

    Args:
        source: The stream.
        consumer: The handler module's `@consumer`, or `@windowed` for a delivery with a tumbling window. Its condition
            becomes the mapping's filter, as far as AWS can evaluate it (docs/guides/conditions.md).
        delivery: Settings of the mapping.
        access: Permissions beyond reading the stream and reporting failures.
        environment: Variables beyond those of `access`.
        function: How the function runs. A crashed worker's effects stay claimed for the timeout plus a second, so the
            retries must last longer.
        alarms: The alarms, `STREAM_ALARMS` by default.
        alarm_actions: ARNs, usually of SNS topics.
        page_actions: ARNs for the urgent alarms; `alarm_actions` when not given.
        read_after: Further resources that must exist before the mapping reads.
        drain: ARNs of former streams that it reads to their end as well (docs/guides/deploy.md). Effects run once,
            by the effect ledger, although these streams are read from their beginning.
        allow_stream_change: Let this deployment change the starting position, or the stream, of a consumer that
            exists. Without it that is refused, in a preview too.

    Attributes:
        function: The `aws.lambda_.Function`; `role`, `log_group` and `policy` belong to it.
        event_source_mapping: The `aws.lambda_.EventSourceMapping`.
        draining: The mappings of former streams.
        on_failure: The `FailureDestination`, or `None`.
        alarms: The `StreamAlarms`.

    Raises:
        TooManyReaders: The stream has as many readers as it serves.
        Refused: A value of the function is out of range, or a filter or the consumer's condition can never match.
        InvalidDelivery: The retries end before the lease of a crashed worker does, or one of consumer and delivery
            has a tumbling window and the other has none.
        AlarmCannotFire: An alarm would stay silent whatever happens.
        ImportContractBroken: The handler module does more than define itself when it is imported.

    Example:
        subscribed = changes.subscribe(
            welcome_email.handler,
            access=[mail.send_access(), ledger.access()],
            delivery=StreamDelivery(parallelization_factor=4, on_failure="sqs"),
        )
        pulumi.export("welcomeEmail", subscribed.function.name)
    """

    def __init__(
        self,
        name: str,
        *,
        source: StreamSource,
        consumer: Consumer,
        delivery: StreamDelivery | None = None,
        access: Sequence[Access] = (),
        environment: Mapping[str, pulumi.Input[str]] | None = None,
        function: FunctionSettings | None = None,
        alarms: Sequence[AlarmOpinion] = STREAM_ALARMS,
        alarm_actions: Sequence[pulumi.Input[str]] = (),
        page_actions: Sequence[pulumi.Input[str]] | None = None,
        read_after: pulumi.Input[Sequence[pulumi.Resource]] = (),
        drain: Sequence[str] = (),
        allow_stream_change: bool = False,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        check_stream(name, source)
        delivery = delivery or StreamDelivery()
        function = function or FunctionSettings()
        function.check(name)
        check_name(name, FUNCTION)
        _check_kind(name, delivery, source)
        _check_window(name, delivery, consumer)
        check_retention(name, delivery.maximum_record_age_in_seconds, source.retention_in_seconds)
        _check_lease(name, delivery, source, function.timeout)
        check_alarms(name, delivery, alarms, retention_in_seconds=source.retention_in_seconds)
        filters = filters_of(name, consumer, source, delivery)
        check_import(consumer.module)
        check_needs(name, consumer.module, access, environment or {})
        source.add_reader(name)
        place = place_of(source, delivery.position)
        super().__init__(
            "weir:index:StreamConsumer",
            name,
            place,
            kept(name, place, other_place, allowed=allow_stream_change, opts=opts),
        )
        child = pulumi.ResourceOptions(parent=self)

        self.delivery = delivery
        self.on_failure: FailureDestination | None = None
        if delivery.on_failure is not None:
            self.on_failure = FailureDestination(
                f"{name}-failures", kind=delivery.on_failure, alarm_actions=alarm_actions, opts=child
            )
        answered_by = PythonFunction(
            name,
            entry_point=consumer.entry_point,
            access=access,
            statements=[
                *source.read_statements(),
                *_reading(drain),
                *(self.on_failure.statements if self.on_failure else []),
            ],
            environment={**(self.on_failure.environment if self.on_failure else {}), **(environment or {})},
            settings=function,
            opts=child,
        )
        self.function, self.role = answered_by.function, answered_by.role
        self.policy, self.log_group = answered_by.policy, answered_by.log_group
        self.event_source_mapping = aws.lambda_.EventSourceMapping(
            name,
            function_name=self.function.arn,
            event_source_arn=source.mapped,
            **_mapping_settings(delivery, filters, self.on_failure),
            opts=pulumi.ResourceOptions(
                parent=self,
                # Reading starts at once: with the permission to, into the right code, with a place for failures.
                depends_on=pulumi.Output.from_input(read_after).apply(
                    lambda more: [
                        self.function,
                        self.policy,
                        *(self.on_failure.resources if self.on_failure else []),
                        *more,
                    ]
                ),
                # AWS takes one mapping per function and stream, so the old one must go before a new one can come.
                delete_before_replace=True,
            ),
        )
        self.draining = [
            aws.lambda_.EventSourceMapping(
                f"{name}-drain" if index == 0 else f"{name}-drain-{index + 1}",
                function_name=self.function.arn,
                event_source_arn=arn,
                **_mapping_settings(replace(delivery, starting_position="TRIM_HORIZON"), filters, self.on_failure),
                # AWS takes one mapping per function and stream: the consumer's own must have let go of this one.
                opts=pulumi.ResourceOptions(parent=self, depends_on=[self.event_source_mapping]),
            )
            for index, arn in enumerate(drain)
        ]
        self.alarms = StreamAlarms(
            name,
            function_name=self.function.name,
            mapping_uuid=self.event_source_mapping.uuid,
            delivery=delivery,
            retention_in_seconds=source.retention_in_seconds,
            actions=alarm_actions,
            page_actions=page_actions,
            opinions=alarms,
            failure_destination=self.on_failure.arn if self.on_failure else None,
            opts=child,
        )
        self.register_outputs(
            {"functionName": self.function.name, "eventSourceMappingUuid": self.event_source_mapping.uuid}
        )

    def watched(self) -> Sequence[Watched]:
        """Return what a dashboard shows of the consumer."""
        kept = self.on_failure.alarms.values() if self.on_failure else ()
        return [
            Watched(
                name=self.pulumi_resource_name,
                **stream_lines(self.function, self.event_source_mapping),
                alarms=[*self.alarms.alarms.values(), *kept],
            )
        ]


def _reading(streams: Sequence[str]) -> list[Statement]:
    return [allow(READING["dynamodb"], each) for each in streams]


def _check_kind(name: str, delivery: StreamDelivery, source: StreamSource) -> None:
    if isinstance(delivery, KinesisDelivery) != (source.dialect == "kinesis"):
        wanted = "KinesisDelivery" if source.dialect == "kinesis" else "StreamDelivery"
        raise InvalidDelivery(
            f"{name}: delivery is a {type(delivery).__name__}, and {source.table} is read through "
            f"{'Kinesis' if source.dialect == 'kinesis' else 'its own stream'}: pass a {wanted}"
        )


def _check_window(name: str, delivery: StreamDelivery, consumer: Consumer) -> None:
    seconds, windowed = delivery.tumbling_window_in_seconds, isinstance(consumer, WindowedConsumer)
    if seconds and not windowed:
        raise InvalidDelivery(
            f"{name}: tumbling_window_in_seconds={seconds}, and {consumer.module} keeps no state over a window: every "
            "batch would fail until its changes are given up; make the function with @windowed "
            "(docs/guides/windows.md), or leave the window out"
        )
    if windowed and not seconds:
        raise InvalidDelivery(
            f"{name}: {consumer.module} keeps a state over a tumbling window, and tumbling_window_in_seconds is 0: "
            "every batch would fail until its changes are given up; choose 1 to 900 seconds, or make the function "
            "with @consumer"
        )


def _check_lease(name: str, delivery: StreamDelivery, source: StreamSource, timeout: int) -> None:
    lease, horizon = timeout + LEASE_MARGIN_SECONDS, delivery.retry_horizon(source.retention_in_seconds).shortest
    if horizon <= lease:
        raise InvalidDelivery(
            f"{name}: retries may end after {horizon:g} s, and an effect of a crashed worker stays claimed for "
            f"{lease:g} s (timeout + 1 s): its record could be given up while nobody may run it; raise "
            f"maximum_retry_attempts above {delivery.maximum_retry_attempts}, or lower the timeout of {timeout} s"
        )


def _mapping_settings(
    delivery: StreamDelivery, filters: Sequence[str], on_failure: FailureDestination | None
) -> dict[str, Any]:
    """Return the mapping's arguments; AWS's default is left out only where there is no other way to ask for it."""
    settings: dict[str, Any] = {
        "starting_position": delivery.starting_position,
        "batch_size": delivery.batch_size,
        "maximum_batching_window_in_seconds": delivery.maximum_batching_window_in_seconds,
        "parallelization_factor": delivery.parallelization_factor,
        "bisect_batch_on_function_error": delivery.bisect_batch_on_function_error,
        "maximum_retry_attempts": delivery.maximum_retry_attempts,
        "maximum_record_age_in_seconds": delivery.maximum_record_age_in_seconds,
    }
    if isinstance(delivery, KinesisDelivery) and delivery.starting_position_timestamp is not None:
        settings["starting_position_timestamp"] = delivery.starting_position_timestamp
    if delivery.tumbling_window_in_seconds:
        settings["tumbling_window_in_seconds"] = delivery.tumbling_window_in_seconds
    if delivery.report_batch_item_failures:
        settings["function_response_types"] = ["ReportBatchItemFailures"]
    if filters:
        settings["filter_criteria"] = {"filters": [{"pattern": pattern} for pattern in filters]}
    if delivery.event_count_metrics:
        settings["metrics_config"] = {"metrics": ["EventCount"]}
    if on_failure is not None:
        settings["destination_config"] = {"on_failure": {"destination_arn": on_failure.arn}}
    return settings
