"""A pipe with its API's defaults and a role without any policy; and one that reads a queue, which rules leave alone."""

import pulumi_aws as aws

EXPECTED = {
    (rule, "webhooks")
    for rule in (
        "pipe-alarms",
        "pipe-bisect",
        "pipe-bounded-retries",
        "pipe-dead-letter",
        "pipe-logging",
        "starting-position",
    )
} | {("stream-read-permission", "pipe")}

#: The policies of a role may be made when the stream is known, inside `apply`.
KNOWN_AFTER_UP = {("stream-read-permission", "pipe")}


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
    bus = aws.cloudwatch.EventBus("bus")
    jobs = aws.sqs.Queue("jobs")
    role = aws.iam.Role("pipe", assume_role_policy="{}")
    aws.pipes.Pipe(
        "webhooks",
        role_arn=role.arn,
        source=users.stream_arn,
        target=bus.arn,
        source_parameters={"dynamodb_stream_parameters": {"starting_position": "LATEST", "batch_size": 10}},
    )
    aws.pipes.Pipe("jobs", role_arn=role.arn, source=jobs.arn, target=bus.arn)
