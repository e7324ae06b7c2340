"""`failure-archive-alarm`: somebody hears of a batch that went to a bucket or a topic."""

from __future__ import annotations

from collections.abc import Iterator

from policies.aws_types import BUCKET_NOTIFICATION, BUCKETS, MAPPING, QUEUE, TOPIC
from policies.delivered_failures import lacking_alarm
from policies.graph import Stack
from policies.names import Arn, physical_name
from policies.not_applicable import NotApplicable
from policies.resources import Block, Resource, every, some
from policies.rule import Config, StackRule, Violation
from policies.stream_readers import failure_destination, stream_kind
from policies.subscriptions import has_subscription
from policies.wording import setting

#: Where Lambda puts failed batches in a bucket (docs/aws-semantics.md §2.7).
_PREFIX = "aws/lambda/"
_CREATED = ("s3:ObjectCreated:*", "s3:ObjectCreated:Put")


def check(mapping: Resource, stack: Stack, _: Config) -> Iterator[Violation]:
    """Check for an alarm on deliveries to a bucket or topic, a notification of the bucket, or a subscription."""
    stream_kind(stack, mapping)
    destination = failure_destination(stack, mapping)
    if destination is None or _is_queue(destination):
        raise NotApplicable(f"{mapping.name} has no bucket or topic as failure destination")
    ways = (
        lambda: _passes_on(stack, destination),
        lambda: _notifies(stack, destination),
        lambda: lacking_alarm(stack, mapping) is None,
    )
    if some(ways, lambda way: way()):
        return
    yield Violation(
        what=lacking_alarm(stack, mapping) or "",
        lost="batches that are given up pile up unseen: a bucket and a topic have no messages to count, and the "
        "changes in them are missing downstream until a customer says so",
    )


def _passes_on(stack: Stack, destination: Resource | str) -> bool:
    """Test whether the destination is a topic with a subscriber; a queue among them has a rule of its own."""
    return isinstance(destination, Resource) and destination.type == TOPIC and has_subscription(stack, destination)


def _is_queue(destination: Resource | str) -> bool:
    if isinstance(destination, Resource):
        return destination.type == QUEUE
    arn = Arn.parse(destination)
    return arn is not None and arn.service not in ("s3", "sns")


def _notifies(stack: Stack, destination: Resource | str) -> bool:
    """Test whether the destination is a bucket that notifies a queue or function of new failed batches."""

    def about_it(notification: Resource) -> bool:
        bucket = stack.follow(notification, "bucket", *BUCKETS)
        if isinstance(destination, Resource) or isinstance(bucket, Resource):
            return bucket is destination
        return bucket is not None and physical_name(BUCKETS[0], bucket) == physical_name(BUCKETS[0], destination)

    def notifies(notification: Resource) -> bool:
        receivers = [receiver for key in ("queues", "lambdaFunctions") for receiver in notification.props.blocks(key)]
        return some(receivers, _of_failed_batches)

    return some(
        stack.of_type(BUCKET_NOTIFICATION),
        lambda notification: every(lambda: about_it(notification), lambda: notifies(notification)),
    )


def _of_failed_batches(receiver: Block) -> bool:
    prefix = receiver.text("filterPrefix") or ""
    return every(
        lambda: any(event in _CREATED for event in receiver.texts("events")),
        lambda: prefix.startswith(_PREFIX) or _PREFIX.startswith(prefix),
        # The objects have no extension.
        lambda: receiver.text("filterSuffix") is None,
    )


RULE = StackRule(
    id="failure-archive-alarm",
    level="advisory",
    severity="medium",
    title="Somebody must hear of batches in a failure bucket or topic",
    why="A bucket keeps the failed records and a topic passes them on, but neither has a queue length. Without an "
    "alarm on the mapping's deliveries, a notification that starts a replay, or a subscriber of the topic, nobody "
    "looks (docs/aws-semantics.md §2.10).",
    remediation="Add an alarm on AWS/Lambda OnFailureDestinationDeliveredEventCount with the mapping's UUID as "
    f"dimension EventSourceMappingUUID (it needs {setting('metricsConfig', {'metrics': ['EventCount']})}), let the "
    "bucket notify a queue or function, or subscribe somebody to the topic.",
    resources=(MAPPING,),
    check=check,
    limits="A bucket that notifies EventBridge or a topic does not satisfy the rule: its listeners are not seen. "
    "Subscriptions that are created outside the program are not seen.",
    good=(
        """
        orders:
          type: aws:lambda:EventSourceMapping
          properties:
            functionName: orders
            eventSourceArn: arn:aws:dynamodb:us-east-1:111122223333:table/users/stream/2026-01-01T00:00:00.000
            startingPosition: TRIM_HORIZON
            destinationConfig: {onFailure: {destinationArn: "arn:aws:sns:us-east-1:111122223333:failures"}}
            metricsConfig: {metrics: [EventCount]}
        given-up:
          type: aws:cloudwatch:MetricAlarm
          properties:
            namespace: AWS/Lambda
            metricName: OnFailureDestinationDeliveredEventCount
            dimensions: {EventSourceMappingUUID: "${orders.uuid}"}
            statistic: Sum
            period: 60
            evaluationPeriods: 1
            threshold: 1
            comparisonOperator: GreaterThanOrEqualToThreshold
            alarmActions: ["arn:aws:sns:us-east-1:111122223333:oncall"]
        """,
        """
        failures: {type: aws:s3:Bucket}
        orders:
          type: aws:lambda:EventSourceMapping
          properties:
            functionName: orders
            eventSourceArn: arn:aws:dynamodb:us-east-1:111122223333:table/users/stream/2026-01-01T00:00:00.000
            startingPosition: TRIM_HORIZON
            destinationConfig: {onFailure: {destinationArn: "${failures.arn}"}}
        replay:
          type: aws:s3:BucketNotification
          properties:
            bucket: ${failures.bucket}
            queues: [{queueArn: "arn:aws:sqs:us-east-1:111122223333:replay", events: ["s3:ObjectCreated:*"]}]
        """,
    ),
    bad=(
        """
        failures: {type: aws:s3:Bucket}
        orders:
          type: aws:lambda:EventSourceMapping
          properties:
            functionName: orders
            eventSourceArn: arn:aws:dynamodb:us-east-1:111122223333:table/users/stream/2026-01-01T00:00:00.000
            startingPosition: TRIM_HORIZON
            destinationConfig: {onFailure: {destinationArn: "${failures.arn}"}}
        """,
    ),
)
