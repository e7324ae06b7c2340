"""`ConsumerQueue`: the FIFO queue of one consumer of a fan-out, with the dead-letter queues around it."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pulumi_aws as aws

from components.access import deliver_policy
from components.protection import is_protected

#: Nobody has looked into a dead-letter queue before its messages are gone: the maximum.
_DEAD_LETTER_RETENTION_SECONDS = 14 * 24 * 60 * 60


class ConsumerQueue:
    """A FIFO queue that a topic fills, and the places for what goes wrong before and behind it.

    Args:
        name: Name of the queue; the others' begin with it.
        topic: The fan-out's topic.
        visibility_timeout_in_seconds: How long a message in work stays hidden.
        retention_in_seconds: How long a message waits for a consumer that is down.
        maximum_receives: Receives after which SQS gives a message up.
        kms_key_arn: A customer managed key for the queues.
        replay_from: Time from which the topic's archive is replayed into the queue.
        parent: The component that they belong to.

    Attributes:
        queue: The `aws.sqs.Queue` that the topic fills.
        dead_letters: The queue of what SQS gave up.
        undelivered: The queue of what the topic could not deliver.
        subscription: The `aws.sns.TopicSubscription`.
    """

    def __init__(
        self,
        name: str,
        *,
        topic: aws.sns.Topic,
        visibility_timeout_in_seconds: int,
        retention_in_seconds: int,
        maximum_receives: int,
        kms_key_arn: pulumi.Input[str] | None,
        replay_from: str | None,
        parent: pulumi.Resource,
    ) -> None:
        child = pulumi.ResourceOptions(parent=parent)
        # A consumer that is removed from a protected stack leaves what nobody has looked into yet.
        kept = pulumi.ResourceOptions(parent=parent, retain_on_delete=is_protected() or None)
        self.dead_letters = _queue(f"{name}-dead-letters", kms_key_arn, kept)
        self.undelivered = _queue(f"{name}-undelivered", kms_key_arn, kept)
        self.queue = _queue(
            name,
            kms_key_arn,
            child,
            # Each item is a group with a throughput of its own (docs/aws-semantics.md §10.1).
            deduplication_scope="messageGroup",
            fifo_throughput_limit="perMessageGroupId",
            message_retention_seconds=retention_in_seconds,
            visibility_timeout_seconds=visibility_timeout_in_seconds,
            redrive_policy=self.dead_letters.arn.apply(
                lambda arn: json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": maximum_receives})
            ),
        )
        policies = [
            aws.sqs.QueuePolicy(
                each, queue_url=queue.url, policy=deliver_policy("sns.amazonaws.com", topic.arn, queue.arn), opts=child
            )
            for each, queue in ((name, self.queue), (f"{name}-undelivered", self.undelivered))
        ]
        replay: dict[str, Any] = {}
        if replay_from is not None:
            # Without an EndingPoint: with one, the subscription would be paused when the replay is over.
            replay["replay_policy"] = json.dumps({"PointType": "Timestamp", "StartingPoint": replay_from})
        self.subscription = aws.sns.TopicSubscription(
            name,
            topic=topic.arn,
            protocol="sqs",
            endpoint=self.queue.arn,
            raw_message_delivery=True,
            # A client error, such as a queue that is gone, is never retried: without this its changes would be lost.
            redrive_policy=self.undelivered.arn.apply(lambda arn: json.dumps({"deadLetterTargetArn": arn})),
            **replay,
            opts=pulumi.ResourceOptions(parent=parent, depends_on=policies),
        )


def _queue(
    name: str, kms_key_arn: pulumi.Input[str] | None, opts: pulumi.ResourceOptions, **settings: Any
) -> aws.sqs.Queue:
    encryption: dict[str, Any] = (
        {"sqs_managed_sse_enabled": True} if kms_key_arn is None else {"kms_master_key_id": kms_key_arn}
    )
    retention = {"message_retention_seconds": _DEAD_LETTER_RETENTION_SECONDS}
    arguments: dict[str, Any] = {**retention, **encryption, **settings}
    return aws.sqs.Queue(name, fifo_queue=True, **arguments, opts=opts)
