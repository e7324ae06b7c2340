"""When a consumer of a stream calls for help: the opinions as data, and the component that makes alarms of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pulumi
import pulumi_aws as aws

from components.delivery import StreamDelivery
from components.refusal import Refused


@dataclass(frozen=True, kw_only=True)
class AlarmOpinion:
    """One alarm on a metric in the namespace AWS/Lambda.

    Attributes:
        name: Suffix of the alarm's name.
        metric: Name of the metric (docs/aws-semantics.md §2.10).
        of: What the metric's dimension names: the function or its event source mapping.
        statistic: How the values of a period become one.
        threshold: The alarm's value, in the metric's unit (IteratorAge: milliseconds), reached or passed.
        period: Seconds.
        evaluation_periods: How many periods in a row.
        urgent: Whether it goes to the page actions.
        description: What it means and what to do, for the one who is woken up.
    """

    name: str
    metric: str
    of: Literal["FunctionName", "EventSourceMappingUUID"]
    statistic: Literal["Maximum", "Sum"]
    threshold: int
    period: int = 60
    evaluation_periods: int = 1
    urgent: bool = False
    description: str


#: Iterator age is the one number that turns into data loss: at 24 hours the stream forgets.
ITERATOR_AGE = (
    AlarmOpinion(
        name="iterator-age-warn",
        metric="IteratorAge",
        of="FunctionName",
        statistic="Maximum",
        threshold=5 * 60 * 1000,
        evaluation_periods=3,
        description="The consumer is 5 minutes behind its table. Look for a failing record in its log, or for load.",
    ),
    AlarmOpinion(
        name="iterator-age-page",
        metric="IteratorAge",
        of="FunctionName",
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
        of="EventSourceMappingUUID",
        statistic="Sum",
        threshold=1,
        description="Records were given up and went to the failure destination. Mend the cause, then replay them.",
    ),
    AlarmOpinion(
        name="dropped",
        metric="DroppedEventCount",
        of="EventSourceMappingUUID",
        statistic="Sum",
        threshold=1,
        urgent=True,
        description="Records were given up and reached no destination. Read the range again before the stream forgets.",
    ),
    AlarmOpinion(
        name="destination-failures",
        metric="DestinationDeliveryFailures",
        of="FunctionName",
        statistic="Sum",
        threshold=1,
        urgent=True,
        description="The failure destination could not be written: failed records are lost. Check it and the role.",
    ),
)

STREAM_ALARMS = (*ITERATOR_AGE, *GIVEN_UP)

_EVENT_COUNT_METRICS = ("OnFailureDestinationDeliveredEventCount", "DroppedEventCount")
_DESTINATION_METRICS = ("OnFailureDestinationDeliveredEventCount", "DestinationDeliveryFailures")


class AlarmCannotFire(Refused):
    """An alarm that would stay silent whatever happens."""


class StreamAlarms(pulumi.ComponentResource):
    """The alarms of one consumer of a stream.

    Missing data is not breaching: a quiet table sends no batches and so no metrics.

    Args:
        function_name: Name of the function.
        mapping_uuid: UUID of its event source mapping.
        delivery: The mapping's settings.
        actions: What an alarm does when it fires and when it is over: ARNs, usually of SNS topics.
        page_actions: What the urgent ones do; `actions` when not given.
        opinions: Which alarms.

    Attributes:
        alarms: The `aws.cloudwatch.MetricAlarm` of each opinion, by its name.

    Raises:
        AlarmCannotFire: An iterator age at or beyond the mapping's record age, where records are cut off before; or
            a metric that the mapping does not record, for want of the setting or of a destination.

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
        actions: Sequence[pulumi.Input[str]] = (),
        page_actions: Sequence[pulumi.Input[str]] | None = None,
        opinions: Sequence[AlarmOpinion] = STREAM_ALARMS,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        check_alarms(name, delivery, opinions)
        super().__init__("weir:index:StreamAlarms", name, {}, opts)
        dimension = {"FunctionName": function_name, "EventSourceMappingUUID": mapping_uuid}
        self.alarms: dict[str, aws.cloudwatch.MetricAlarm] = {}
        for opinion in opinions:
            targets = list(actions if page_actions is None or not opinion.urgent else page_actions)
            self.alarms[opinion.name] = aws.cloudwatch.MetricAlarm(
                f"{name}-{opinion.name}",
                alarm_description=opinion.description,
                namespace="AWS/Lambda",
                metric_name=opinion.metric,
                dimensions={opinion.of: dimension[opinion.of]},
                statistic=opinion.statistic,
                period=opinion.period,
                evaluation_periods=opinion.evaluation_periods,
                threshold=opinion.threshold,
                comparison_operator="GreaterThanOrEqualToThreshold",
                treat_missing_data="notBreaching",
                alarm_actions=targets,
                ok_actions=targets,
                opts=pulumi.ResourceOptions(parent=self),
            )
        self.register_outputs({"alarmNames": [alarm.name for alarm in self.alarms.values()]})


def check_alarms(name: str, delivery: StreamDelivery, opinions: Sequence[AlarmOpinion]) -> None:
    """Refuse alarms that could never fire.

    Raises:
        AlarmCannotFire: See `StreamAlarms`.
    """
    age = delivery.maximum_record_age_in_seconds
    for opinion in opinions:
        reached = opinion.threshold / 1000 + opinion.period * opinion.evaluation_periods
        if opinion.metric == "IteratorAge" and age != -1 and reached >= age:
            raise AlarmCannotFire(
                f"{name}: the alarm {opinion.name} needs an iterator age of {reached:.0f} s, and records are given up "
                f"at {age} s (maximum_record_age_in_seconds), so it would never fire: "
                "lower its threshold or raise the record age"
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
