"""`iterator-age-alarm`: somebody is called before the stream forgets."""

from __future__ import annotations

from collections.abc import Iterator

from aws_semantics.limits import STREAM_RETENTION_SECONDS
from policies.alarm_demands import A_THRESHOLD, Demand, is_heard, lacking
from policies.aws_types import MAPPING
from policies.graph import Stack, name_to_come
from policies.metric_alarms import Target, WatchedMetric, alarms, reacts, seconds_to_react
from policies.not_applicable import Awaited
from policies.regions import region_of
from policies.resources import Resource, whole
from policies.rule import Config, Parameter, StackRule, Violation
from policies.stream_readers import Invoked, invoked, retention_seconds, stream_kind

#: Ages are whole milliseconds: half of one decides at the limit itself, whether the alarm compares with > or >=.
_HALF = 0.5


def check(mapping: Resource, stack: Stack, config: Config) -> Iterator[Violation]:
    """Check that an alarm watches the iterator age of the function of a stream mapping, and comes in time."""
    stream_kind(stack, mapping)
    function, found = invoked(stack, mapping), alarms(stack)
    retention, forgets = _retention(stack, mapping)
    latest = min(float(config["maximum_hours"]) * 3600, retention)

    def in_time(watched: WatchedMetric) -> bool:
        return reacts(watched, (latest - seconds_to_react(watched)) * 1000 + _HALF)

    def before_records_are_cut(watched: WatchedMetric) -> bool:
        age = mapping.props.number("maximumRecordAgeInSeconds")
        return age is None or age < 60 or reacts(watched, (age - seconds_to_react(watched)) * 1000 - _HALF)

    demands = [
        Demand(lambda watched: _is_its(watched, function), "the alarm watches another alias or version"),
        Demand(lambda watched: watched.statistic() == "Maximum", "the alarm's statistic is not Maximum"),
        is_heard(found),
        A_THRESHOLD,
        Demand(in_time, f"the alarm comes later than {whole(latest / 3600)} h behind the table"),
        Demand(before_records_are_cut, "records are cut off at the record age before the alarm can fire"),
    ]
    watching = found.on("AWS/Lambda", "IteratorAge", "FunctionName", _target(mapping, function), across=True)
    missing = lacking(watching, "no alarm watches the function's IteratorAge", demands)
    if missing is not None:
        yield Violation(
            what=missing,
            lost=f"a consumer that falls behind is found when the stream has begun to forget: {forgets} after it "
            "stopped, changes are gone",
            about=function.function,
        )


def _retention(stack: Stack, mapping: Resource) -> tuple[float, str]:
    """Tell how long the stream keeps a record, in seconds and in words."""
    try:
        seconds = retention_seconds(stack, mapping)
    except Awaited:
        return STREAM_RETENTION_SECONDS, "24 h (or as long as the Kinesis stream is kept)"
    return seconds, f"{whole(seconds / 3600)} h"


def _target(mapping: Resource, function: Invoked) -> Target:
    resources = [each.urn for each in (function.function, function.alias) if each is not None]
    begins = None if function.function is None else name_to_come(function.function)
    # Lambda reads with a function of the mapping's own region only.
    return Target(function.name, resources, region_of(mapping), begins)


def _is_its(watched: WatchedMetric, function: Invoked) -> bool:
    """Test whether the metric is the whole function's, or that of the alias or version the mapping invokes."""
    try:
        others = {key: value for key, value in watched.dimensions().items() if key != "FunctionName"}
    except Awaited:
        return True
    if not others:
        return True
    resource = others.pop("Resource", None)
    if others:
        return False
    if resource is not None and function.name is not None:
        if function.alias is None or function.qualifier is not None:
            qualifier = "" if function.qualifier is None else f":{function.qualifier}"
            return resource == f"{function.name}{qualifier}"
    elif function.alias is not None and function.alias.urn in watched.alarm.links.get(watched.property, ()):
        return True
    raise Awaited(f"{watched.metric.path}.dimensions.Resource")


