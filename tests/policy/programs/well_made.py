"""A program that satisfies every rule.

A table is read by a function and a pipe and copied to Kinesis; changes go on by a topic, an event rule and a schedule;
there is a Kinesis stream, a queue and an API.
"""

import json

import pulumi
import pulumi_aws as aws

EXPECTED = set()

TRUST = {
    service: json.dumps(
        {
            "Statement": {
                "Effect": "Allow",
                "Action": "sts:AssumeRole",
                "Principal": {"Service": f"{service}.amazonaws.com"},
            }
        }
    )
    for service in ("lambda", "pipes")
}
READS = ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"]


def alarm(name, namespace, metric, dimensions, threshold, statistic, topic, **more):
    aws.cloudwatch.MetricAlarm(
        name,
        namespace=namespace,
        metric_name=metric,
        dimensions=dimensions,
        statistic=statistic,
        period=60,
        evaluation_periods=3,
        threshold=threshold,
        comparison_operator="GreaterThanOrEqualToThreshold",
        alarm_actions=[topic.arn],
        **more,
    )


def policy(name, role, *statements):
    aws.iam.RolePolicy(
        name,
        role=role.id,
        policy=pulumi.Output.json_dumps(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {"Effect": "Allow", "Action": action, "Resource": resource} for action, resource in statements
                ],
            }
        ),
    )


def function(name, role, **more):
    return aws.lambda_.Function(
        name,
        role=role.arn,
        runtime="python3.13",
        handler="app.handler",
        code=pulumi.AssetArchive({"app.py": pulumi.StringAsset("")}),
        **more,
    )


def program():
    oncall = aws.sns.Topic("oncall")
    users = aws.dynamodb.Table(
        "users",
        hash_key="userId",
        attributes=[{"name": "userId", "type": "S"}],
        billing_mode="PAY_PER_REQUEST",
        stream_enabled=True,
        stream_view_type="NEW_AND_OLD_IMAGES",
        point_in_time_recovery={"enabled": True},
        deletion_protection_enabled=True,
    )
    aws.dynamodb.Table(
        "effects",
        hash_key="effectKey",
        attributes=[{"name": "effectKey", "type": "S"}],
        billing_mode="PAY_PER_REQUEST",
        ttl={"attribute_name": "expiresAt", "enabled": True},
        tags={"weir:role": "effect-ledger"},
    )
    mails(users, oncall)
    webhooks(users, oncall)
    history(users, oncall)
    clicks(oncall)
    onwards()
    jobs()
    api()


def mails(users, oncall):
    """A function behind an alias, its failures in a queue with a customer managed key."""
    key = aws.kms.Key("mails-key")
    failures = aws.sqs.Queue("mails-failures", message_retention_seconds=1209600, kms_master_key_id=key.arn)
    role = aws.iam.Role("mails", assume_role_policy=TRUST["lambda"])
    policy(
        "mails",
        role,
        (READS, users.stream_arn),
        ("dynamodb:ListStreams", "*"),
        ("sqs:SendMessage", failures.arn),
        (["kms:GenerateDataKey", "kms:Decrypt"], key.arn),
        ("dynamodb:UpdateItem", users.arn),
    )
    code = function("mails", role, publish=True, timeout=30)
    live = aws.lambda_.Alias("live", function_name=code.name, function_version=code.version)
    aws.lambda_.EventSourceMapping(
        "mails",
        function_name=live.arn,
        event_source_arn=users.stream_arn,
        starting_position="TRIM_HORIZON",
        batch_size=100,
        bisect_batch_on_function_error=True,
        function_response_types=["ReportBatchItemFailures"],
        maximum_retry_attempts=12,
        maximum_record_age_in_seconds=64800,
        filter_criteria={"filters": [{"pattern": json.dumps({"eventName": ["INSERT"]})}]},
        destination_config={"on_failure": {"destination_arn": failures.arn}},
        metrics_config={"metrics": ["EventCount"]},
    )
    alarm(
        "mails-behind", "AWS/Lambda", "IteratorAge", {"FunctionName": code.name}, 3600000, "Maximum", oncall
    )  # fmt: skip
    alarm(
        "mails-dead-letters", "AWS/SQS", "ApproximateNumberOfMessagesVisible",
        {"QueueName": failures.name}, 1, "Maximum", oncall,
    )  # fmt: skip


def webhooks(users, oncall):
    """A pipe, its failures in a queue whose own policy lets it in."""
    failures = aws.sqs.Queue("webhooks-failures", message_retention_seconds=1209600)
    target = aws.sqs.Queue("webhooks")
    role = aws.iam.Role("webhooks", assume_role_policy=TRUST["pipes"])
    policy("webhooks", role, (READS, users.stream_arn), ("sqs:SendMessage", [failures.arn, target.arn]))
    logs = aws.cloudwatch.LogGroup("webhooks", retention_in_days=30)
    pipe = aws.pipes.Pipe(
        "webhooks",
        role_arn=role.arn,
        source=users.stream_arn,
        target=target.arn,
        source_parameters={
            "dynamodb_stream_parameters": {
                "starting_position": "TRIM_HORIZON",
                "batch_size": 10,
                "maximum_retry_attempts": 20,
                "maximum_record_age_in_seconds": 64800,
                "on_partial_batch_item_failure": "AUTOMATIC_BISECT",
                "dead_letter_config": {"arn": failures.arn},
            },
            "filter_criteria": {"filters": [{"pattern": json.dumps({"eventName": ["INSERT", "MODIFY"]})}]},
        },
        log_configuration={"level": "ERROR", "cloudwatch_logs_log_destination": {"log_group_arn": logs.arn}},
    )
    alarm(
        "webhooks-failing", "AWS/EventBridge/Pipes", "ExecutionFailed", {"PipeName": pipe.name}, 1, "Sum", oncall
    )  # fmt: skip
    alarm(
        "webhooks-dead-letters", "AWS/SQS", "ApproximateNumberOfMessagesVisible",
        {"QueueName": failures.name}, 1, "Maximum", oncall,
    )  # fmt: skip


