"""`dead-letter-retention`: a dead letter is still there when somebody looks."""

from __future__ import annotations

from collections.abc import Iterator

from policies.aws_types import BUCKET_LIFECYCLE, BUCKETS, QUEUE, TOPIC
from policies.graph import Stack
from policies.not_applicable import NotApplicable
from policies.resources import Block, Resource, whole
from policies.rule import Config, Parameter, StackRule, Violation
from policies.stream_readers import failure_uses
from policies.subscriptions import has_subscription
from policies.wording import setting

_DAY = 24 * 60 * 60
#: How long SQS keeps a message when nothing is set.
_DEFAULT_SECONDS = 4 * _DAY
#: Where Lambda puts failed batches in a bucket (docs/aws-semantics.md §2.7).
_PREFIX = "aws/lambda/"


def check(destination: Resource, stack: Stack, config: Config) -> Iterator[Violation]:
    """Check how long a failure queue, bucket or topic keeps failures."""
    if destination.urn not in failure_uses(stack):
        raise NotApplicable(f"{destination.name} is not the failure destination of a stream's reader")
    days = float(config["minimum_days"])
    match destination.type:
        case t if t == QUEUE:
            yield from _queue(destination, days)
        case t if t == TOPIC:
            yield from _topic(destination, stack)
        case _:
            yield from _bucket(destination, stack, days)


def _queue(queue: Resource, days: float) -> Iterator[Violation]:
    seconds = queue.props.number("messageRetentionSeconds") or _DEFAULT_SECONDS
    if seconds < days * _DAY:
        yield Violation(
            what=f"the failure queue keeps its messages {whole(seconds / _DAY)} days, less than {whole(days)}",
            lost=f"a dead letter that nobody handled is gone {whole(seconds / _DAY)} days after it was sent, and with "
            "it the only record of the changes that were given up",
            fix=f"set {setting('messageRetentionSeconds', int(days * _DAY))}",
        )


def _topic(topic: Resource, stack: Stack) -> Iterator[Violation]:
    if not has_subscription(stack, topic):
        yield Violation(
            what="the failure topic has no subscription",
            lost="a topic keeps nothing: a failure that is published there is gone at once, with the only record of "
            "the changes that were given up",
            fix="subscribe a queue, a function or a person to the topic, or use a bucket or a queue as the failure "
            "destination",
        )


def _bucket(bucket: Resource, stack: Stack, days: float) -> Iterator[Violation]:
    kept = min(
        (age for rule in _lifecycle_rules(bucket, stack) if (age := _expires_after(rule)) is not None), default=None
    )
    if kept is not None and kept < days:
        yield Violation(
            what=f"a lifecycle rule of the failure bucket deletes objects after {whole(kept)} days, less than "
            f"{whole(days)}",
            lost=f"a failed batch that nobody replayed is deleted {whole(kept)} days after it was written, with the "
            "records in it",
            fix=f"expire objects below {_PREFIX} after {whole(days)} days or later, or narrow the rule to another "
            "prefix",
        )


def _lifecycle_rules(bucket: Resource, stack: Stack) -> Iterator[Block]:
    yield from bucket.props.blocks("lifecycleRules")
    for configuration in stack.of_type(*BUCKET_LIFECYCLE):
        if stack.follow(configuration, "bucket", *BUCKETS) is bucket:
            yield from configuration.props.blocks("rules")


def _expires_after(rule: Block) -> float | None:
    """Return the days after which a rule deletes failed batches; `None` when it does not.

    Raises:
        Awaited: That is not known yet.
    """
    days = rule.block("expiration").number("days")
    if not days or rule.flag("enabled") is False or rule.text("status") == "Disabled":
        return None
    narrowed = rule.block("filter")
    both = narrowed.block("and")
    prefix = rule.text("prefix") or narrowed.text("prefix") or both.text("prefix") or ""
    # Lambda's objects have no tags.
    tagged = any(block.given(key) for block in (rule, narrowed, both) for key in ("tag", "tags"))
    return days if not tagged and (prefix.startswith(_PREFIX) or _PREFIX.startswith(prefix)) else None


RULE = StackRule(
    id="dead-letter-retention",
    level="advisory",
    severity="low",
    title="Failures must be kept for two weeks",
    why="SQS keeps a message four days by default: less than a long weekend. Fourteen days is its maximum, and it "
    "costs nothing. A bucket keeps its objects until a lifecycle rule deletes them, and a topic keeps nothing at "
    "all (docs/aws-semantics.md §5).",
    remediation=f"Set {setting('messageRetentionSeconds', 1209600)} on a queue, let no lifecycle rule of a bucket "
    "delete failures earlier, and subscribe somebody to a topic.",
    limits="Subscriptions that are created outside the program are not seen. An expiration at a date is not judged.",
    resources=(QUEUE, TOPIC, *BUCKETS),
    parameters={
        "minimum_days": Parameter(
            default=14,
            schema={"type": "number", "minimum": 1, "maximum": 14},
            description="Days for which a failure queue or bucket must keep failures.",
        )
    },
    check=check,
    good=(
        """
        failures:
          type: aws:sqs:Queue
          properties: {messageRetentionSeconds: 1209600}
        orders:
          type: aws:lambda:EventSourceMapping
          properties:
            functionName: orders
            eventSourceArn: arn:aws:dynamodb:us-east-1:111122223333:table/users/stream/2026-01-01T00:00:00.000
            startingPosition: TRIM_HORIZON
            destinationConfig: {onFailure: {destinationArn: "${failures.arn}"}}
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
        """,
        """
        failures:
          type: aws:s3:Bucket
          properties: {lifecycleRules: [{enabled: true, expiration: {days: 2}}]}
        orders:
          type: aws:lambda:EventSourceMapping
          properties:
            functionName: orders
            eventSourceArn: arn:aws:dynamodb:us-east-1:111122223333:table/users/stream/2026-01-01T00:00:00.000
            startingPosition: TRIM_HORIZON
            destinationConfig: {onFailure: {destinationArn: "${failures.arn}"}}
        """,
        """
        failures: {type: aws:sns:Topic}
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
