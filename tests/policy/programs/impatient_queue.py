"""Queues whose messages come back while they are in work, and one that never sets a bad message aside."""

import json

import pulumi
import pulumi_aws as aws

EXPECTED = {
    ("queue-visibility-headroom", "short"),
    ("queue-visibility-timeout", "refused"),
    ("queue-visibility-timeout", "endless"),
    ("mapping-report-batch-item-failures", "endless"),
}


def program():
    dead = aws.sqs.Queue("dead")
    redrive = dead.arn.apply(lambda arn: json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 3}))
    queues = {
        "short": aws.sqs.Queue("short", redrive_policy=redrive),
        "refused": aws.sqs.Queue("refused", redrive_policy=redrive, visibility_timeout_seconds=9),
        "endless": aws.sqs.Queue("endless", visibility_timeout_seconds=900),
        "fine": aws.sqs.Queue("fine", visibility_timeout_seconds=60),
    }
    aws.sqs.RedrivePolicy("fine", queue_url=queues["fine"].id, redrive_policy=redrive)
    for name, queue in queues.items():
        function = aws.lambda_.Function(
            name, role="arn:aws:iam::111122223333:role/worker", s3_bucket="b", s3_key="k", timeout=10
        )
        aws.lambda_.EventSourceMapping(
            name,
            event_source_arn=queue.arn,
            function_name=pulumi.Output.concat(function.arn, ":live"),
            function_response_types=None if name == "endless" else ["ReportBatchItemFailures"],
        )
