"""Every side effect reads the stream itself: three on a table, two on a global table. A paused one does not count."""

import pulumi_aws as aws

EXPECTED = {("stream-reader-limit", "users"), ("stream-reader-limit", "accounts"), ("mapping-enabled", "paused")}
FAILURES = "arn:aws:sqs:us-east-1:111122223333:failures"


def table(name, **more):
    return aws.dynamodb.Table(
        name,
        attributes=[{"name": "id", "type": "S"}],
        hash_key="id",
        billing_mode="PAY_PER_REQUEST",
        stream_enabled=True,
        stream_view_type="NEW_AND_OLD_IMAGES",
        point_in_time_recovery={"enabled": True},
        deletion_protection_enabled=True,
        **more,
    )


def reader(name, stream_arn, **more):
    aws.lambda_.EventSourceMapping(
        name,
        event_source_arn=stream_arn,
        function_name=name,
        starting_position="TRIM_HORIZON",
        maximum_record_age_in_seconds=43200,
        bisect_batch_on_function_error=True,
        function_response_types=["ReportBatchItemFailures"],
        metrics_config={"metrics": ["EventCount"]},
        destination_config={"on_failure": {"destination_arn": FAILURES}},
        **more,
    )
    aws.cloudwatch.MetricAlarm(
        f"{name}-age",
        namespace="AWS/Lambda",
        metric_name="IteratorAge",
        dimensions={"FunctionName": name},
        statistic="Maximum",
        period=60,
        evaluation_periods=1,
        threshold=1800000,
        comparison_operator="GreaterThanOrEqualToThreshold",
        alarm_actions=["arn:aws:sns:us-east-1:111122223333:oncall"],
    )


def program():
    users = table("users")
    for name in ("mails", "search", "audit"):
        reader(name, users.stream_arn)
    accounts = table("accounts", replicas=[{"region_name": "eu-central-1"}])
    for name in ("crm", "billing"):
        reader(name, accounts.stream_arn)
    orders = table("orders")
    for name in ("stock", "invoices"):
        reader(name, orders.stream_arn)
    reader("paused", orders.stream_arn, enabled=False)
