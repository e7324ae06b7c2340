"""The subscriptions of topics."""

from __future__ import annotations

from policies.aws_types import SUBSCRIPTION, TOPIC
from policies.graph import Stack
from policies.not_applicable import Awaited
from policies.resources import Resource


def has_subscription(stack: Stack, topic: Resource) -> bool:
    """Test whether the program subscribes anything to a topic.

    Raises:
        Awaited: It may, and the topic of a subscription is not known yet.
    """
    awaited: Awaited | None = None
    for subscription in stack.of_type(SUBSCRIPTION):
        try:
            if stack.follow(subscription, "topic", TOPIC) is topic:
                return True
        except Awaited as unknown:
            awaited = unknown
    if awaited is not None:
        raise awaited
    return False
