"""Roles with stars: in a policy document of the provider, in a managed policy, in a policy of the program's own."""

import pulumi_aws as aws

EXPECTED = {("stream-role-least-privilege", name) for name in ("document", "managed", "attached", "tables")}

FAILURES = "arn:aws:sqs:us-east-1:111122223333:failures"


def consumer(name, role, number):
    function = aws.lambda_.Function(name, role=role.arn, s3_bucket="b", s3_key="k")
    aws.lambda_.EventSourceMapping(
        name,
        event_source_arn=f"arn:aws:dynamodb:us-east-1:111122223333:table/t{number}/stream/2026-01-01T00:00:00.000",
        function_name=function.name,
        starting_position="TRIM_HORIZON",
        maximum_record_age_in_seconds=43200,
        bisect_batch_on_function_error=True,
        function_response_types=["ReportBatchItemFailures"],
        metrics_config={"metrics": ["EventCount"]},
        destination_config={"on_failure": {"destination_arn": FAILURES}},
    )
    aws.cloudwatch.MetricAlarm(
        name,
        namespace="AWS/Lambda",
        metric_name="IteratorAge",
        dimensions={"FunctionName": function.name},
        statistic="Maximum",
        period=60,
        evaluation_periods=1,
        threshold=3600000,
        comparison_operator="GreaterThanThreshold",
        alarm_actions=["arn:aws:sns:us-east-1:111122223333:oncall"],
    )


def document(*statements):
    return aws.iam.get_policy_document(
        statements=[{"actions": actions, "resources": resources} for actions, resources in statements]
    ).json


SEND = (["sqs:SendMessage"], [FAILURES])


def program():
    roles = {name: aws.iam.Role(name, assume_role_policy="{}") for name in ("document", "attached", "tables", "narrow")}
    reads = "arn:aws:iam::aws:policy/service-role/AWSLambdaDynamoDBExecutionRole"
    for name, role in roles.items():
        aws.iam.RolePolicyAttachment(f"{name}-reads", role=role.name, policy_arn=reads)
    roles["managed"] = aws.iam.Role(
        "managed", assume_role_policy="{}", managed_policy_arns=["arn:aws:iam::aws:policy/AdministratorAccess"]
    )
    aws.iam.RolePolicy("document", role=roles["document"].id, policy=document((["sqs:*"], [FAILURES])))
    policy = aws.iam.Policy("attached", policy=document(SEND, (["s3:PutObject"], ["arn:aws:s3:::*"])))
    aws.iam.RolePolicyAttachment("attached", role=roles["attached"].name, policy_arn=policy.arn)
    aws.iam.RolePolicy(
        "tables",
        role=roles["tables"].name,
        policy=document(SEND, (["dynamodb:PutItem"], ["arn:aws:dynamodb:*:*:table/*"])),
    )
    narrow = aws.iam.Policy(
        "narrow",
        policy=document(
            SEND,
            (["dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:DescribeStream"],
             ["arn:aws:dynamodb:us-east-1:111122223333:table/t4/stream/*"]),
            (["dynamodb:ListStreams"], ["*"]),
            (["dynamodb:Query"], ["arn:aws:dynamodb:us-east-1:111122223333:table/orders/index/*"]),
            (["s3:GetObject"], ["arn:aws:s3:::templates/*"]),
            (["logs:CreateLogStream", "logs:PutLogEvents", "cloudwatch:PutMetricData"], ["*"]),
        ),
    )  # fmt: skip
    aws.iam.PolicyAttachment("narrow", roles=[roles["narrow"].name], policy_arn=narrow.arn)
    for number, (name, role) in enumerate(roles.items()):
        consumer(name, role, number)
