"""`pipe-alarms`: somebody hears when a pipe stops delivering."""

from __future__ import annotations

from collections.abc import Iterator

from policies.alarm_demands import A_THRESHOLD, Demand, is_heard, lacking
from policies.aws_types import PIPE
from policies.graph import Stack
from policies.metric_alarms import Target, alarms, reacts
from policies.resources import Resource, some
from policies.rule import Config, StackRule, Violation
from policies.stream_readers import stream_kind

_METRICS = ("ExecutionFailed", "TargetStageFailed")
_NONE = "no alarm watches the pipe's ExecutionFailed or TargetStageFailed"
#: More failures than any period holds: an alarm that is silent then looks the other way.
_MANY = 1e12


def check(pipe: Resource, stack: Stack, _: Config) -> Iterator[Violation]:
    """Check that an alarm watches the failures of a pipe with a stream as its source."""
    stream_kind(stack, pipe)
    found, target = alarms(stack), Target.of(pipe)
    demands = [
        A_THRESHOLD,
        Demand(lambda watched: reacts(watched, _MANY), "the alarm does not fire when executions fail"),
        is_heard(found),
    ]

    def missing(metric: str) -> str | None:
        return lacking(found.on("AWS/EventBridge/Pipes", metric, "PipeName", target), _NONE, demands)

    if some(_METRICS, lambda metric: missing(metric) is None):
        return
    said = [missing(metric) or "" for metric in _METRICS]
    yield Violation(
        what=next((each for each in said if each != _NONE), _NONE),
        lost="a pipe has no iterator age and no log of yours: when its target refuses everything, or AWS stops it for "
        "missing permissions, nothing says so, and 24 h later changes are gone",
    )


RULE = StackRule(
    id="pipe-alarms",
    level="mandatory",
    severity="high",
    title="A pipe that reads a stream must have an alarm on its failures",
    why="How far a pipe is behind is not measured, so its failures are the only sign, and they come before the stream "
    "forgets: ExecutionFailed when a batch failed, TargetStageFailed when the target refused it "
    "(docs/aws-semantics.md §3.6).",
    remediation="Add an alarm on AWS/EventBridge/Pipes ExecutionFailed with the pipe's name as dimension PipeName, and "
    "an action.",
    resources=(PIPE,),
    check=check,
    limits="Alarms that are created outside the program, and in a preview those created inside `apply`, are not "
    "seen. Of Metrics Insights, a query over one metric is read. A dimension made from an attribute that is not "
    "known yet (the ARN where the name belongs) is reported only after `up`.",
    good=(
        """
        webhooks:
          type: aws:pipes:Pipe
          properties:
            roleArn: arn:aws:iam::111122223333:role/pipe
            source: arn:aws:dynamodb:us-east-1:111122223333:table/users/stream/2026-01-01T00:00:00.000
            target: arn:aws:sqs:us-east-1:111122223333:webhooks
            sourceParameters:
              dynamodbStreamParameters: {startingPosition: TRIM_HORIZON}
        webhooks-failing:
          type: aws:cloudwatch:MetricAlarm
          properties:
            namespace: AWS/EventBridge/Pipes
            metricName: ExecutionFailed
            dimensions: {PipeName: "${webhooks.name}"}
            statistic: Sum
            period: 60
            evaluationPeriods: 1
            threshold: 1
            comparisonOperator: GreaterThanOrEqualToThreshold
            alarmActions: ["arn:aws:sns:us-east-1:111122223333:oncall"]
        """,
    ),
    bad=(
        """
        webhooks:
          type: aws:pipes:Pipe
          properties:
            roleArn: arn:aws:iam::111122223333:role/pipe
            source: arn:aws:dynamodb:us-east-1:111122223333:table/users/stream/2026-01-01T00:00:00.000
            target: arn:aws:sqs:us-east-1:111122223333:webhooks
            sourceParameters:
              dynamodbStreamParameters: {startingPosition: TRIM_HORIZON}
        """,
    ),
)
