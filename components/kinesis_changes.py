"""`KinesisChanges`: a table's changes in a Kinesis stream, kept for up to a year and read again from any time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import pulumi
import pulumi_aws as aws

from aws_semantics.limits import (
    DELEGATED_OPERATION,
    KINESIS_RECORD_KIB,
    KINESIS_RECORD_KIB_FOR_LAMBDA,
    KINESIS_RETENTION_HOURS,
    KINESIS_SHARDS,
)
from components.access import Access
from components.alarms import KINESIS_ALARMS, REPLICATION_ALARMS, AlarmOpinion, make_alarms
from components.change_table import ChangeTable
from components.function_settings import FunctionSettings
from components.kinesis_delivery import KinesisDelivery
from components.kinesis_source import KinesisSource
from components.python_layer import PythonLayer
from components.refusal import Refused
from components.repeats import check_keys_through_kinesis, harmless_repeats
from components.stream_consumer import StreamConsumer
from components.subscription import subscription_name
from components.watched import Line, Watched
from handlers.cdc import Consumer

#: The key of Kinesis itself, which the table's replication and every reader may use.
_AWS_KEY = "alias/aws/kinesis"


class KinesisChanges(pulumi.ComponentResource):
    """The changes of one table in a Kinesis stream of its own: kept for up to a year, for many readers.

    It takes none of the two readers of the table's stream. Changes may come twice, with different event ids, and out
    of order (docs/aws-semantics.md §4). Guide: docs/guides/kinesis.md; the reasons:
    docs/decisions/0042-kinesis-for-history.md.

    Args:
        table: The `ChangeTable`, or the name of a table that exists in the program's account and region. A table has
            one Kinesis stream at a time.
        retention_hours: Hours that the stream keeps a change, 24 to 8,760 (a year). A week by default: longer than a
            long weekend, and the longest of Kinesis's middle price.
        shards: The number of shards, for a stream that is paid by the hour; `None` for one on demand, which begins
            with four shards and grows with the writes.
        record_size_kib: KiB of the largest change, 1,024 to 4,096. A larger one is skipped and counted, and Lambda
            takes none above 4 MiB.
        precision: The precision of a change's time.
        on_demand_advantage: Whether the account has Kinesis's setting On-demand Advantage, which allows 50 consumers
            with enhanced fan-out instead of 20.
        delivery: Settings of mappings that consumers get unless they bring their own.
        function: How consumers' functions run, unless `subscribe` says otherwise.
        kms_key_arn: A customer managed key for the stream, instead of Kinesis's own. Its key policy must let
            DynamoDB's replication use `kms:GenerateDataKey`.
        alarms: The alarms of the replication, `REPLICATION_ALARMS` by default.
        alarm_actions: ARNs that alarms notify, usually of SNS topics.
        page_actions: ARNs that the urgent ones notify; `alarm_actions` when not given.

    Attributes:
        stream: The `aws.kinesis.Stream`.
        destination: The `aws.dynamodb.KinesisStreamingDestination`.
        source: The `KinesisSource`, for a `StreamPipe`.
        consumers: Each `StreamConsumer`, by name.
        registrations: The `aws.kinesis.StreamConsumer` of each consumer with enhanced fan-out, by name.
        repeats: How each consumer makes a second delivery harmless, by its name.
        alarms: The `aws.cloudwatch.MetricAlarm` of each opinion, by its name.

    Raises:
        Refused: The table has a Kinesis stream already, or a setting is out of AWS's range or above what a function
            can receive.

    Example:
        history = KinesisChanges("history", table=users, retention_hours=720, alarm_actions=[alarms.arn])
        history.subscribe(welcome_email.handler, access=[ledger.access(), mail.send_access()])
    """

    def __init__(
        self,
        name: str,
        *,
        table: ChangeTable | str,
        retention_hours: int = 168,
        shards: int | None = None,
        record_size_kib: int = KINESIS_RECORD_KIB_FOR_LAMBDA,
        precision: Literal["MILLISECOND", "MICROSECOND"] = "MICROSECOND",
        on_demand_advantage: bool = False,
        delivery: KinesisDelivery | None = None,
        function: FunctionSettings | None = None,
        kms_key_arn: pulumi.Input[str] | None = None,
        alarms: Sequence[AlarmOpinion] = REPLICATION_ALARMS,
        alarm_actions: Sequence[pulumi.Input[str]] = (),
        page_actions: Sequence[pulumi.Input[str]] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        _check(name, retention_hours, shards, record_size_kib)
        _claim(name, table)
        super().__init__("weir:index:KinesisChanges", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        self._name = name
        self.delivery = delivery or KinesisDelivery()
        self.function = function or FunctionSettings()
        self.consumers: dict[str, StreamConsumer] = {}
        self.registrations: dict[str, aws.kinesis.StreamConsumer] = {}
        self.repeats: dict[str, str] = {}
        self._alarm_actions = alarm_actions
        self._page_actions = page_actions
        self.stream = aws.kinesis.Stream(
            name,
            stream_mode_details={"stream_mode": "ON_DEMAND" if shards is None else "PROVISIONED"},
            shard_count=shards,
            retention_period=retention_hours,
            max_record_size_in_kib=record_size_kib,
            encryption_type="KMS",
            kms_key_id=_AWS_KEY if kms_key_arn is None else kms_key_arn,
            opts=child,
        )
        table_name, described, keys, table_stream = _table(table)
        self.destination = aws.dynamodb.KinesisStreamingDestination(
            name,
            table_name=table_name,
            stream_arn=self.stream.arn,
            approximate_creation_date_time_precision=precision,
            opts=child,
        )
        self.source = KinesisSource(
            arn=self.stream.arn,
            table=described,
            kms_key_arn=kms_key_arn,
            view_type="NEW_AND_OLD_IMAGES",
            keys=keys,
            retention_in_seconds=retention_hours * 3600,
            on_demand_advantage=on_demand_advantage,
            table_stream=table_stream,
        )
        self.alarms = make_alarms(
            name,
            alarms,
            {"TableName": table_name, "DelegatedOperation": DELEGATED_OPERATION},
            actions=alarm_actions,
            page_actions=page_actions,
            opts=child,
        )
        self.register_outputs({"streamArn": self.stream.arn})

    def subscribe(
        self,
        consumer: Consumer,
        *,
        name: str | None = None,
        access: Sequence[Access] = (),
        delivery: KinesisDelivery | None = None,
        environment: Mapping[str, pulumi.Input[str]] | None = None,
        timeout: int | None = None,
        memory_size: int | None = None,
        requirements: PythonLayer | str | None = None,
        function: FunctionSettings | None = None,
        alarms: Sequence[AlarmOpinion] = KINESIS_ALARMS,
        enhanced_fan_out: bool = False,
        replay_from: str | None = None,
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
            alarms: The alarms, `KINESIS_ALARMS` by default.
            enhanced_fan_out: Register it with 2 MB per second and shard of its own, at a price per hour, instead of
                sharing five reads per second and shard with the others.
            replay_from: Time from which it gets the changes that the stream still keeps, e.g. `2026-01-31T08:30:00Z`;
                it then goes on with the live ones. Without it, it gets all that the stream keeps.
            allow_stream_change: Let this deployment change where a consumer that exists reads.
            repeats: The reason why a second delivery of a change is harmless, in words, needed where the module uses
                neither an effect ledger, counters nor a projection, or where it reads event ids.
            opts: Options of the consumer and its resources.

        Raises:
            Refused: `consumer` is not decorated with `@consumer`, its name is taken, nothing makes repeats harmless,
                or its keys rest on event ids; and what `StreamConsumer` refuses.
            TooManyReaders: The stream has as many consumers as it serves.
        """
        name = subscription_name(consumer, name, taken=self.consumers, of=self._name)
        harmless = harmless_repeats(name, consumer, repeats, route="Kinesis")
        check_keys_through_kinesis(name, consumer, repeats)
        delivery = delivery or self.delivery
        if replay_from is not None:
            delivery = replace(delivery, starting_position="AT_TIMESTAMP", starting_position_timestamp=replay_from)
        own = pulumi.ResourceOptions.merge(pulumi.ResourceOptions(parent=self), opts)
        source = self.source
        if enhanced_fan_out:
            source.check_enhanced(name)
            registered = aws.kinesis.StreamConsumer(name, stream_arn=self.stream.arn, opts=own)
            self.registrations[name] = registered
            source = source.with_enhanced_fan_out(registered.arn)
        subscribed = StreamConsumer(
            name,
            source=source,
            consumer=consumer,
            delivery=delivery,
            access=access,
            environment=environment,
            function=(function or self.function).with_own(
                timeout=timeout, memory_size=memory_size, requirements=requirements
            ),
            alarms=alarms,
            alarm_actions=self._alarm_actions,
            page_actions=self._page_actions,
            allow_stream_change=allow_stream_change,
            opts=own,
        )
        self.consumers[name] = subscribed
        self.repeats[name] = harmless
        return subscribed

    def watched(self) -> Sequence[Watched]:
        """Return what a dashboard shows of the replication and each consumer."""
        replicated = {"TableName": self.destination.table_name, "DelegatedOperation": DELEGATED_OPERATION}
        throttled, failed = (
            Line(namespace="AWS/DynamoDB", metric=metric, dimensions=replicated)
            for metric in ("ThrottledPutRecordCount", "FailedToReplicateRecordCount")
        )
        age = Line(
            namespace="AWS/DynamoDB",
            metric="AgeOfOldestUnreplicatedRecord",
            dimensions=replicated,
            statistic="Maximum",
            scale=1_000,
        )
        replication = Watched(
            name=self._name, lag=[age], failures=[throttled], dead_letters=[failed], alarms=[*self.alarms.values()]
        )
        return [replication, *(each for consumer in self.consumers.values() for each in consumer.watched())]


