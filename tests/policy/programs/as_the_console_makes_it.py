"""A table, a function and a mapping with nothing but what AWS demands: endless retries, no destination, no alarm."""

import json

import pulumi
import pulumi_aws as aws

EXPECTED = {
    ("iterator-age-alarm", "consumer"),
    ("mapping-bisect-on-error", "mapping"),
    ("mapping-bounded-retries", "mapping"),
    ("mapping-event-count-metrics", "mapping"),
    ("mapping-on-failure-destination", "mapping"),
    ("mapping-report-batch-item-failures", "mapping"),
    ("starting-position", "mapping"),
    ("stream-table-protection", "orders"),
    ("stream-view-type", "orders"),
}


def program():
    orders = aws.dynamodb.Table(
        "orders",
        name="orders",
        attributes=[aws.dynamodb.TableAttributeArgs(name="id", type="S")],
        hash_key="id",
        read_capacity=5,
        write_capacity=5,
        stream_enabled=True,
        stream_view_type="NEW_IMAGE",
    )
    role = aws.iam.Role(
        "role",
        assume_role_policy=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
                ],
            }
        ),
    )
    aws.iam.RolePolicyAttachment(
        "managed", role=role.name, policy_arn=aws.iam.ManagedPolicy.AWS_LAMBDA_DYNAMO_DB_EXECUTION_ROLE
    )
    consumer = aws.lambda_.Function(
        "consumer",
        role=role.arn,
        runtime="python3.13",
        handler="app.handler",
        code=pulumi.AssetArchive({"app.py": pulumi.StringAsset("def handler(event, context): ...")}),
    )
    aws.lambda_.EventSourceMapping(
        "mapping", event_source_arn=orders.stream_arn, function_name=consumer.arn, starting_position="LATEST"
    )
