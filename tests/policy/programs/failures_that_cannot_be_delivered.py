"""Failure destinations that the role may not write to: the bucket without its objects, a queue's key, another queue."""

import json

import pulumi_aws as aws

EXPECTED = {("on-failure-destination-permission", name) for name in ("objects", "key", "other", "denied")}

ACCOUNT = "us-east-1:111122223333"
ALARMED = ["arn:aws:sns:us-east-1:111122223333:oncall"]


def statements(*pairs):
    return json.dumps({"Statement": [{"Effect": "Allow", "Action": action, "Resource": arn} for action, arn in pairs]})


def consumer(name, destination, policy, number):
    role = aws.iam.Role(
        f"{name}-role",
        assume_role_policy="{}",
        inline_policies=[{"name": "own", "policy": policy}],
        managed_policy_arns=["arn:aws:iam::aws:policy/service-role/AWSLambdaDynamoDBExecutionRole"],
    )
    function = aws.lambda_.Function(f"{name}-function", name=name, role=role.arn, s3_bucket="b", s3_key="k")
    mapping = aws.lambda_.EventSourceMapping(
        name,
        event_source_arn=f"arn:aws:dynamodb:us-east-1:111122223333:table/t{number}/stream/2026-01-01T00:00:00.000",
        function_name=function.name,
        starting_position="TRIM_HORIZON",
        maximum_retry_attempts=10,
        bisect_batch_on_function_error=True,
        function_response_types=["ReportBatchItemFailures"],
        metrics_config={"metrics": ["EventCount"]},
        destination_config={"on_failure": {"destination_arn": destination}},
    )
    for metric, dimensions, statistic, threshold in (
        ("IteratorAge", {"FunctionName": name}, "Maximum", 3600000),
        ("OnFailureDestinationDeliveredEventCount", {"EventSourceMappingUUID": mapping.uuid}, "Sum", 1),
    ):
        aws.cloudwatch.MetricAlarm(
            f"{name}-{metric}",
            namespace="AWS/Lambda",
            metric_name=metric,
            dimensions=dimensions,
            statistic=statistic,
            period=60,
            evaluation_periods=1,
            threshold=threshold,
            comparison_operator="GreaterThanOrEqualToThreshold",
            alarm_actions=ALARMED,
        )


def queue(name, **more):
    made = aws.sqs.Queue(name, name=name, message_retention_seconds=1209600, **more)
    aws.cloudwatch.MetricAlarm(
        f"{name}-messages",
        namespace="AWS/SQS",
        metric_name="ApproximateNumberOfMessagesVisible",
        dimensions={"QueueName": made.name},
        statistic="Maximum",
        period=60,
        evaluation_periods=1,
        threshold=0,
        comparison_operator="GreaterThanThreshold",
        alarm_actions=ALARMED,
    )
    return made


def program():
    consumer(
        "objects", "arn:aws:s3:::failures", statements((["s3:PutObject", "s3:ListBucket"], "arn:aws:s3:::failures")), 0
    )
    consumer("bucket", "arn:aws:s3:::failures", statements(
        ("s3:PutObject*", "arn:aws:s3:::failures/*"), ("s3:List*", "arn:aws:s3:::failures")), 1)  # fmt: skip
    key = aws.kms.Key("failures-key")
    encrypted = queue("encrypted", kms_master_key_id=key.id)
    consumer("key", encrypted.arn, statements(("sqs:SendMessage", f"arn:aws:sqs:{ACCOUNT}:encrypted")), 2)
    own_key = queue("aws-key", kms_master_key_id="alias/aws/sqs")
    consumer("aws-key", own_key.arn, statements(("sqs:SendMessage", f"arn:aws:sqs:{ACCOUNT}:aws-key")), 3)
    wanted = queue("wanted")
    consumer("other", wanted.arn, statements(("sqs:SendMessage", f"arn:aws:sqs:{ACCOUNT}:unwanted")), 4)
    consumer("topic", "arn:aws:sns:us-east-1:111122223333:failures", statements(
        ("SNS:Publish", "arn:aws:sns:*:*:failures")), 5)  # fmt: skip
    consumer("denied", "arn:aws:sns:us-east-1:111122223333:failures", json.dumps({"Statement": [
        {"Effect": "Allow", "Action": "sns:Publish", "Resource": "arn:aws:sns:us-east-1:111122223333:failures"},
        {"Effect": "Deny", "Action": "sns:*", "Resource": "*"},
    ]}), 6)  # fmt: skip
