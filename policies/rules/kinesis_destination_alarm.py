"""`kinesis-destination-alarm`: somebody hears when a table's changes no longer reach Kinesis."""

from __future__ import annotations

from collections.abc import Iterator

from policies.alarm_demands import A_THRESHOLD, Demand, is_heard, lacking
from policies.aws_types import KINESIS_DESTINATION, TABLE
from policies.graph import Stack
from policies.metric_alarms import Target, alarms, reacts, seconds_to_react
from policies.names import physical_name
from policies.regions import region_of
from policies.resources import Resource, whole
from policies.rule import Config, Parameter, StackRule, Violation


def check(destination: Resource, stack: Stack, config: Config) -> Iterator[Violation]:
    """Check that an alarm watches the age of changes that have not reached the table's Kinesis stream."""
    table, found = stack.follow(destination, "tableName", TABLE), alarms(stack)
    latest = float(config["maximum_hours"]) * 3600
    if isinstance(table, Resource):
        target = Target.of(table)
    else:
        name = physical_name(TABLE, table) if table else None
        target = Target(name, [], region_of(destination))
    missing = lacking(
        found.on("AWS/DynamoDB", "AgeOfOldestUnreplicatedRecord", "TableName", target),
        "no alarm watches AgeOfOldestUnreplicatedRecord of the table",
        [
            A_THRESHOLD,
            Demand(
                lambda watched: reacts(watched, (latest - seconds_to_react(watched)) * 1000),
                f"the alarm comes later than {whole(latest / 3600)} h after the changes stopped to flow",
            ),
            is_heard(found),
        ],
    )
    if missing is not None:
        yield Violation(
            what=missing,
            lost="when changes can no longer be written to the Kinesis stream (its policy, its key, too few shards), "
            "DynamoDB switches the destination off after 168 h, and every change from then on is missing",
        )


RULE = StackRule(
    id="kinesis-destination-alarm",
    level="mandatory",
    severity="high",
    title="A table's Kinesis destination must have an alarm on its age",
    why="DynamoDB writes a table's changes to Kinesis by itself and retries for 168 h, then it disables the "
    "destination without a word. AgeOfOldestUnreplicatedRecord is the only sign before (docs/aws-semantics.md §4).",
    remediation="Add an alarm on AWS/DynamoDB AgeOfOldestUnreplicatedRecord (milliseconds) with the table's name as "
    "dimension TableName, statistic Maximum, a threshold of minutes, and an action whose topic CloudWatch may publish "
    "to.",
    resources=(KINESIS_DESTINATION,),
    parameters={
        "maximum_hours": Parameter(
            default=24,
            schema={"type": "number", "exclusiveMinimum": 0, "maximum": 168},
            description="The age in hours at which an alarm must have fired.",
        )
    },
    check=check,
    limits="Alarms that are created outside the program, and in a preview those created inside `apply`, are not seen.",
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
        changes: {type: aws:kinesis:Stream, properties: {shardCount: 1}}
        to-kinesis:
          type: aws:dynamodb:KinesisStreamingDestination
          properties: {tableName: "${users.name}", streamArn: "${changes.arn}"}
        stuck:
          type: aws:cloudwatch:MetricAlarm
          properties:
            namespace: AWS/DynamoDB
            metricName: AgeOfOldestUnreplicatedRecord
            dimensions: {TableName: "${users.name}"}
            statistic: Maximum
            period: 60
            evaluationPeriods: 3
            threshold: 300000
            comparisonOperator: GreaterThanThreshold
            alarmActions: ["arn:aws:sns:us-east-1:111122223333:oncall"]
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
        changes: {type: aws:kinesis:Stream, properties: {shardCount: 1}}
        to-kinesis:
          type: aws:dynamodb:KinesisStreamingDestination
          properties: {tableName: "${users.name}", streamArn: "${changes.arn}"}
        """,
    ),
)
