"""`failure-archive-alarm`: somebody hears of a batch that went to a bucket or a topic."""

from __future__ import annotations

from collections.abc import Iterator

from policies.alarm_demands import Demand, lacking
from policies.aws_types import BUCKET_NOTIFICATION, BUCKETS, MAPPING, QUEUE
from policies.graph import Stack, known_text
from policies.metric_alarms import Target, alarms, reacts
from policies.names import Arn, physical_name
from policies.not_applicable import NotApplicable
from policies.resources import Block, Resource, every, some
from policies.rule import Config, StackRule, Violation
from policies.stream_readers import failure_destination, stream_kind

#: Where Lambda puts failed batches in a bucket (docs/aws-semantics.md §2.7).
_PREFIX = "aws/lambda/"
_CREATED = ("s3:ObjectCreated:*", "s3:ObjectCreated:Put")
#: More events than any batch holds: an alarm that is silent then looks the other way.
_MANY = 1e12


def check(mapping: Resource, stack: Stack, _: Config) -> Iterator[Violation]:
    """An alarm on what a mapping delivers to a bucket or topic, or a notification of the bucket."""
    stream_kind(stack, mapping)
    destination = failure_destination(stack, mapping)
    if destination is None or _is_queue(destination):
        raise NotApplicable(f"{mapping.name} has no bucket or topic as failure destination")
    found = alarms(stack)
    target = Target(known_text(mapping, "uuid"), [mapping.urn])

    def missing() -> str | None:
        return lacking(
            found.on("AWS/Lambda", "OnFailureDestinationDeliveredEventCount", "EventSourceMappingUUID", target),
            "no alarm watches what the mapping delivers to its failure destination",
            [
                Demand(lambda watched: reacts(watched, _MANY), "the alarm does not fire when batches are delivered"),
                Demand(lambda watched: found.acts(watched.alarm), "the alarm has no action"),
            ],
        )

    if some((lambda: _notifies(stack, destination), lambda: missing() is None), lambda way: way()):
        return
    yield Violation(
        what=missing() or "",
        lost="batches that are given up pile up unseen: a bucket and a topic have no messages to count, and the "
        "changes in them are missing downstream until a customer says so",
    )


def _is_queue(destination: Resource | str) -> bool:
    if isinstance(destination, Resource):
        return destination.type == QUEUE
    arn = Arn.parse(destination)
    return arn is not None and arn.service not in ("s3", "sns")


def _notifies(stack: Stack, destination: Resource | str) -> bool:
    """Whether the destination is a bucket that tells a queue or function of new failed batches."""

    def about_it(notification: Resource) -> bool:
        bucket = stack.follow(notification, "bucket", *BUCKETS)
        if isinstance(destination, Resource) or isinstance(bucket, Resource):
            return bucket is destination
        return bucket is not None and physical_name(BUCKETS[0], bucket) == physical_name(BUCKETS[0], destination)

    def tells(notification: Resource) -> bool:
        receivers = [receiver for key in ("queues", "lambdaFunctions") for receiver in notification.props.blocks(key)]
        return some(receivers, _of_failed_batches)

    return some(
        stack.of_type(BUCKET_NOTIFICATION),
        lambda notification: every(lambda: about_it(notification), lambda: tells(notification)),
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
    title="Somebody hears of what goes to a failure bucket or topic",
    why="A bucket keeps the failed records and a topic passes them on, but neither has a queue length. Without an "
    "alarm on what the mapping delivers, or a notification that starts a replay, nobody looks (docs/aws-semantics.md "
    "§2.10).",
    remediation="Add an alarm on AWS/Lambda OnFailureDestinationDeliveredEventCount with the mapping's UUID as "
    "dimension "
    'EventSourceMappingUUID (it needs metrics_config={"metrics": ["EventCount"]}), or let the bucket notify a queue or '
    "function.",
    resources=(MAPPING,),
    check=check,
    limits="A bucket that notifies EventBridge or a topic does not satisfy the rule: what listens there is not seen.",
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
