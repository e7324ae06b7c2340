"""A `StreamPipe` of a plain queue on an endpoint: filters, template, order, dead letters, the operator's commands."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.deploy import deploy
from local.endpoint import Endpoint
from tests.local.operator_world import Night, acting_as
from tests.local.world import wait_until

ROOT = Path(__file__).parents[2]

PROGRAM = """
import json

import pulumi
import pulumi_aws as aws

from components import (
    ChangeTable, FunctionEnrichment, QueueSource, QueueSourceDelivery, QueueTarget, StreamPipe
)
from handlers import wanted_plans


def queue(name, receives=2, **settings):
    dead = aws.sqs.Queue(f"{name}-dead", **({"fifo_queue": True} if "fifo_queue" in settings else {}))
    redrive = dead.arn.apply(lambda arn: json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": receives}))
    return aws.sqs.Queue(name, redrive_policy=redrive, **settings)


targets = {name: aws.sqs.Queue(f"{name}-done") for name in ("jobs", "in-order", "changes")}
users = ChangeTable("users", hash_key="userId", deletion_protection=False)
sources = {
    "jobs": queue("jobs"),
    "in-order": queue("in-order", fifo_queue=True, content_based_deduplication=True),
    "changes": queue("changes", visibility_timeout_seconds=360),
}
pipes = {
    "jobs": StreamPipe(
        "jobs",
        source=QueueSource(queue=sources["jobs"]),
        target=QueueTarget(arn=targets["jobs"].arn),
        input_template='{"job": <$.body.job>, "from": <$.messageAttributes.from.stringValue>}',
        delivery=QueueSourceDelivery(filters=('{"body": {"kind": ["invoice"]}}',)),
    ),
    "in-order": StreamPipe(
        "in-order",
        source=QueueSource(queue=sources["in-order"]),
        target=QueueTarget(arn=targets["in-order"].arn),
        input_template='{"text": <$.body>}',
    ),
    "to-changes": StreamPipe("to-changes", source=users.stream, target=QueueTarget(arn=sources["changes"].arn)),
    "changes": StreamPipe(
        "changes",
        source=QueueSource(queue=sources["changes"], changes_of=users.stream),
        target=QueueTarget(arn=targets["changes"].arn),
        enrichment=FunctionEnrichment(handler=wanted_plans.handler),
    ),
}
pulumi.export("consumers", {})
pulumi.export("pipes", {name: pipe.exported() for name, pipe in pipes.items()})
pulumi.export("roles", {name: pipe.role.name for name, pipe in pipes.items()})
pulumi.export("sources", {name: queue.url for name, queue in sources.items()})
pulumi.export("targets", {name: queue.url for name, queue in targets.items()})
pulumi.export("users", users.table.name)
"""
#: Seconds after which SQS shows a message again that a pipe did not delete.
VISIBILITY = 360


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    clone = tmp_path_factory.mktemp("pipe-of-a-queue")
    for name in ("components", "aws_semantics"):
        (clone / name).symlink_to(ROOT / name)
    (clone / "handlers").mkdir()
    for path in (ROOT / "handlers").glob("*"):
        (clone / "handlers" / path.name).symlink_to(path)
    enrichment = ROOT / "tests" / "reference" / "wanted_plans.py"
    (clone / "handlers" / "wanted_plans.py").write_text(enrichment.read_text(encoding="utf-8"), encoding="utf-8")
    (clone / "__main__.py").write_text(PROGRAM)
    (clone / "Pulumi.yaml").write_text("name: jobs\nruntime: python\n")
    (clone / "Pulumi.test.yaml").write_text("config:\n  aws:region: us-east-1\n")
    with Endpoint() as endpoint:
        yield Night(endpoint, deploy(clone, "test", endpoint.connection), clone / "local.json")


def send(night: Night, pipe: str, body: str, *, sender: str | None = None, group: str | None = None) -> str:
    more: dict[str, Any] = {} if group is None else {"MessageGroupId": group}
    if sender is not None:
        more["MessageAttributes"] = {"from": {"DataType": "String", "StringValue": sender}}
    sqs = night.client("sqs")
    return sqs.send_message(QueueUrl=night.outputs["sources"][pipe], MessageBody=body, **more)["MessageId"]


def taken(night: Night, pipe: str, count: int) -> list[Any]:
    """Take messages out of a pipe's target until there are so many."""
    sqs, url = night.client("sqs"), night.outputs["targets"][pipe]
    found: list[Any] = []

    def came() -> bool:
        for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            found.append(json.loads(message["Body"]))
        return len(found) >= count

    wait_until(came)
    return found


def listed(night: Night, pipe: str) -> list[Any]:
    return night.weir("dead-letters", "list", pipe, "--json").documents


def failures(night: Night, pipe: str) -> int:
    entries = night.endpoint.control.pipe_history(night.outputs["pipes"][pipe]["pipe"])
    return sum(entry["kind"] == "invocation" and entry["outcome"] == "error" for entry in entries)


def give_up(night: Night, pipe: str, body: str, **more: Any) -> Any:
    """Let a pipe fail with a message until SQS gives it up; returns the dead letter."""
    iam, role = night.client("iam"), night.outputs["roles"][pipe]
    queue = night.outputs["targets"][pipe].rpartition("/")[2]
    statement = {"Effect": "Deny", "Action": "sqs:SendMessage", "Resource": f"arn:aws:sqs:*:*:{queue}"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_role_policy(RoleName=role, PolicyName="denied", PolicyDocument=document)
    try:
        before = failures(night, pipe)
        send(night, pipe, body, **more)
        for attempt in (1, 2):
            wait_until(lambda attempt=attempt: failures(night, pipe) >= before + attempt)
            night.endpoint.control.advance_clock(VISIBILITY)
        wait_until(lambda: len(listed(night, pipe)) == 1)
    finally:
        iam.delete_role_policy(RoleName=role, PolicyName="denied")
    return listed(night, pipe)[0]


def test_wanted_messages_reach_the_target_as_the_template_says_and_others_are_deleted(night: Night) -> None:
    send(night, "jobs", '{"kind": "reminder", "job": 1}', sender="ada")
    send(night, "jobs", '{"kind": "invoice", "job": 2}', sender="ada")
    assert taken(night, "jobs", 1) == [{"job": 2, "from": "ada"}]


def test_the_messages_of_a_group_of_a_fifo_queue_arrive_in_order(night: Night) -> None:
    bodies = [f"text {number}" for number in range(4)]
    for body in bodies:
        send(night, "in-order", body, group="ada")
    assert [each["text"] for each in taken(night, "in-order", 4)] == bodies


def test_a_message_that_is_given_up_goes_back_to_its_queue_as_it_was(night: Night) -> None:
    body = '{"kind": "invoice", "job": 3}'
    letter = give_up(night, "jobs", body, sender="eve")
    assert (letter["condition"], letter["keys"]) == ("MaxReceiveCount", [])
    shown = json.loads(night.weir("dead-letters", "show", letter["id"], "--json").output)
    assert shown["document"] == json.loads(body)
    assert any("failed with error from Sqs" in line["text"] for line in shown["log"])
    status = json.loads(night.weir("status", "jobs", "--json").output)
    assert status["pipes"][0]["deadLetters"]["waiting"] == 1
    done = night.weir("dead-letters", "redrive", "jobs", "--yes", "--json")
    assert (done.code, [each["outcome"] for each in done.documents]) == (0, ["queued"])
    assert taken(night, "jobs", 1) == [{"job": 3, "from": "eve"}]
    assert listed(night, "jobs") == []


def test_a_text_that_is_no_json_is_redriven_too_and_the_printed_policies_are_enough(
    night: Night, tmp_path: Path
) -> None:
    letter = give_up(night, "in-order", "plain words", group="bob")
    for words in (["list", "in-order"], ["show", letter["id"]], ["redrive", "in-order", "--yes"]):
        policy = json.loads(night.weir("dead-letters", *words, "--iam").output)
        said = acting_as(night, policy, tmp_path / "acting.json").weir("dead-letters", *words)
        assert said.code == (1 if words[0] == "list" else 0), said.errors or said.output
    assert taken(night, "in-order", 1) == [{"text": "plain words"}]


def test_messages_of_another_queue_that_shares_the_dead_letter_queue_are_left_alone(night: Night) -> None:
    sqs = night.client("sqs")
    (dead,) = night.outputs["pipes"]["jobs"]["deadLetterQueues"]
    policy = json.dumps({"deadLetterTargetArn": dead, "maxReceiveCount": 1})
    other = sqs.create_queue(QueueName="others-jobs", Attributes={"RedrivePolicy": policy, "VisibilityTimeout": "0"})
    sqs.send_message(QueueUrl=other["QueueUrl"], MessageBody="theirs")
    url = sqs.get_queue_url(QueueName=dead.rpartition(":")[2])["QueueUrl"]

    def moved() -> bool:
        sqs.receive_message(QueueUrl=other["QueueUrl"])
        names = ["ApproximateNumberOfMessages"]
        return sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"][names[0]] == "1"

    wait_until(moved)
    said = night.weir("dead-letters", "redrive", "jobs", "--yes", "--json")
    assert (said.code, said.documents) == (0, [])
    assert "is neither a failure document nor a message of jobs, and is left alone" in said.errors
    assert moved()
    sqs.purge_queue(QueueUrl=url)


def test_changes_that_another_pipe_has_queued_are_enriched_by_the_projects_function(night: Night) -> None:
    for plan in ("free", "pro"):
        item = {"userId": {"S": "gil"}, "plan": {"S": plan}}
        night.client("dynamodb").put_item(TableName=night.outputs["users"], Item=item)
    (event,) = taken(night, "changes", 1)
    assert {name: event[name] for name in ("user", "from", "to")} == {"user": "gil", "from": "free", "to": "pro"}


def test_the_printed_policy_of_a_redrive_names_the_table_only_where_the_messages_are_its_changes(night: Night) -> None:
    def tables(pipe: str) -> list[Any]:
        policy = json.loads(night.weir("dead-letters", "redrive", pipe, "--iam").output)
        return [each["Resource"] for each in policy["Statement"] if "dynamodb:BatchGetItem" in each["Action"]]

    assert tables("jobs") == []
    assert [arn.rpartition("/")[2] for (arn,) in tables("changes")] == [night.outputs["users"]]