RULE = StackRule(
    id="iterator-age-alarm",
    level="mandatory",
    severity="critical",
    title="A function that reads a stream must have an alarm on its iterator age",
    why="Iterator age is the one number that turns into data loss: it is how far the consumer is behind, and at 24 h "
    "the stream forgets. The maximum counts: an average hides the one shard that does not move. An alarm at or behind "
    "the mapping's own record age can never fire, because records are cut off there (docs/aws-semantics.md §2.10).",
    remediation="Add an alarm on AWS/Lambda IteratorAge (milliseconds) with the function's name as dimension "
    "FunctionName, in the function's region, with the statistic Maximum, a threshold well below the record age, and an "
    "action whose topic CloudWatch may publish to.",
    resources=(MAPPING,),
    parameters={
        "maximum_hours": Parameter(
            default=12,
            schema={"type": "number", "exclusiveMinimum": 0, "maximum": 168},
            description="The iterator age in hours at which an alarm must have fired: threshold plus period times "
            "datapoints to alarm. The stream's own retention is the limit in any case.",
        )
    },
    check=check,
    limits="Of Metrics Insights, a query over one metric is read, whole or for one function; PromQL is not. Metric "
    "math that uses functions beyond arithmetic, comparison, IF, FILL, MAX, MIN, AVG, SUM, ABS, CEIL and FLOOR is "
    "taken to fire in time. Alarms that are created outside the program, and in a preview those created inside "
    "`apply`, are not seen. A dimension made from an attribute that is not known yet (the ARN where the name "
    "belongs) is reported only after `up`.",
    good=(
        """
        orders:
          type: aws:lambda:Function
          properties: {role: "arn:aws:iam::111122223333:role/orders"}
        orders-mapping:
          type: aws:lambda:EventSourceMapping
          properties:
            functionName: ${orders.arn}
            eventSourceArn: arn:aws:dynamodb:us-east-1:111122223333:table/users/stream/2026-01-01T00:00:00.000
            startingPosition: TRIM_HORIZON
            maximumRecordAgeInSeconds: 64800
        orders-behind:
          type: aws:cloudwatch:MetricAlarm
          properties:
            namespace: AWS/Lambda
            metricName: IteratorAge
            dimensions: {FunctionName: "${orders.name}"}
            statistic: Maximum
            period: 60
            evaluationPeriods: 5
            threshold: 3600000
            comparisonOperator: GreaterThanThreshold
            alarmActions: ["arn:aws:sns:us-east-1:111122223333:oncall"]
        """,
        """
        orders:
          type: aws:lambda:Function
          properties: {role: "arn:aws:iam::111122223333:role/orders"}
        orders-mapping:
          type: aws:lambda:EventSourceMapping
          properties:
            functionName: ${orders.arn}
            eventSourceArn: arn:aws:dynamodb:us-east-1:111122223333:table/users/stream/2026-01-01T00:00:00.000
            startingPosition: TRIM_HORIZON
        orders-behind:
          type: aws:cloudwatch:MetricAlarm
          properties:
            metricQueries:
              - id: age
                metric:
                  namespace: AWS/Lambda
                  metricName: IteratorAge
                  dimensions: {FunctionName: "${orders.name}"}
                  stat: Maximum
                  period: 300
              - {id: minutes, expression: age / 60000, returnData: true}
            evaluationPeriods: 1
            threshold: 60
            comparisonOperator: GreaterThanOrEqualToThreshold
            alarmActions: ["arn:aws:sns:us-east-1:111122223333:oncall"]
        """,
    ),
    bad=(
        """
        orders:
          type: aws:lambda:Function
          properties: {role: "arn:aws:iam::111122223333:role/orders"}
        orders-mapping:
          type: aws:lambda:EventSourceMapping
          properties:
            functionName: ${orders.arn}
            eventSourceArn: arn:aws:dynamodb:us-east-1:111122223333:table/users/stream/2026-01-01T00:00:00.000
            startingPosition: TRIM_HORIZON
        """,
        """
        orders:
          type: aws:lambda:Function
          properties: {role: "arn:aws:iam::111122223333:role/orders"}
        orders-mapping:
          type: aws:lambda:EventSourceMapping
          properties:
            functionName: ${orders.arn}
            eventSourceArn: arn:aws:dynamodb:us-east-1:111122223333:table/users/stream/2026-01-01T00:00:00.000
            startingPosition: TRIM_HORIZON
            maximumRecordAgeInSeconds: 3600
        orders-behind:
          type: aws:cloudwatch:MetricAlarm
          properties:
            namespace: AWS/Lambda
            metricName: IteratorAge
            dimensions: {FunctionName: "${orders.name}"}
            statistic: Maximum
            period: 60
            evaluationPeriods: 1
            threshold: 3600000
            comparisonOperator: GreaterThanThreshold
            alarmActions: ["arn:aws:sns:us-east-1:111122223333:oncall"]
        """,
    ),
)