def _check(name: str, retention_hours: int, shards: int | None, record_size_kib: int) -> None:
    if retention_hours not in KINESIS_RETENTION_HOURS:
        raise Refused(
            f"{name}: retention_hours={retention_hours} is not {KINESIS_RETENTION_HOURS}: Kinesis keeps a record for a "
            "day to a year"
        )
    if shards is not None and shards not in KINESIS_SHARDS:
        raise Refused(
            f"{name}: shards={shards} is not {KINESIS_SHARDS}: choose how many, or leave it out for a stream on demand"
        )
    if record_size_kib not in KINESIS_RECORD_KIB:
        raise Refused(f"{name}: record_size_kib={record_size_kib} is not {KINESIS_RECORD_KIB}: AWS refuses the stream")
    if record_size_kib > KINESIS_RECORD_KIB_FOR_LAMBDA:
        raise Refused(
            f"{name}: record_size_kib={record_size_kib} is above {KINESIS_RECORD_KIB_FOR_LAMBDA}: Lambda's payload of "
            "6 MB holds no larger record, so that it would be given up undelivered; leave it at 4096"
        )


def _claim(name: str, table: ChangeTable | str) -> None:
    """Note that a table's changes go to Kinesis: DynamoDB takes one stream per table (KDS-1)."""
    if not isinstance(table, ChangeTable):
        return
    if table.kinesis_changes is not None:
        raise Refused(
            f"{name}: the changes of {table.stream.table} go to {table.kinesis_changes} already, and a table has one "
            "Kinesis stream: subscribe the consumers there"
        )
    table.kinesis_changes = name


def _table(
    table: ChangeTable | str,
) -> tuple[pulumi.Input[str], str, Mapping[str, str] | None, pulumi.Input[str] | None]:
    """Return a table's name, its name for messages, its keys, and the ARN of its own stream."""
    if isinstance(table, ChangeTable):
        return table.table.name, table.stream.table, table.stream.keys, table.stream.arn
    found: Any = aws.dynamodb.get_table(name=table)
    keys = {found.hash_key, *([found.range_key] if found.range_key else [])}
    types = {each.name: each.type for each in found.attributes if each.name in keys}
    return table, table, types, found.stream_arn or None
