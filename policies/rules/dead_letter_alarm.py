"""`dead-letter-alarm`: somebody hears of a dead letter."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from policies.alarm_demands import A_THRESHOLD, Demand, is_heard, lacking
from policies.aws_types import PIPE, QUEUE
from policies.delivered_failures import lacking_alarm
from policies.graph import Stack
from policies.metric_alarms import Target, WatchedMetric, alarms, reacts
from policies.not_applicable import NotApplicable
from policies.resources import Resource, every, some, whole
from policies.rule import Config, Parameter, StackRule, Violation
from policies.stream_readers import failure_uses, queue_readers

_NONE = "no alarm watches the failure queue's messages"
#: More messages than any queue holds: an alarm that is silent then looks the other way.
_MANY = 1e12
#: An alarm on the age of the oldest message must fire well before the stream forgets the record it names.
_OLD_SECONDS = 12 * 60 * 60


def check(queue: Resource, stack: Stack, config: Config) -> Iterator[Violation]:
    """Check that an alarm watches a failure queue, or that a function reads it."""
    readers = failure_uses(stack).get(queue.urn)
    if not readers:
        raise NotApplicable(f"{queue.name} is not the failure destination of a stream's reader")
    if replayers := queue_readers(stack).get(queue.urn):
        raise NotApplicable(f"{queue.name} is read by {replayers[0].name}, which handles each dead letter")
    found, target, first = alarms(stack), Target.of(queue), float(config["maximum_messages"])

    def missing(metric: str, value: float, few: str) -> str | None:
        demands = [
            A_THRESHOLD,
            Demand(lambda watched: reacts(watched, _MANY), "the alarm does not fire when there are messages"),
            Demand(lambda watched: _adds_up(watched, metric), "the alarm's statistic does not see every message"),
            Demand(lambda watched: reacts(watched, value), few),
            is_heard(found),
        ]
        return lacking(found.on("AWS/SQS", metric, "QueueName", target), _NONE, demands)

    few = f"the alarm does not fire at {whole(first)} message{'' if first == 1 else 's'} yet"
    questions: list[Callable[[], str | None]] = [
        lambda: missing("ApproximateNumberOfMessagesVisible", first, few),
        lambda: missing("NumberOfMessagesSent", first, few),
        lambda: missing("ApproximateAgeOfOldestMessage", _OLD_SECONDS, "the alarm fires after 12 h or later"),
    ]

    def by_the_readers() -> bool:
        return every(
            lambda: all(reader.type != PIPE for reader in readers),
            *(lambda reader=reader: lacking_alarm(stack, reader) is None for reader in readers),
        )

    if some([*(lambda ask=ask: ask() is None for ask in questions), by_the_readers], lambda way: way()):
        return
    said = [ask() or "" for ask in questions]
    yield Violation(
        what=next((each for each in said if each != _NONE), _NONE),
        lost="nobody knows that a record was given up; a dead letter only says where the record is, and the stream "
        "forgets it 24 h after it was written, long before the queue does",
    )


def _adds_up(watched: WatchedMetric, metric: str) -> bool:
    """Test whether a statistic shows one message among many: messages sent are counted in a sum."""
    return metric != "NumberOfMessagesSent" or watched.statistic() in ("Sum", "Maximum", "SampleCount")


RULE = StackRule(
    id="dead-letter-alarm",
    level="mandatory",
    severity="high",
    title="A failure queue must have an alarm on its first message",
    why="A dead letter of a stream is a pointer with a deadline: the record it names can be read for 24 h after it was "
    "written. A queue that nobody watches is found when the deadline has passed (docs/aws-semantics.md §2.7, §5).",
    remediation="Add an alarm on AWS/SQS ApproximateNumberOfMessagesVisible with the queue's name as dimension "
    "QueueName, statistic Maximum, GreaterThanOrEqualToThreshold 1, and an action whose topic CloudWatch may publish "
    "to. An alarm on NumberOfMessagesSent, on ApproximateAgeOfOldestMessage, or on each mapping's "
    "OnFailureDestinationDeliveredEventCount counts too, and so does a function that reads the queue.",
    resources=(QUEUE,),
    parameters={
        "maximum_messages": Parameter(
            default=1,
            schema={"type": "number", "minimum": 1},
            description="Messages in the queue at which an alarm must fire.",
        )
    },
    check=check,
    limits="Alarms that are created outside the program, and in a preview those created inside `apply`, are not "
    "seen. Of Metrics Insights, a query over one metric is read. A dimension made from an attribute that is not "
    "known yet (the ARN where the name belongs) is reported only after `up`.",
    good=(
        """
        failures: {type: aws:sqs:Queue}
        orders:
          type: aws:lambda:EventSourceMapping
          properties:
            functionName: orders
            eventSourceArn: arn:aws:dynamodb:us-east-1:111122223333:table/users/stream/2026-01-01T00:00:00.000
            startingPosition: TRIM_HORIZON
            destinationConfig: {onFailure: {destinationArn: "${failures.arn}"}}
        dead-letters:
          type: aws:cloudwatch:MetricAlarm
          properties:
            namespace: AWS/SQS
            metricName: ApproximateNumberOfMessagesVisible
            dimensions: {QueueName: "${failures.name}"}
            statistic: Maximum
            period: 60
            evaluationPeriods: 1
            threshold: 1
            comparisonOperator: GreaterThanOrEqualToThreshold
            alarmActions: ["arn:aws:sns:us-east-1:111122223333:oncall"]
        """,
    ),
    bad=(
        """
        failures: {type: aws:sqs:Queue}
        orders:
          type: aws:lambda:EventSourceMapping
          properties:
            functionName: orders
            eventSourceArn: arn:aws:dynamodb:us-east-1:111122223333:table/users/stream/2026-01-01T00:00:00.000
            startingPosition: TRIM_HORIZON
            destinationConfig: {onFailure: {destinationArn: "${failures.arn}"}}
        dead-letters:
          type: aws:cloudwatch:MetricAlarm
          properties:
            namespace: AWS/SQS
            metricName: ApproximateNumberOfMessagesVisible
            dimensions: {QueueName: "${failures.name}"}
            statistic: Maximum
            period: 60
            evaluationPeriods: 1
            threshold: 1
            comparisonOperator: GreaterThanOrEqualToThreshold
        """,
        """
        failures: {type: aws:sqs:Queue}
        orders:
          type: aws:lambda:EventSourceMapping
          properties:
            functionName: orders
            eventSourceArn: arn:aws:dynamodb:us-east-1:111122223333:table/users/stream/2026-01-01T00:00:00.000
            startingPosition: TRIM_HORIZON
            destinationConfig: {onFailure: {destinationArn: "${failures.arn}"}}
        oncall:
          type: aws:sns:Topic
          properties: {kmsMasterKeyId: alias/aws/sns}
        dead-letters:
          type: aws:cloudwatch:MetricAlarm
          properties:
            namespace: AWS/SQS
            metricName: ApproximateNumberOfMessagesVisible
            dimensions: {QueueName: "${failures.name}"}
            statistic: Maximum
            period: 60
            evaluationPeriods: 1
            threshold: 1
            comparisonOperator: GreaterThanOrEqualToThreshold
            alarmActions: ["${oncall.arn}"]
        """,
    ),
)
