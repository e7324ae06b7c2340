"""A program with a pipe, deployed to the endpoint and asked by what arrives."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from local.deploy import DeployFailed, deploy
from local.endpoint import Endpoint

PROJECT = """
name: piped
runtime: python
config:
  unattached: {type: boolean, default: false}
"""
PROGRAM = """
import json

import pulumi
import pulumi_aws as aws

orders = aws.dynamodb.Table(
    "orders",
    billing_mode="PAY_PER_REQUEST",
    hash_key="id",
    attributes=[{"name": "id", "type": "S"}],
    stream_enabled=True,
    stream_view_type="NEW_AND_OLD_IMAGES",
)
bus = aws.cloudwatch.EventBus("orders", name="orders")
queue = aws.sqs.Queue("orders")
dead = aws.sqs.Queue("dead-orders")
rule = aws.cloudwatch.EventRule(
    "orders", event_bus_name=bus.name, event_pattern=json.dumps({"detail-type": ["order"]})
)
aws.cloudwatch.EventTarget("orders", rule=rule.name, event_bus_name=bus.name, arn=queue.arn)
aws.sqs.QueuePolicy(
    "orders",
    queue_url=queue.url,
    policy=pulumi.Output.json_dumps({
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "events.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": queue.arn,
                "Condition": {"ArnEquals": {"aws:SourceArn": rule.arn}},
            }
        ],
    }),
)
role = aws.iam.Role(
    "pipe",
    assume_role_policy=json.dumps({
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "pipes.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }),
)
policy = aws.iam.Policy(
    "pipe",
    policy=pulumi.Output.json_dumps({
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"],
                "Resource": orders.stream_arn,
            },
            {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": dead.arn},
            {"Effect": "Allow", "Action": "events:PutEvents", "Resource": bus.arn},
        ],
    }),
)
attached = []
if not pulumi.Config().get_bool("unattached"):
    attached += [aws.iam.RolePolicyAttachment("pipe", role=role.name, policy_arn=policy.arn)]
pipe = aws.pipes.Pipe(
    "orders",
    role_arn=role.arn,
    source=orders.stream_arn,
    source_parameters={
        "dynamodb_stream_parameters": {
            "starting_position": "TRIM_HORIZON",
            "batch_size": 10,
            "maximum_retry_attempts": 3,
            "dead_letter_config": {"arn": dead.arn},
        },
        "filter_criteria": {"filters": [{"pattern": json.dumps({"eventName": ["INSERT"]})}]},
    },
    target=bus.arn,
    target_parameters={
        "eventbridge_event_bus_parameters": {"detail_type": "order", "source": "orders"},
        "input_template": '{"order": <$.dynamodb.Keys.id.S>}',
    },
    opts=pulumi.ResourceOptions(depends_on=attached),
)
pulumi.export("table", orders.name)
pulumi.export("queue", queue.url)
pulumi.export("pipe", pipe.name)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "Pulumi.yaml").write_text(PROJECT)
    (tmp_path / "Pulumi.local.yaml").write_text("config:\n  aws:region: us-east-1\n")
    (tmp_path / "__main__.py").write_text(PROGRAM)
    return tmp_path


def test_a_deployed_pipe_brings_inserts_to_the_bus_and_its_rule_on_to_a_queue(
    project: Path, aws: Endpoint, world
) -> None:
    of = deploy(project, "local", aws.connection).outputs
    for status in ("new", "paid"):
        item = {"id": {"S": "o1"}, "status": {"S": status}}
        aws.client("dynamodb").put_item(TableName=of["table"], Item=item)
    world.wait_until(lambda: aws.control.pipe(of["pipe"]).idle)

    (message,) = aws.client("sqs").receive_message(QueueUrl=of["queue"], MaxNumberOfMessages=10)["Messages"]
    event = json.loads(message["Body"])
    assert (event["source"], event["detail-type"], event["detail"]) == ("orders", "order", {"order": "o1"})
    aws.client("pipes").delete_pipe(Name=of["pipe"])


def test_a_pipe_whose_role_may_not_read_ends_the_deployment_with_awss_reason(project: Path) -> None:
    with Endpoint() as aws, pytest.raises(DeployFailed) as failed:
        deploy(project, "local", aws.connection, config={"piped:unattached": "true"})
    assert str(failed.value).startswith("orders (aws:pipes/pipe:Pipe): the pipe is CREATE_FAILED: Input parameter is")
    assert "Cannot access stream arn:aws:dynamodb:" in str(failed.value)
