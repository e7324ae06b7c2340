"""`event-target-dead-letter`: an event that a rule's target refuses is kept."""

from __future__ import annotations

from collections.abc import Iterator

from policies.aws_types import API_DESTINATION, EVENT_RULE, RULE_TARGET
from policies.graph import Stack
from policies.names import Arn
from policies.not_applicable import Awaited, NotApplicable
from policies.resources import Resource
from policies.rule import Config, StackRule, Violation
from policies.stream_readers import has_stream
from policies.wording import setting


def check(target: Resource, stack: Stack, _: Config) -> Iterator[Violation]:
    """Check that the target of an event rule has a dead letter queue."""
    if not has_stream(stack):
        raise NotApplicable("the program has no stream whose changes could be events")
    rule = stack.follow(target, "rule", EVENT_RULE)
    if isinstance(rule, Resource) and rule.props.given("scheduleExpression"):
        raise NotApplicable(f"{target.name} is called by the clock, not by changes")
    if target.props.block("deadLetterConfig").text("arn") is None:
        calls_http = _is_api_destination(target, stack)
        yield Violation(
            what="the API destination of a rule has no dead letter queue"
            if calls_http
            else "the rule's target has no dead letter queue",
            lost=(
                "an event that the API answers with 400, 403, 404, 408, 410 or 422 is gone at once, and one that waits "
                "behind its rate of calls for 24 h is gone then"
                if calls_http
                else "an event is gone at once when the target is deleted or refuses EventBridge, and after 24 h of "
                "retries when it stays away; only the metric FailedInvocations moves"
            ),
        )


def _is_api_destination(target: Resource, stack: Stack) -> bool:
    try:
        found = stack.follow(target, "arn", API_DESTINATION)
    except Awaited:
        return False
    if isinstance(found, Resource):
        return True
    arn = Arn.parse(found)
    return arn is not None and arn.service == "events" and arn.resource.startswith("api-destination/")


RULE = StackRule(
    id="event-target-dead-letter",
    level="advisory",
    severity="medium",
    title="The target of an event rule should have a dead letter queue",
    why="EventBridge retries a target for 24 h and 185 times, and answers that promise no success not at all: most 4xx "
    "answers of an API destination, a denied or deleted target. An API destination also has a rate of calls that its "
    "events wait behind. After that an event is dropped "
    "(https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html).",
    remediation=f"Set {setting('deadLetterConfig', {'arn': '…'})} of the target to a standard queue whose policy lets "
    "events.amazonaws.com send.",
    resources=(RULE_TARGET,),
    check=check,
    limits="Targets of rules with a schedule are not judged, and neither is a program without a stream.",
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
        undelivered: {type: aws:sqs:Queue}
        upgrades: {type: aws:cloudwatch:EventRule, properties: {eventPattern: '{"source": ["users"]}'}}
        to-crm:
          type: aws:cloudwatch:EventTarget
          properties:
            rule: ${upgrades.name}
            arn: arn:aws:lambda:us-east-1:111122223333:function:crm
            deadLetterConfig: {arn: "${undelivered.arn}"}
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
        upgrades: {type: aws:cloudwatch:EventRule, properties: {eventPattern: '{"source": ["users"]}'}}
        to-crm:
          type: aws:cloudwatch:EventTarget
          properties:
            rule: ${upgrades.name}
            arn: arn:aws:events:us-east-1:111122223333:api-destination/crm/0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0
            roleArn: arn:aws:iam::111122223333:role/events
        """,
    ),
)
