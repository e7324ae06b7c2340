"""`dead-letter-alarm`: somebody hears of a dead letter."""

from __future__ import annotations

from collections.abc import Iterator

from policies.alarm_demands import Demand, lacking
from policies.aws_types import QUEUE
from policies.graph import Stack
from policies.metric_alarms import Target, alarms, reacts
from policies.not_applicable import NotApplicable
from policies.resources import Resource
from policies.rule import Config, StackRule, Violation
from policies.stream_readers import failure_uses

#: More messages than any queue holds: an alarm that is silent then looks the other way.
_MANY = 1e12


def check(queue: Resource, stack: Stack, _: Config) -> Iterator[Violation]:
    """An alarm on the visible messages of a failure queue."""
    if queue.urn not in failure_uses(stack):
        raise NotApplicable(f"{queue.name} is no failure destination of a stream's reader")
    found = alarms(stack)
    missing = lacking(
        found.on("AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", Target.of(queue)),
        "no alarm watches the failure queue's visible messages",
        [
            Demand(lambda watched: reacts(watched, _MANY), "the alarm does not fire when there are messages"),
            Demand(lambda watched: found.acts(watched.alarm), "the alarm has no action, or its actions are disabled"),
        ],
    )
    if missing is not None:
        yield Violation(
            what=missing,
            lost="nobody knows that a record was given up; a dead letter only says where the record is, and the stream "
            "forgets it 24 h after it was written, long before the queue does",
        )


RULE = StackRule(
    id="dead-letter-alarm",
    level="mandatory",
    severity="high",
    title="A failure queue has an alarm on its messages",
    why="A dead letter of a stream is a pointer with a deadline: the record it names can be read for 24 h after it was "
    "written. A queue that nobody watches is found when the deadline has passed (docs/aws-semantics.md §2.7, §5).",
    remediation="Add an alarm on AWS/SQS ApproximateNumberOfMessagesVisible with the queue's name as dimension, "
    "threshold 1, and an action.",
    resources=(QUEUE,),
    check=check,
    limits="Alarms that are made outside the program are not seen. Metrics Insights queries are not read. A dimension "
    "made from an attribute that is not known yet (the ARN where the name belongs) is told after `up` only.",
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
    ),
)
