"""Failures meant to stay in order: a FIFO queue for the mapping, a FIFO topic for the pipe, which AWS does not take."""

import pulumi_aws as aws

STREAM = "arn:aws:dynamodb:us-east-1:111122223333:table/users/stream/2026-01-01T00:00:00.000"
EXPECTED = {
    ("on-failure-destination-standard", "mapping"),
    ("on-failure-destination-standard", "pipe"),
    ("dead-letter-alarm", "failures"),
    ("dead-letter-retention", "failures"),
    ("dead-letter-retention", "pipe-failures"),
    ("failure-path-encryption", "pipe-failures"),
    ("pipe-alarms", "pipe"),
    ("iterator-age-alarm", "mapping"),
}


def program():
    failures = aws.sqs.Queue("failures", fifo_queue=True)
    topic = aws.sns.Topic("pipe-failures", name="pipe-failures.fifo", fifo_topic=True)
    # The function and the role belong to another program.
    aws.lambda_.EventSourceMapping(
        "mapping",
        event_source_arn=STREAM,
        function_name="arn:aws:lambda:us-east-1:111122223333:function:orders",
        starting_position="TRIM_HORIZON",
        maximum_retry_attempts=12,
        bisect_batch_on_function_error=True,
        function_response_types=["ReportBatchItemFailures"],
        metrics_config={"metrics": ["EventCount"]},
        destination_config={"on_failure": {"destination_arn": failures.arn}},
    )
    aws.pipes.Pipe(
        "pipe",
        role_arn="arn:aws:iam::111122223333:role/pipe",
        source=STREAM,
        target="arn:aws:sqs:us-east-1:111122223333:target",
        source_parameters={
            "dynamodb_stream_parameters": {
                "starting_position": "TRIM_HORIZON",
                "maximum_retry_attempts": 12,
                "on_partial_batch_item_failure": "AUTOMATIC_BISECT",
                "dead_letter_config": {"arn": topic.arn},
            }
        },
        log_configuration={
            "level": "ERROR",
            "cloudwatch_logs_log_destination": {"log_group_arn": "arn:aws:logs:us-east-1:111122223333:log-group:pipe"},
        },
    )
