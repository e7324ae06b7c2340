"""Filters that let nothing through: a number compared, an image the stream lacks, a Kinesis record's content."""

import json

import pulumi_aws as aws

EXPECTED = {("filter-can-match", name) for name in ("numbers", "images", "kinesis", "invalid")} | {
    ("stream-view-type", "keys"),
}


def program():
    keys = aws.dynamodb.Table(
        "keys",
        attributes=[{"name": "id", "type": "S"}],
        hash_key="id",
        billing_mode="PAY_PER_REQUEST",
        stream_enabled=True,
        stream_view_type="KEYS_ONLY",
        point_in_time_recovery={"enabled": True},
        deletion_protection_enabled=True,
    )
    users = "arn:aws:dynamodb:us-east-1:111122223333:table/users/stream/2026-01-01T00:00:00.000"
    clicks = "arn:aws:kinesis:us-east-1:111122223333:stream/clicks"
    image = {"dynamodb": {"NewImage": {"plan": {"S": ["pro"]}}}}
    consumer("numbers", users, {"dynamodb": {"NewImage": {"age": {"N": [{"numeric": [">", 17]}]}}}})
    consumer("images", keys.stream_arn, image)
    consumer("kinesis", clicks, image)
    consumer("invalid", users, {"eventName": "INSERT"})
    consumer("fine", "arn:aws:dynamodb:us-east-1:111122223333:table/orders/stream/2026-01-01T00:00:00.000", image)
    consumer("data", clicks, {"data": image})


def consumer(name, source, pattern):
    aws.lambda_.EventSourceMapping(
        name,
        event_source_arn=source,
        function_name=name,
        starting_position="TRIM_HORIZON",
        maximum_retry_attempts=10,
        bisect_batch_on_function_error=True,
        function_response_types=["ReportBatchItemFailures"],
        metrics_config={"metrics": ["EventCount"]},
        filter_criteria={"filters": [{"pattern": json.dumps(pattern)}]},
        destination_config={"on_failure": {"destination_arn": "arn:aws:sqs:us-east-1:111122223333:failures"}},
    )
    aws.cloudwatch.MetricAlarm(
        name,
        namespace="AWS/Lambda",
        metric_name="IteratorAge",
        dimensions={"FunctionName": name},
        statistic="Maximum",
        period=60,
        evaluation_periods=1,
        threshold=3600000,
        comparison_operator="GreaterThanThreshold",
        alarm_actions=["arn:aws:sns:us-east-1:111122223333:oncall"],
    )
