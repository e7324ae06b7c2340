"""The function's dead letter queue taken for the stream's; bounded retries then throw records away in silence."""

import pulumi
import pulumi_aws as aws

EXPECTED = {
    ("mapping-on-failure-destination", "mapping"),
    ("retries-outlast-an-outage", "mapping"),
}


def program():
    users = aws.dynamodb.Table(
        "users",
        attributes=[{"name": "id", "type": "S"}],
        hash_key="id",
        billing_mode="PAY_PER_REQUEST",
        stream_enabled=True,
        stream_view_type="NEW_AND_OLD_IMAGES",
        point_in_time_recovery={"enabled": True},
        deletion_protection_enabled=True,
    )
    dead = aws.sqs.Queue("dead")
    role = aws.iam.Role("role", assume_role_policy="{}")
    aws.iam.RolePolicy(
        "policy",
        role=role.id,
        policy=pulumi.Output.all(dead.arn, users.stream_arn).apply(
            lambda arns: (
                f'''{{"Version": "2012-10-17", "Statement": [
                {{"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "{arns[0]}"}},
                {{"Effect": "Allow", "Action": ["dynamodb:GetRecords", "dynamodb:GetShardIterator",
                    "dynamodb:DescribeStream", "dynamodb:ListStreams"], "Resource": "{arns[1]}"}}]}}'''
            )
        ),
    )
    consumer = aws.lambda_.Function(
        "consumer", role=role.arn, image_uri="x", package_type="Image", dead_letter_config={"target_arn": dead.arn}
    )
    aws.lambda_.EventSourceMapping(
        "mapping",
        event_source_arn=users.stream_arn,
        # A partial ARN: the account and the function.
        function_name=consumer.name.apply(lambda name: f"111122223333:function:{name}"),
        starting_position="TRIM_HORIZON",
        maximum_retry_attempts=3,
        bisect_batch_on_function_error=True,
        function_response_types=["ReportBatchItemFailures"],
        metrics_config={"metrics": ["EventCount"]},
    )
    oncall = aws.sns.Topic("oncall")
    aws.cloudwatch.MetricAlarm(
        "age",
        namespace="AWS/Lambda",
        metric_name="IteratorAge",
        dimensions={"FunctionName": consumer.name},
        statistic="Maximum",
        period=300,
        evaluation_periods=3,
        threshold=600000,
        comparison_operator="GreaterThanThreshold",
        alarm_actions=[oncall.arn],
    )
