"""Values out of range, and combinations that exclude each other."""

import pulumi_aws as aws

CASES = {
    "batch": {"batch_size": 20000},
    "window": {"maximum_batching_window_in_seconds": 600},
    "factor": {"parallelization_factor": 20},
    "age": {"maximum_record_age_in_seconds": 30},
    "retries": {"maximum_retry_attempts": 20000, "maximum_record_age_in_seconds": 3600},
    "tumbling-factor": {"tumbling_window_in_seconds": 60, "parallelization_factor": 2},
    "tumbling-filter": {
        "tumbling_window_in_seconds": 60,
        "filter_criteria": {"filters": [{"pattern": '{"eventName": ["INSERT"]}'}]},
    },
    "filters": {"filter_criteria": {"filters": [{"pattern": '{"eventName": ["INSERT"]}'}] * 6}},
    "timestamp": {"starting_position": "AT_TIMESTAMP", "starting_position_timestamp": "2026-01-01T00:00:00Z"},
    "scaling": {"scaling_config": {"maximum_concurrency": 5}},
}
EXPECTED = {("mapping-settings", name) for name in CASES}


def program():
    for name, settings in {**CASES, "fine": {"tumbling_window_in_seconds": 60, "batch_size": 10000}}.items():
        usual = {"starting_position": "TRIM_HORIZON", "maximum_retry_attempts": 10}
        aws.lambda_.EventSourceMapping(
            name,
            event_source_arn=f"arn:aws:dynamodb:us-east-1:111122223333:table/{name}/stream/2026-01-01T00:00:00.000",
            function_name=name,
            bisect_batch_on_function_error=True,
            function_response_types=["ReportBatchItemFailures"],
            metrics_config={"metrics": ["EventCount"]},
            destination_config={"on_failure": {"destination_arn": "arn:aws:sqs:us-east-1:111122223333:failures"}},
            **{**usual, **settings},
        )
        aws.cloudwatch.MetricAlarm(
            name,
            namespace="AWS/Lambda",
            metric_name="IteratorAge",
            dimensions={"FunctionName": name},
            statistic="Maximum",
            period=60,
            evaluation_periods=1,
            threshold=1200000,
            comparison_operator="GreaterThanThreshold",
            alarm_actions=["arn:aws:sns:us-east-1:111122223333:oncall"],
        )
