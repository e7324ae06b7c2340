"""`subscription-dead-letter`: a change that a queue refuses is kept."""

from __future__ import annotations

from collections.abc import Iterator

from policies.alarm_actions import alarm_topics
from policies.aws_types import SUBSCRIPTION, TOPIC
from policies.graph import Stack
from policies.not_applicable import NotApplicable
from policies.resources import Resource
from policies.rule import Config, StackRule, Violation
from policies.stream_readers import failure_uses, has_stream
from policies.wording import named


def check(subscription: Resource, stack: Stack, _: Config) -> Iterator[Violation]:
    """Check that the subscription of a queue to a topic that passes changes on has a dead letter queue."""
    if not has_stream(stack) or subscription.props.text("protocol") != "sqs":
        raise NotApplicable(f"{subscription.name} passes no changes to a queue")
    topic = stack.follow(subscription, "topic", TOPIC)
    if not isinstance(topic, Resource):
        raise NotApplicable(f"the topic of {subscription.name} is not in this program")
    if topic.urn in failure_uses(stack) or topic.urn in alarm_topics(stack):
        raise NotApplicable(f"{topic.name} is a topic of failures or alarms")
    if "deadLetterTargetArn" not in (subscription.props.text("redrivePolicy") or ""):
        yield Violation(
            what="the subscription of a queue has no dead letter queue",
            lost="a change that the queue refuses is gone at once: SNS does not retry when the queue is deleted, when "
            "its policy denies SNS, or when its key does; no metric of the queue shows it",
        )


RULE = StackRule(
    id="subscription-dead-letter",
    level="advisory",
    severity="medium",
    title="The subscription of a queue to a topic of changes should have a dead letter queue",
    why="SNS retries a queue that is away for 23 days, but not one that refuses: a deleted queue, a queue policy that "
    "denies SNS and a message with more than ten attributes are client errors, which go to the subscription's dead "
    "letter queue or nowhere (https://docs.aws.amazon.com/sns/latest/dg/sns-dead-letter-queues.html).",
    remediation=f"Set {named('redrivePolicy')} of the subscription with a deadLetterTargetArn: a queue of the same "
    "type as the subscribed one, in the same region and account, whose policy lets SNS send.",
    resources=(SUBSCRIPTION,),
    check=check,
    limits="Topics of other programs are not judged, and neither are topics that failures or alarms go to. A program "
    "without a stream is not judged.",
    good=(
        """
        users:
          type: aws:dynamodb:Table
          properties:
            attributes: [{name: userId, type: S}]
            hashKey: userId
            billingMode: PAY_PER_REQUEST
            streamEnabled: true
            streamViewType: NEW_AND_OLD_IMAGES
        changes: {type: aws:sns:Topic}
        mails: {type: aws:sqs:Queue}
        undelivered: {type: aws:sqs:Queue}
        mails-subscription:
          type: aws:sns:TopicSubscription
          properties:
            topic: ${changes.arn}
            protocol: sqs
            endpoint: ${mails.arn}
            redrivePolicy: '{"deadLetterTargetArn": "arn:aws:sqs:us-east-1:111122223333:undelivered"}'
        """,
    ),
    bad=(
        """
        users:
          type: aws:dynamodb:Table
          properties:
            attributes: [{name: userId, type: S}]
            hashKey: userId
            billingMode: PAY_PER_REQUEST
            streamEnabled: true
            streamViewType: NEW_AND_OLD_IMAGES
        changes: {type: aws:sns:Topic}
        mails: {type: aws:sqs:Queue}
        mails-subscription:
          type: aws:sns:TopicSubscription
          properties: {topic: "${changes.arn}", protocol: sqs, endpoint: "${mails.arn}"}
        """,
    ),
)
