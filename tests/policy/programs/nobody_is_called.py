"""Alarms that nobody hears, that look elsewhere, or that come too late."""

import pulumi_aws as aws

EXPECTED = {
    ("iterator-age-alarm", name)
    for name in (
        "no-action",
        "muted",
        "average",
        "other-function",
        "too-late",
        "after-the-cut",
        "other-alias",
        "falling",
    )
} | {("dead-letter-alarm", "failures"), ("dead-letter-retention", "failures")}

#: Which alias the alarm names is computed from what is not known before.
KNOWN_AFTER_UP = {("iterator-age-alarm", "other-alias")}

ACTIONS = ["arn:aws:sns:us-east-1:111122223333:oncall"]


def program():
    failures = aws.sqs.Queue("failures", message_retention_seconds=345600)
    consumers = {
        name: aws.lambda_.Function(name, role="arn:aws:iam::111122223333:role/consumer", s3_bucket="b", s3_key="k")
        for _, name in sorted(each for each in EXPECTED if each[0] == "iterator-age-alarm")
    }
    consumers["by-composite"] = aws.lambda_.Function(
        "by-composite", role="arn:aws:iam::111122223333:role/consumer", s3_bucket="b", s3_key="k"
    )
    for number, (name, function) in enumerate(consumers.items()):
        alias = aws.lambda_.Alias(f"{name}-live", name="live", function_name=function.arn, function_version="1")
        aws.lambda_.EventSourceMapping(
            f"{name}-mapping",
            event_source_arn=f"arn:aws:dynamodb:us-east-1:111122223333:table/t{number}/stream/2026-01-01T00:00:00.000",
            function_name=alias.arn,
            starting_position="TRIM_HORIZON",
            maximum_record_age_in_seconds=7200,
            bisect_batch_on_function_error=True,
            function_response_types=["ReportBatchItemFailures"],
            metrics_config={"metrics": ["EventCount"]},
            destination_config={"on_failure": {"destination_arn": failures.arn}},
        )

    def alarm(name, **more):
        settings = {
            "namespace": "AWS/Lambda",
            "metric_name": "IteratorAge",
            "dimensions": {"FunctionName": consumers[name].name},
            "statistic": "Maximum",
            "period": 60,
            "evaluation_periods": 5,
            "threshold": 900000,
            "comparison_operator": "GreaterThanThreshold",
            "alarm_actions": ACTIONS,
        }
        return aws.cloudwatch.MetricAlarm(name, **{**settings, **more})

    alarm("no-action", alarm_actions=[], ok_actions=ACTIONS)
    alarm("muted", actions_enabled=False)
    alarm("average", statistic="Average")
    alarm("other-function", dimensions={"FunctionName": "somebody-elses"})
    alarm("too-late", threshold=43200000)
    alarm("after-the-cut", threshold=7200000)
    alarm("other-alias", dimensions={
        "FunctionName": consumers["other-alias"].name,
        "Resource": consumers["other-alias"].name.apply(lambda name: f"{name}:canary"),
    })  # fmt: skip
    alarm("falling", comparison_operator="LessThanThreshold")
    # This one is heard: by the composite alarm it sets off.
    child = alarm("by-composite", alarm_actions=None)
    aws.cloudwatch.CompositeAlarm(
        "heard",
        alarm_name="heard",
        alarm_rule=child.name.apply(lambda name: f'ALARM("{name}") OR ALARM("another")'),
        alarm_actions=ACTIONS,
    )
    aws.cloudwatch.MetricAlarm(
        "oldest-message",
        namespace="AWS/SQS",
        metric_name="ApproximateAgeOfOldestMessage",
        dimensions={"QueueName": failures.name},
        statistic="Maximum",
        period=60,
        evaluation_periods=1,
        threshold=86400,
        comparison_operator="GreaterThanOrEqualToThreshold",
        alarm_actions=ACTIONS,
    )
