"""A `StreamPipe` on the endpoint: filtered, transformed, in order, and with its failures in the dead-letter queue."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from local.deploy import deploy
from local.endpoint import Endpoint
from tests.local.world import wait_until

ROOT = Path(__file__).parents[2]

PROGRAM = """
import pulumi
import pulumi_aws as aws

from components import ChangeTable, FunctionEnrichment, KinesisChanges, PipeDelivery, QueueTarget, StreamPipe
from handlers import wanted_plans
from handlers.cdc import on

users = ChangeTable("users", hash_key="userId", deletion_protection=False)
changes = aws.sqs.Queue("changes", fifo_queue=True)
pipe = StreamPipe(
    "to-queue",
    source=users.stream,
    target=QueueTarget(arn=changes.arn, fifo=True, message_group_id="$.dynamodb.Keys.userId.S"),
    when=on.new("plan").is_in(["pro", "enterprise"]),
    input_template='{"user": <$.dynamodb.Keys.userId.S>, "plan": <$.dynamodb.NewImage.plan.S>}',
    delivery=PipeDelivery(maximum_retry_attempts=1),
)
wanted = aws.sqs.Queue("wanted")
StreamPipe(
    "changed-plans",
    source=users.stream,
    target=QueueTarget(arn=wanted.arn),
    enrichment=FunctionEnrichment(handler=wanted_plans.handler),
)
late = aws.sqs.Queue("late")
history = KinesisChanges("history", table=users)
StreamPipe(
    "from-kinesis",
    source=history.source,
    target=QueueTarget(arn=late.arn),
    when=on.insert,
    input_template='{"user": <$.data.dynamodb.Keys.userId.S>}',
)
pulumi.export("wanted", wanted.url)
pulumi.export("late", late.url)
pulumi.export("table", users.table.name)
pulumi.export("queue", changes.url)
pulumi.export("pipe", pipe.pipe.name)
pulumi.export("failures", pipe.on_failure.queue.url)
pulumi.export("alarms", {name: alarm.name for name, alarm in pipe.alarms.items()})
"""


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory, aws: Endpoint) -> dict[str, Any]:
    clone = tmp_path_factory.mktemp("stream-pipe")
    for name in ("components", "aws_semantics"):
        (clone / name).symlink_to(ROOT / name)
    (clone / "handlers").mkdir()
    for path in (ROOT / "handlers").glob("*"):
        (clone / "handlers" / path.name).symlink_to(path)
    enrichment = ROOT / "tests" / "reference" / "wanted_plans.py"
    (clone / "handlers" / "wanted_plans.py").write_text(enrichment.read_text(encoding="utf-8"), encoding="utf-8")
    (clone / "__main__.py").write_text(PROGRAM)
    (clone / "Pulumi.yaml").write_text("name: stream-pipe\nruntime: python\n")
    (clone / "Pulumi.test.yaml").write_text("config:\n  aws:region: us-east-1\n")
    return deploy(clone, "test", aws.connection).outputs


def test_wanted_changes_reach_the_target_as_the_template_says_and_failures_the_dead_letters(
    outputs: dict[str, Any], aws: Endpoint
) -> None:
    dynamodb, sqs = aws.client("dynamodb"), aws.client("sqs")

    def put(user: str, plan: str) -> None:
        dynamodb.put_item(TableName=outputs["table"], Item={"userId": {"S": user}, "plan": {"S": plan}})

    received: list[Any] = []

    def receive() -> int:
        answer = sqs.receive_message(QueueUrl=outputs["queue"], MaxNumberOfMessages=10, AttributeNames=["All"])
        for message in answer.get("Messages", []):
            received.append((message["Attributes"]["MessageGroupId"], json.loads(message["Body"])))
            sqs.delete_message(QueueUrl=outputs["queue"], ReceiptHandle=message["ReceiptHandle"])
        return len(received)

    for plan in ("free", "pro", "enterprise"):
        put("ada", plan)
    wait_until(lambda: receive() == 2)
    assert received == [
        ("ada", {"user": "ada", "plan": "pro"}),
        ("ada", {"user": "ada", "plan": "enterprise"}),
    ]

    sqs.delete_queue(QueueUrl=outputs["queue"])
    put("bob", "pro")
    failed: list[Any] = []

    def dead() -> bool:
        failed.extend(sqs.receive_message(QueueUrl=outputs["failures"]).get("Messages", []))
        return bool(failed)

    wait_until(dead)
    document = json.loads(failed[0]["Body"])
    assert document["context"]["condition"] == "RetryAttemptsExhausted"
    assert document["DDBStreamBatchInfo"]["batchSize"] == 1


def received(aws: Endpoint, url: str, user: str) -> dict[str, Any]:
    """Wait for the message of a user."""
    sqs = aws.client("sqs")
    found: list[dict[str, Any]] = []

    def came() -> bool:
        answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)
        found.extend(json.loads(each["Body"]) for each in answer.get("Messages", []))
        return any(each["user"] == user for each in found)

    wait_until(came)
    return next(each for each in found if each["user"] == user)


def test_an_enrichment_evaluates_what_no_pattern_says(outputs: dict[str, Any], aws: Endpoint) -> None:
    table = aws.client("dynamodb")
    for user, plans in (("eva", ("free", "free", "pro")), ("fin", ("free", "pro"))):
        for n, plan in enumerate(plans):
            item = {"userId": {"S": user}, "plan": {"S": plan}, "n": {"N": str(n)}}
            table.put_item(TableName=outputs["table"], Item=item)
    # Of eva's two modifications one changed the plan.
    event = received(aws, outputs["wanted"], "eva")
    assert {name: event[name] for name in ("user", "from", "to")} == {"user": "eva", "from": "free", "to": "pro"}


def test_a_pipe_delivers_changes_that_came_through_kinesis(outputs: dict[str, Any], aws: Endpoint) -> None:
    item = {"userId": {"S": "gil"}, "plan": {"S": "free"}}
    aws.client("dynamodb").put_item(TableName=outputs["table"], Item=item)
    assert received(aws, outputs["late"], "gil") == {"user": "gil"}