def history(users, oncall):
    """The table's changes in Kinesis too."""
    stream = aws.kinesis.Stream("history", shard_count=1)
    aws.dynamodb.KinesisStreamingDestination("history", table_name=users.name, stream_arn=stream.arn)
    alarm(
        "history-stuck", "AWS/DynamoDB", "AgeOfOldestUnreplicatedRecord",
        {"TableName": users.name}, 300000, "Maximum", oncall,
    )  # fmt: skip


def onwards():
    """Changes that go on by a topic, an event rule and a schedule, each with a dead letter queue."""
    undelivered = aws.sqs.Queue("undelivered")
    redrive = pulumi.Output.json_dumps({"deadLetterTargetArn": undelivered.arn})
    changes = aws.sns.Topic("changes")
    crm = aws.sqs.Queue("crm")
    aws.sns.TopicSubscription(
        "crm", topic=changes.arn, protocol="sqs", endpoint=crm.arn, redrive_policy=redrive
    )  # fmt: skip
    upgrades = aws.cloudwatch.EventRule("upgrades", event_pattern=json.dumps({"source": ["users"]}))
    target = "arn:aws:lambda:us-east-1:111122223333:function:upgrades"
    aws.cloudwatch.EventTarget(
        "upgrades", rule=upgrades.name, arn=target, dead_letter_config={"arn": undelivered.arn}
    )  # fmt: skip
    aws.scheduler.Schedule(
        "nightly",
        schedule_expression="rate(1 day)",
        flexible_time_window={"mode": "OFF"},
        target={
            "arn": target,
            "role_arn": "arn:aws:iam::111122223333:role/scheduler",
            "dead_letter_config": {"arn": undelivered.arn},
        },
    )


def clicks(oncall):
    """A Kinesis stream that is kept for a week, its failures in a bucket."""
    stream = aws.kinesis.Stream("clicks", shard_count=1, retention_period=168)
    archive = aws.s3.Bucket("clicks-failures")
    role = aws.iam.Role(
        "clicks",
        assume_role_policy=TRUST["lambda"],
        managed_policy_arns=["arn:aws:iam::aws:policy/service-role/AWSLambdaKinesisExecutionRole"],
    )
    policy(
        "clicks", role, ("s3:PutObject", pulumi.Output.concat(archive.arn, "/*")), ("s3:ListBucket", archive.arn)
    )  # fmt: skip
    code = function("clicks", role)
    mapping = aws.lambda_.EventSourceMapping(
        "clicks",
        function_name=code.name,
        event_source_arn=stream.arn,
        starting_position="TRIM_HORIZON",
        bisect_batch_on_function_error=True,
        function_response_types=["ReportBatchItemFailures"],
        maximum_record_age_in_seconds=172800,
        destination_config={"on_failure": {"destination_arn": archive.arn}},
        metrics_config={"metrics": ["EventCount"]},
    )
    aws.cloudwatch.MetricAlarm(
        "clicks-behind",
        metric_queries=[
            {
                "id": "age",
                "metric": {
                    "namespace": "AWS/Lambda",
                    "metric_name": "IteratorAge",
                    "dimensions": {"FunctionName": code.name},
                    "stat": "Maximum",
                    "period": 300,
                },
            },
            {"id": "hours", "expression": "FILL(age, 0) / 3600000", "return_data": True},
        ],
        evaluation_periods=2,
        threshold=6,
        comparison_operator="GreaterThanThreshold",
        alarm_actions=[oncall.arn],
    )
    alarm(
        "clicks-given-up", "AWS/Lambda", "OnFailureDestinationDeliveredEventCount",
        {"EventSourceMappingUUID": mapping.uuid}, 1, "Sum", oncall,
    )  # fmt: skip


def jobs():
    """A queue that a function works on; and Kafka, which the rules leave alone."""
    dead = aws.sqs.Queue("jobs-dead")
    queue = aws.sqs.Queue(
        "jobs",
        visibility_timeout_seconds=360,
        redrive_policy=pulumi.Output.json_dumps({"deadLetterTargetArn": dead.arn, "maxReceiveCount": 5}),
    )
    role = aws.iam.Role(
        "jobs",
        assume_role_policy=TRUST["lambda"],
        managed_policy_arns=["arn:aws:iam::aws:policy/service-role/AWSLambdaSQSQueueExecutionRole"],
    )
    code = function("jobs", role, timeout=60)
    aws.lambda_.EventSourceMapping(
        "jobs",
        function_name=code.arn,
        event_source_arn=queue.arn,
        function_response_types=["ReportBatchItemFailures"],
    )
    aws.lambda_.EventSourceMapping(
        "kafka",
        function_name=code.arn,
        event_source_arn="arn:aws:kafka:us-east-1:111122223333:cluster/orders/00000000-0000-4000-8000-000000000000-1",
        topics=["orders"],
        starting_position="LATEST",
    )


def api():
    http = aws.apigatewayv2.Api("api", protocol_type="HTTP")
    aws.apigatewayv2.Route("upgrade", api_id=http.id, route_key="POST /plan", authorization_type="AWS_IAM")
    websocket = aws.apigatewayv2.Api("live", protocol_type="WEBSOCKET")
    aws.apigatewayv2.Route("connect", api_id=websocket.id, route_key="$connect")
