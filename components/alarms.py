"""Alarms of streams, queues, pipes and buckets: the opinions as data, and the construction of alarms from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import pulumi
import pulumi_aws as aws

from aws_semantics.limits import STREAM_RETENTION_SECONDS
from components.delivery import StreamDelivery
from components.refusal import Refused


@dataclass(frozen=True, kw_only=True)
class AlarmOpinion:
    """One alarm on one metric, as plain data.

    Attributes:
        name: Suffix of the alarm's name.
        namespace: Namespace of the metric, e.g. `AWS/SQS`.
        metric: Name of the metric (docs/aws-semantics.md §2.10).
        dimension: Name of the dimension that identifies the resource, e.g. `FunctionName`, `QueueName`; several where
            CloudWatch records the metric by several.
        statistic: How the values of a period become one.
        threshold: The alarm's value, in the metric's unit (IteratorAge: milliseconds).
        comparison: Whether the alarm fires at the threshold and above, or below it.
        period: Seconds.
        evaluation_periods: Number of periods in a row.
        missing_data: Meaning of a period without data. A quiet source records nothing, so it is no breach by default.
        urgent: Whether it notifies the page actions.
        description: Meaning and remedy, for the person who is woken up.
        command: The command to type first; `{consumer}` becomes the consumer's name, and the stack's name is added.
    """

    name: str
    namespace: str = "AWS/Lambda"
    metric: str
    dimension: str | tuple[str, ...]
    statistic: Literal["Maximum", "SampleCount", "Sum"]
    threshold: int
    comparison: Literal["GreaterThanOrEqualToThreshold", "LessThanThreshold"] = "GreaterThanOrEqualToThreshold"
    period: int = 60
    evaluation_periods: int = 1
    missing_data: Literal["notBreaching", "breaching", "ignore", "missing"] = "notBreaching"
    urgent: bool = False
    description: str
    command: str = "weir status {consumer}"

    @property
    def dimensions(self) -> tuple[str, ...]:
        """The names of its dimensions."""
        return (self.dimension,) if isinstance(self.dimension, str) else self.dimension


#: Iterator age is the one number that turns into data loss: at 24 hours the stream forgets.
ITERATOR_AGE = (
    AlarmOpinion(
        name="iterator-age-warn",
        metric="IteratorAge",
        dimension="FunctionName",
        statistic="Maximum",
        threshold=5 * 60 * 1000,
        evaluation_periods=3,
        description="The consumer is 5 minutes behind its table. Look for a failing record or for load.",
    ),
    AlarmOpinion(
        name="iterator-age-page",
        metric="IteratorAge",
        dimension="FunctionName",
        statistic="Maximum",
        threshold=60 * 60 * 1000,
        urgent=True,
        description="The consumer is an hour behind its table; the stream forgets records after 24 hours.",
    ),
)

#: Records that were given up. One is too many: each is a change that somebody has not seen.
GIVEN_UP = (
    AlarmOpinion(
        name="dead-letters",
        metric="OnFailureDestinationDeliveredEventCount",
        dimension="EventSourceMappingUUID",
        statistic="Sum",
        threshold=1,
        description="Records were given up and went to the failure destination. Fix the cause, then redrive them.",
        command="weir dead-letters list {consumer}",
    ),
    AlarmOpinion(
        name="dropped",
        metric="DroppedEventCount",
        dimension="EventSourceMappingUUID",
        statistic="Sum",
        threshold=1,
        urgent=True,
        description="Records were given up and reached no destination. Read the range again before the stream forgets.",
        command="weir reread {consumer} --from 2h",
    ),
    AlarmOpinion(
        name="destination-failures",
        metric="DestinationDeliveryFailures",
        dimension="FunctionName",
        statistic="Sum",
        threshold=1,
        urgent=True,
        description="The failure destination could not be written: failed records are lost. Check it and the role.",
        command="weir reread {consumer} --from 2h",
    ),
)

STREAM_ALARMS = (*ITERATOR_AGE, *GIVEN_UP)

#: A mapping that does not poll: disabled, paused, or without the permission to read. It records nothing then, not even
#: the 0 of an empty poll. Not among the defaults: it fires from the mapping's creation to its first poll.
POLLING = AlarmOpinion(
    name="not-polling",
    metric="PolledEventCount",
    dimension="EventSourceMappingUUID",
    statistic="SampleCount",
    threshold=1,
    comparison="LessThanThreshold",
    period=300,
    evaluation_periods=3,
    missing_data="breaching",
    description="The event source mapping has not polled for 15 minutes: it is disabled, paused, or may not read. The "
    "stream forgets records after 24 hours, a queue after 14 days.",
)

#: Failed batches that nobody has replayed yet.
WAITING = AlarmOpinion(
    name="waiting",
    namespace="AWS/SQS",
    metric="ApproximateNumberOfMessagesVisible",
    dimension="QueueName",
    statistic="Maximum",
    threshold=1,
    description="A failed batch waits in this queue: read its records again before they expire.",
    command="weir dead-letters list",
)

#: Events that a partner has not taken from its event bus.
PARTNER_ALARMS = (
    AlarmOpinion(
        name="webhooks-undelivered",
        namespace="AWS/SQS",
        metric="ApproximateNumberOfMessagesVisible",
        dimension="QueueName",
        statistic="Maximum",
        threshold=1,
        description="The partner has refused events for good, or was out of reach for a day: they wait in this queue, "
        "and in the bus's archive.",
        command="weir status",
    ),
)

#: Time-outs of a sequencer that were given up.
TIME_OUT_ALARMS = (
    AlarmOpinion(
        name="time-outs-failed",
        namespace="AWS/SQS",
        metric="ApproximateNumberOfMessagesVisible",
        dimension="QueueName",
        statistic="Maximum",
        threshold=1,
        description="A wait is over, and what had to be done then has failed three times: its key is in this queue.",
        command="weir status",
    ),
)

#: A consumer has several queues, and CloudWatch one name for the dimension.
_QUEUE_ROLES = {"DeadLetterQueueName": "QueueName", "UndeliveredQueueName": "QueueName"}

_EVENT_COUNT_METRICS = ("OnFailureDestinationDeliveredEventCount", "DroppedEventCount", "PolledEventCount")
_DESTINATION_METRICS = ("OnFailureDestinationDeliveredEventCount", "DestinationDeliveryFailures")


class AlarmCannotFire(Refused):
    """An alarm that would stay silent whatever happens."""


#: A queue's consumer that falls behind.
QUEUE_AGE = (
    AlarmOpinion(
        name="queue-age-warn",
        namespace="AWS/SQS",
        metric="ApproximateAgeOfOldestMessage",
        dimension="QueueName",
        statistic="Maximum",
        threshold=5 * 60,
        evaluation_periods=3,
        description="The oldest change in the consumer's queue is 5 minutes old. Look for a failing record or for "
        "load; under load raise maximum_concurrency.",
    ),
    AlarmOpinion(
        name="queue-age-page",
        namespace="AWS/SQS",
        metric="ApproximateAgeOfOldestMessage",
        dimension="QueueName",
        statistic="Maximum",
        threshold=60 * 60,
        urgent=True,
        description="The oldest change in the consumer's queue is an hour old; the queue forgets it after 14 days.",
    ),
    AlarmOpinion(
        name="throttles",
        metric="Throttles",
        dimension="FunctionName",
        statistic="Sum",
        threshold=1,
        evaluation_periods=5,
        description="Lambda has refused invocations for 5 minutes: the account's or the function's concurrency is used "
        "up. Lower maximum_concurrency of the mappings below it, or raise the quota.",
    ),
)

#: Changes that a queue's consumer has given up, or that never reached its queue.
PARKED = (
    AlarmOpinion(
        name="dead-letters",
        namespace="Weir",
        metric="Discarded",
        dimension="FunctionName",
        statistic="Sum",
        threshold=1,
        description="Changes were given up and are parked in the failure destination. Fix the cause, then redrive "
        "them.",
        command="weir dead-letters list {consumer}",
    ),
    AlarmOpinion(
        name="dead-letter-queue",
        namespace="AWS/SQS",
        metric="ApproximateNumberOfMessagesVisible",
        dimension="DeadLetterQueueName",
        statistic="Maximum",
        threshold=1,
        urgent=True,
        description="SQS moved changes to the dead-letter queue: the consumer ended without an answer time and again. "
        "Fix it, then redrive them.",
        command="weir dead-letters list {consumer}",
    ),
    AlarmOpinion(
        name="undelivered",
        namespace="AWS/SQS",
        metric="ApproximateNumberOfMessagesVisible",
        dimension="UndeliveredQueueName",
        statistic="Maximum",
        threshold=1,
        urgent=True,
        description="The topic could not deliver changes to the consumer's queue: it is gone or denies the topic. "
        "Later changes of the same items may have passed them.",
        command="weir dead-letters list {consumer}",
    ),
)

QUEUE_ALARMS = (*QUEUE_AGE, *PARKED)

#: A pipe that does not deliver. How far it is behind is not measured, so its failures are the only sign.
PIPE_ALARMS = (
    AlarmOpinion(
        name="execution-failed",
        namespace="AWS/EventBridge/Pipes",
        metric="ExecutionFailed",
        dimension="PipeName",
        statistic="Sum",
        threshold=1,
        evaluation_periods=3,
        description="The pipe has failed for 3 minutes. Its log says why; the stream forgets events after 24 hours.",
    ),
    AlarmOpinion(
        name="target-stage-failed",
        namespace="AWS/EventBridge/Pipes",
        metric="TargetStageFailed",
        dimension="PipeName",
        statistic="Sum",
        threshold=1,
        evaluation_periods=3,
        description="The pipe's target has refused events for 3 minutes. The pipe's log says why.",
    ),
    AlarmOpinion(
        name="execution-throttled",
        namespace="AWS/EventBridge/Pipes",
        metric="ExecutionThrottled",
        dimension=("AwsAccountId", "PipeName"),
        statistic="Sum",
        threshold=1,
        evaluation_periods=5,
        description="The pipe has been throttled for 5 minutes: the account's concurrent executions are used up.",
    ),
)

#: A pipe that reads a queue which is not its own: what waits there, and what the queue's redrive policy moved.
QUEUE_SOURCE_ALARMS = (
    replace(
        PIPE_ALARMS[0],
        description="The pipe has failed for 3 minutes. Its log says why; its messages come back, until the queue's "
        "redrive policy moves them.",
    ),
    *PIPE_ALARMS[1:],
    replace(
        QUEUE_AGE[0],
        description="The oldest message in the pipe's queue is 5 minutes old. Look at the pipe's log, or for load.",
    ),
    replace(
        QUEUE_AGE[1],
        description="The oldest message in the pipe's queue is an hour old; the queue forgets it after its retention.",
    ),
    replace(
        PARKED[1],
        description="SQS moved messages to the dead-letter queue of the pipe's queue: enrichment or target refused "
        "them each time. Fix the cause, then redrive them.",
    ),
)

#: Deliveries that a fan-out's topic could not make.
TOPIC_ALARMS = (
    AlarmOpinion(
        name="notifications-failed",
        namespace="AWS/SNS",
        metric="NumberOfNotificationsFailed",
        dimension="TopicName",
        statistic="Sum",
        threshold=1,
        evaluation_periods=5,
        description="The fan-out's topic has failed to deliver for 5 minutes. See its consumers' alarms undelivered.",
        command="weir status",
    ),
    AlarmOpinion(
        name="notifications-lost",
        namespace="AWS/SNS",
        metric="NumberOfNotificationsFailedToRedriveToDlq",
        dimension="TopicName",
        statistic="Sum",
        threshold=1,
        urgent=True,
        description="Changes reached neither a consumer's queue nor its dead-letter queue, so that consumer has lost "
        "them. Read the range again from the table's stream.",
        command="weir status",
    ),
)

#: Executions of a workflow that ended as no state of it foresees.
WORKFLOW_ALARMS = (
    AlarmOpinion(
        name="executions-failed",
        namespace="AWS/States",
        metric="ExecutionsFailed",
        dimension="StateMachineArn",
        statistic="Sum",
        threshold=1,
        urgent=True,
        description="An execution of the workflow has failed, its compensation included: what it has reserved may "
        "still be reserved.",
        command="weir status",
    ),
    AlarmOpinion(
        name="executions-timed-out",
        namespace="AWS/States",
        metric="ExecutionsTimedOut",
        dimension="StateMachineArn",
        statistic="Sum",
        threshold=1,
        urgent=True,
        description="An execution has used up the time of the whole workflow, which no Catch sees: nothing was taken "
        "back.",
        command="weir status",
    ),
)


#: Replication of a table's changes to Kinesis. DynamoDB retries for 168 hours, and then switches it off by itself.
REPLICATION_ALARMS = (
    AlarmOpinion(
        name="replication-age-warn",
        namespace="AWS/DynamoDB",
        metric="AgeOfOldestUnreplicatedRecord",
        dimension=("TableName", "DelegatedOperation"),
        statistic="Maximum",
        threshold=5 * 60 * 1000,
        period=300,
        evaluation_periods=3,
        description="The table's changes have not reached its Kinesis stream for 5 minutes. Look at the stream's "
        "capacity, its key and its resource policy.",
        command="weir status",
    ),
    AlarmOpinion(
        name="replication-age-page",
        namespace="AWS/DynamoDB",
        metric="AgeOfOldestUnreplicatedRecord",
        dimension=("TableName", "DelegatedOperation"),
        statistic="Maximum",
        threshold=6 * 60 * 60 * 1000,
        period=300,
        urgent=True,
        description="The table's changes have not reached its Kinesis stream for 6 hours; at 168 hours DynamoDB "
        "switches the replication off by itself, and later changes are missing.",
        command="weir status",
    ),
    AlarmOpinion(
        name="replication-throttled",
        namespace="AWS/DynamoDB",
        metric="ThrottledPutRecordCount",
        dimension=("TableName", "DelegatedOperation"),
        statistic="Sum",
        threshold=1,
        period=300,
        evaluation_periods=3,
        description="The Kinesis stream has throttled the table's changes for 15 minutes: it has too few shards, or "
        "one item is written too often.",
        command="weir status",
    ),
    AlarmOpinion(
        name="replication-failed",
        namespace="AWS/DynamoDB",
        metric="FailedToReplicateRecordCount",
        dimension=("TableName", "DelegatedOperation"),
        statistic="Sum",
        threshold=1,
        period=300,
        urgent=True,
        description="Changes were larger than the Kinesis stream's record size and were skipped: every consumer of the "
        "stream has lost them.",
        command="weir status",
    ),
)

#: The alarms of a consumer of Kinesis, whose stream keeps records for longer than a table's.
KINESIS_ALARMS = (
    ITERATOR_AGE[0],
    replace(
        ITERATOR_AGE[1],
        description="The consumer is an hour behind its table; the Kinesis stream forgets records after its retention.",
    ),
    *GIVEN_UP,
)


def make_alarms(
    name: str,
    opinions: Sequence[AlarmOpinion],
    dimensions: Mapping[str, pulumi.Input[str]],
    *,
    actions: Sequence[pulumi.Input[str]] = (),
    page_actions: Sequence[pulumi.Input[str]] | None = None,
    failure_destination: pulumi.Input[str] | None = None,
    opts: pulumi.ResourceOptions | None = None,
) -> dict[str, aws.cloudwatch.MetricAlarm]:
    """Create the alarms of one resource.

    Args:
        name: Prefix of their names.
        opinions: The alarms.
        dimensions: Value of each dimension that the opinions name. A queue of another role has a dimension of its
            own: `DeadLetterQueueName` and `UndeliveredQueueName` become `QueueName`.
        actions: ARNs to notify when an alarm fires and when it is over, usually of SNS topics.
        page_actions: ARNs that the urgent ones notify; `actions` when not given.
        failure_destination: ARN of the place where given-up records are, for the descriptions.
        opts: Options of each alarm.

    Returns:
        The alarm of each opinion, by its name.
    """
    made: dict[str, aws.cloudwatch.MetricAlarm] = {}
    for opinion in opinions:
        targets = list(actions if page_actions is None or not opinion.urgent else page_actions)
        made[opinion.name] = aws.cloudwatch.MetricAlarm(
            f"{name}-{opinion.name}",
            alarm_description=_description(name, opinion, failure_destination),
            namespace=opinion.namespace,
            metric_name=opinion.metric,
            dimensions={_QUEUE_ROLES.get(each, each): dimensions[each] for each in opinion.dimensions},
            statistic=opinion.statistic,
            period=opinion.period,
            evaluation_periods=opinion.evaluation_periods,
            threshold=opinion.threshold,
            comparison_operator=opinion.comparison,
            treat_missing_data=opinion.missing_data,
            alarm_actions=targets,
            ok_actions=targets,
            opts=opts,
        )
    return made


def _description(name: str, opinion: AlarmOpinion, failure_destination: pulumi.Input[str] | None) -> pulumi.Input[str]:
    """Write the text for the person who is woken up: the consumer, the meaning, the command, the records' place."""
    command = f"{opinion.command.format(consumer=name)} -s {pulumi.get_stack()}"
    meaning = f"{name}: {opinion.description} First: {command} (docs/runbook/{opinion.name}.md)."
    if failure_destination is None:
        return meaning
    return pulumi.Output.concat(meaning, " Failure destination: ", failure_destination)


