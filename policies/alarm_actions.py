"""The actions of an alarm: whether one reaches somebody, or why none does.

CloudWatch publishes to a topic by itself, so the topic's policy and the policy of its key must let
`cloudwatch.amazonaws.com` in; otherwise the alarm fires and nobody hears of it (docs/aws-semantics.md §6.1).
"""

from __future__ import annotations

from collections.abc import Iterator

from policies.aws_types import COMPOSITE_ALARM, METRIC_ALARM, TOPIC
from policies.encryption import customer_key, uses_aws_key
from policies.graph import Stack
from policies.iam import Statement
from policies.names import Arn
from policies.not_applicable import Awaited
from policies.regions import apart, region_of
from policies.resource_policies import lets_service_in, own_statements
from policies.resources import Resource

CLOUDWATCH = "cloudwatch.amazonaws.com"

#: Actions on the key of a topic that publishing to it needs (https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html).
_KEY_ACTIONS = ("kms:Decrypt", "kms:GenerateDataKey")


def unheard(stack: Stack, alarm: Resource) -> str | None:
    """Tell why none of an alarm's own actions reaches anybody; `None` when one does.

    Raises:
        Awaited: No action is known to, and one may.
    """
    if alarm.props.flag("actionsEnabled") is False:
        return "the alarm's actions are disabled"
    reasons: list[str] = []
    awaited: Awaited | None = None
    for action in _actions(stack, alarm):
        try:
            reason = _mute(stack, alarm, action)
        except Awaited as unknown:
            awaited = awaited or unknown
            continue
        if reason is None:
            return None
        reasons.append(reason)
    if awaited is not None:
        raise awaited
    return reasons[0] if reasons else "the alarm has no action"


def alarm_topics(stack: Stack) -> frozenset[str]:
    """List the URNs of the topics that alarms of the program notify."""
    return stack.derived(_alarm_topics)


def _alarm_topics(stack: Stack) -> frozenset[str]:
    found: set[str] = set()
    for alarm in stack.of_type(METRIC_ALARM, COMPOSITE_ALARM):
        try:
            found |= {action.urn for action in _actions(stack, alarm) if isinstance(action, Resource)}
        except Awaited:
            continue
    return frozenset(found)


def _actions(stack: Stack, alarm: Resource) -> Iterator[Resource | str | None]:
    """Yield the topics and the other targets of an alarm; `None` for one that is not known yet."""
    unknown = 0
    known: list[Resource | str] = []
    for item in alarm.props.items("alarmActions"):
        try:
            text = item()
        except Awaited:
            unknown += 1
            continue
        if isinstance(text, str) and text:
            known.append(stack.find(TOPIC, text) or text)
    yield from known
    if unknown:
        # Dependencies stand in for unknown items.
        linked = [topic for topic in stack.linked(alarm, "alarmActions", TOPIC) if topic not in known]
        yield from linked
        yield from [None] * (unknown - len(linked))


def _mute(stack: Stack, alarm: Resource, action: Resource | str | None) -> str | None:
    """Tell why one action reaches nobody; `None` when it may. An action that is not known yet is still one."""
    if action is None:
        return None
    if isinstance(action, str):
        arn, own = Arn.parse(action), region_of(alarm).name
        if arn is not None and arn.region is not None and own is not None and arn.region != own:
            return f"the alarm's action is in {arn.region}, and CloudWatch acts in the alarm's own region only"
        return None
    return _mute_topic(stack, alarm, action)


def _mute_topic(stack: Stack, alarm: Resource, topic: Resource) -> str | None:
    if apart(region_of(alarm), region_of(topic)):
        return f"the topic {topic.name} is in another region than the alarm, and CloudWatch acts in its own only"
    if uses_aws_key(topic):
        return (
            f"the topic {topic.name} is encrypted with alias/aws/sns, a key that CloudWatch may not use, so the alarm "
            "fires and nobody hears of it"
        )
    key = customer_key(stack, topic)
    if key is not None and key.resource is not None:
        policy = [*own_statements(stack, key.resource)]
        if not all(lets_service_in(policy, CLOUDWATCH, action) for action in _KEY_ACTIONS):
            return (
                f"the policy of {key.resource.name}, the key of the topic {topic.name}, does not let {CLOUDWATCH} use "
                f"{' and '.join(_KEY_ACTIONS)}, so the alarm fires and nobody hears of it"
            )
    statements = [*own_statements(stack, topic)]
    if statements and not _may_publish(statements):
        return (
            f"the policy of the topic {topic.name} does not let {CLOUDWATCH} publish, so the alarm fires and nobody "
            "hears of it"
        )
    return None


def _may_publish(statements: list[Statement]) -> bool:
    return lets_service_in(statements, CLOUDWATCH, "sns:Publish", by_account=True)
