"""`schedule-dead-letter`: a call that a schedule's target refuses is kept."""

from __future__ import annotations

from collections.abc import Iterator

from policies.aws_types import SCHEDULE
from policies.graph import Stack
from policies.not_applicable import NotApplicable
from policies.resources import Resource
from policies.rule import Config, StackRule, Violation
from policies.stream_readers import has_stream
from policies.wording import setting


def check(schedule: Resource, stack: Stack, _: Config) -> Iterator[Violation]:
    """Check that a schedule has a dead letter queue."""
    if not has_stream(stack):
        raise NotApplicable("the program has no stream that the schedule could serve")
    if schedule.props.block("target").block("deadLetterConfig").text("arn") is None:
        yield Violation(
            what="the schedule has no dead letter queue",
            lost="a call is gone at once when the target is deleted or refuses the schedule's role, and after 24 h of "
            "retries when it stays away: a time-out that never fires, a reconciliation that never runs",
        )


RULE = StackRule(
    id="schedule-dead-letter",
    level="advisory",
    severity="medium",
    title="A schedule should have a dead letter queue",
    why="EventBridge Scheduler retries a call for 24 h and 185 times by default, and drops it then. A schedule that "
    "completes is often deleted with its last call, so that nothing is left to look at "
    "(https://docs.aws.amazon.com/scheduler/latest/UserGuide/configuring-schedule-dlq.html).",
    remediation=f"Set {setting('deadLetterConfig', {'arn': '…'})} of the schedule's target to a standard queue that "
    "its role may send to.",
    resources=(SCHEDULE,),
    check=check,
    limits="Schedules that code creates at run time are not seen. A program without a stream is not judged.",
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
        nightly:
          type: aws:scheduler:Schedule
          properties:
            scheduleExpression: rate(1 day)
            flexibleTimeWindow: {mode: "OFF"}
            target:
              arn: arn:aws:lambda:us-east-1:111122223333:function:reconcile
              roleArn: arn:aws:iam::111122223333:role/scheduler
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
        nightly:
          type: aws:scheduler:Schedule
          properties:
            scheduleExpression: rate(1 day)
            flexibleTimeWindow: {mode: "OFF"}
            target:
              arn: arn:aws:lambda:us-east-1:111122223333:function:reconcile
              roleArn: arn:aws:iam::111122223333:role/scheduler
        """,
    ),
)