class StreamAlarms(pulumi.ComponentResource):
    """The alarms of one consumer of a stream.

    Missing data is not breaching: a quiet table sends no batches and so no metrics.

    Args:
        function_name: Name of the function.
        mapping_uuid: UUID of its event source mapping.
        delivery: The mapping's settings.
        retention_in_seconds: How long the stream keeps a record.
        actions: ARNs to notify when an alarm fires and when it is over, usually of SNS topics.
        page_actions: ARNs that the urgent ones notify; `actions` when not given.
        opinions: The alarms, `STREAM_ALARMS` by default.
        failure_destination: ARN of the place where given-up records are, for the descriptions.

    Attributes:
        alarms: The `aws.cloudwatch.MetricAlarm` of each opinion, by its name.

    Raises:
        AlarmCannotFire: An iterator age at or beyond the mapping's record age, where records are cut off before; or
            a metric that the mapping does not record, because the setting or the destination is missing.

    Example:
        StreamAlarms(
            "search-index",
            function_name="search-index-4f2a9c1",
            mapping_uuid="0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0",
            delivery=StreamDelivery(),
            actions=[chat.arn],
            page_actions=[pager.arn],
        )
    """

    def __init__(
        self,
        name: str,
        *,
        function_name: pulumi.Input[str],
        mapping_uuid: pulumi.Input[str],
        delivery: StreamDelivery,
        retention_in_seconds: int = STREAM_RETENTION_SECONDS,
        actions: Sequence[pulumi.Input[str]] = (),
        page_actions: Sequence[pulumi.Input[str]] | None = None,
        opinions: Sequence[AlarmOpinion] = STREAM_ALARMS,
        failure_destination: pulumi.Input[str] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        check_alarms(name, delivery, opinions, retention_in_seconds=retention_in_seconds)
        super().__init__("weir:index:StreamAlarms", name, {}, opts)
        self.alarms = make_alarms(
            name,
            opinions,
            {"FunctionName": function_name, "EventSourceMappingUUID": mapping_uuid},
            actions=actions,
            page_actions=page_actions,
            failure_destination=failure_destination,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({"alarmNames": [alarm.name for alarm in self.alarms.values()]})


class QueueAlarms(pulumi.ComponentResource):
    """The alarms of one consumer of a queue.

    Args:
        dimensions: Value of each dimension that the opinions name: `FunctionName`, `QueueName`,
            `DeadLetterQueueName`, `UndeliveredQueueName`, `EventSourceMappingUUID`.
        actions: ARNs to notify when an alarm fires and when it is over, usually of SNS topics.
        page_actions: ARNs that the urgent ones notify; `actions` when not given.
        opinions: The alarms, `QUEUE_ALARMS` by default.
        failure_destination: ARN of the place where given-up records are, for the descriptions.

    Attributes:
        alarms: The `aws.cloudwatch.MetricAlarm` of each opinion, by its name.

    Example:
        QueueAlarms(
            "jobs",
            dimensions={"FunctionName": "jobs-4f2a9c1", "QueueName": "jobs.fifo"},
            actions=[chat.arn],
            opinions=QUEUE_AGE,
        )
    """

    def __init__(
        self,
        name: str,
        *,
        dimensions: Mapping[str, pulumi.Input[str]],
        actions: Sequence[pulumi.Input[str]] = (),
        page_actions: Sequence[pulumi.Input[str]] | None = None,
        opinions: Sequence[AlarmOpinion] = QUEUE_ALARMS,
        failure_destination: pulumi.Input[str] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("weir:index:QueueAlarms", name, {}, opts)
        self.alarms = make_alarms(
            name,
            opinions,
            dimensions,
            actions=actions,
            page_actions=page_actions,
            failure_destination=failure_destination,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({"alarmNames": [alarm.name for alarm in self.alarms.values()]})


def check_alarms(
    name: str,
    delivery: StreamDelivery,
    opinions: Sequence[AlarmOpinion],
    *,
    retention_in_seconds: int = STREAM_RETENTION_SECONDS,
) -> None:
    """Refuse alarms that could never fire.

    Raises:
        AlarmCannotFire: See `StreamAlarms`.
    """
    bounded = delivery.maximum_record_age_in_seconds
    age = retention_in_seconds if bounded == -1 else bounded
    until = "the stream forgets records at" if bounded == -1 else "records are given up at"
    for opinion in opinions:
        reached = opinion.threshold / 1000 + opinion.period * opinion.evaluation_periods
        if opinion.metric == "IteratorAge" and reached >= age:
            raise AlarmCannotFire(
                f"{name}: the alarm {opinion.name} needs an iterator age of {reached:.0f} s, and {until} {age} s "
                f"(maximum_record_age_in_seconds={bounded}), so it would never fire: lower its threshold or raise the "
                "record age"
            )
        if opinion.metric in _EVENT_COUNT_METRICS and not delivery.event_count_metrics:
            raise AlarmCannotFire(
                f"{name}: the alarm {opinion.name} watches {opinion.metric}, which is not recorded with "
                "event_count_metrics=False: leave the metrics on, or pass alarms=ITERATOR_AGE"
            )
        if opinion.metric in _DESTINATION_METRICS and delivery.on_failure is None:
            raise AlarmCannotFire(
                f"{name}: the alarm {opinion.name} watches {opinion.metric}, and with on_failure=None nothing is "
                "delivered that could be counted: choose a destination, or pass alarms=ITERATOR_AGE"
            )
