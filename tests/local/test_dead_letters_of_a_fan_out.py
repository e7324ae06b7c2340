"""`weir status` and `weir dead-letters` where each consumer has a FIFO queue: parked changes and dead-letter queues."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from ops.local_stack import local_stack
from ops.operator.dead_letters.bucket import SETTLED
from ops.operator.dead_letters.letters import Receipt
from tests.local.operator_world import CONSUMER, Night, acting_as
from tests.local.world import wait_until


@pytest.fixture(scope="module")
def fan_out(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    with local_stack(Console(file=StringIO())) as (endpoint, deployment):
        yield Night(endpoint, deployment, tmp_path_factory.mktemp("stack") / "local.json")


def listed(night: Night) -> list[Any]:
    return night.weir("dead-letters", "list", CONSUMER, "--json").documents


def test_a_parked_change_goes_back_to_its_queue_under_a_new_deduplication_id(fan_out: Night) -> None:
    fan_out.break_mails()
    fan_out.upgrade("ada")
    wait_until(lambda: listed(fan_out), timeout=120)
    fan_out.repair()
    (parked,) = listed(fan_out)
    assert (parked["keys"], parked["condition"]) == (["userId=ada"], "RetryAttemptsExhausted")
    status = fan_out.weir("status", "--json")
    by_name = {each["name"]: each for each in json.loads(status.output)["consumers"]}
    assert (status.code, by_name[CONSUMER]["deadLetters"]["waiting"], "forwarder" in by_name) == (1, 1, True)

    said = fan_out.weir("dead-letters", "redrive", CONSUMER, "--yes", "--json")
    assert (said.code, [each["outcome"] for each in said.documents]) == (0, ["queued"])
    wait_until(lambda: fan_out.mails() == ["ada@example.com"])
    assert listed(fan_out) == []


def test_a_change_that_is_parked_again_waits_again(fan_out: Night) -> None:
    fan_out.break_mails()
    fan_out.upgrade("bob")
    wait_until(lambda: listed(fan_out), timeout=120)
    fan_out.weir("dead-letters", "redrive", CONSUMER, "--yes")
    assert listed(fan_out) == []
    wait_until(lambda: listed(fan_out), timeout=120)
    fan_out.repair()
    fan_out.weir("dead-letters", "redrive", CONSUMER, "--yes")
    wait_until(lambda: "bob@example.com" in fan_out.mails())
    assert fan_out.mails().count("bob@example.com") == 1


@pytest.mark.parametrize(("place", "condition"), [(0, "MaxReceiveCount"), (1, "Undelivered")])
def test_messages_of_a_dead_letter_queue_go_back_in_the_order_of_their_item(
    fan_out: Night, place: int, condition: str
) -> None:
    sqs = fan_out.client("sqs")
    arn = fan_out.outputs["consumers"][CONSUMER]["deadLetterQueues"][place]
    queue = sqs.get_queue_url(QueueName=arn.rpartition(":")[2])["QueueUrl"]
    user = f"cyd-{place}"
    fan_out.break_mails()
    fan_out.upgrade(user)
    wait_until(lambda: listed(fan_out), timeout=120)
    fan_out.repair()
    (parked,) = listed(fan_out)
    body = fan_out.client("s3").get_object(Bucket=fan_out.bucket, Key=parked["id"])["Body"].read()
    (message,) = json.loads(json.loads(body)["payload"])["Records"]
    fan_out.empty()
    sqs.send_message(
        QueueUrl=queue,
        MessageBody=message["body"],
        MessageGroupId=message["attributes"]["MessageGroupId"],
        MessageDeduplicationId=message["attributes"]["MessageDeduplicationId"],
    )
    (letter,) = listed(fan_out)
    assert (letter["condition"], letter["keys"]) == (condition, [f"userId={user}"])
    traced = [
        step for each in fan_out.weir("trace", f"userId={user}", "--json").documents for step in each["steps"][CONSUMER]
    ]
    assert f"{condition}: {queue}" in [step["text"] for step in traced if step["kind"] == "dead letter"]
    assert fan_out.weir("dead-letters", "redrive", CONSUMER, "--yes").code == 0
    wait_until(lambda: f"{user}@example.com" in fan_out.mails())
    assert listed(fan_out) == []


#: Each command of the operator, with its arguments; `{letter}` is a dead letter's id.
COMMANDS = (
    "status",
    "tail --no-follow",
    "tail --no-follow --key userId=gil",
    "trace userId=gil",
    "dead-letters list",
    "dead-letters show {letter}",
    f"dead-letters redrive {CONSUMER} --yes",
    f"dead-letters drop {CONSUMER} --yes",
    f"reread {CONSUMER} --from 1h",
    f"reread {CONSUMER} --from 1h --yes",
    "recount --wait 0 --yes",
    f"pause {CONSUMER}",
    f"resume {CONSUMER}",
)


@pytest.fixture(scope="module")
def letter(fan_out: Night) -> str:
    """The id of a dead letter, and another one that waits."""
    fan_out.break_mails()
    fan_out.upgrade("gil", "hal")
    wait_until(lambda: len(listed(fan_out)) == 2, timeout=120)
    fan_out.repair()
    return listed(fan_out)[0]["id"]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_printed_policy_of_a_command_is_enough_for_it(
    command: str, letter: str, fan_out: Night, tmp_path: Path
) -> None:
    words = command.format(letter=letter).split()
    policy = json.loads(fan_out.weir(*words, "--iam").output)
    if command.startswith("resume"):
        fan_out.weir("pause", CONSUMER)
    said = acting_as(fan_out, policy, tmp_path / "acting.json").weir(*words)
    if command.startswith("pause"):
        fan_out.weir("resume", CONSUMER)
    assert said.code in (0, 1), said.errors
    assert "AccessDenied" not in said.output


def test_the_printed_policy_of_status_is_enough_where_a_receipt_has_the_second_of_its_document(
    letter: str, fan_out: Night, tmp_path: Path
) -> None:
    s3, bucket = fan_out.client("s3"), fan_out.bucket
    body = s3.get_object(Bucket=bucket, Key=letter)["Body"].read()
    document, receipt = letter.replace(".json", "-settled.json"), Receipt("dropped", "2999-01-01T00:00:00Z", "operator")

    def changed(key: str, content: bytes) -> datetime:
        s3.put_object(Bucket=bucket, Key=key, Body=content)
        return s3.head_object(Bucket=bucket, Key=key)["LastModified"]

    wait_until(lambda: changed(document, body) == changed(f"{SETTLED}{document}", receipt.as_json()))
    policy = json.loads(fan_out.weir("status", "--iam").output)
    said = acting_as(fan_out, policy, tmp_path / "acting.json").weir("status")
    assert said.code in (0, 1), said.errors


@pytest.mark.parametrize("command", ["status", f"dead-letters redrive {CONSUMER}", f"pause {CONSUMER}"])
def test_without_a_policy_a_command_is_refused(command: str, fan_out: Night, tmp_path: Path) -> None:
    nothing = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "s3:*", "Resource": "*"}]}
    said = acting_as(fan_out, nothing, tmp_path / "acting.json").weir(*command.split())
    assert said.code == 2
    assert "AWS refused the call" in said.errors


@pytest.fixture
def unguarded(fan_out: Night, tmp_path: Path) -> Night:
    """The same stack, whose consumers say that neither a ledger nor a guard decides."""
    outputs = json.loads(json.dumps(dict(fan_out.outputs)))
    for consumer in outputs["consumers"].values():
        consumer["guarded"] = False
    return Night(fan_out.endpoint, replace(fan_out.deployment, outputs=outputs), tmp_path / "local.json")


def test_a_stale_record_is_skipped_where_neither_ledger_nor_guard_decides_unless_it_is_asked_for(
    fan_out: Night, unguarded: Night
) -> None:
    name = "entitlements"
    fan_out.endpoint.control.fail("dynamodb:PutItem", times=None, function=fan_out.outputs["functionNames"][name])
    fan_out.upgrade("eve")
    wait_until(lambda: fan_out.weir("dead-letters", "list", name, "--json").documents, timeout=120)
    fan_out.repair()
    fan_out.set_plan("eve", "enterprise")

    def plan(night: Night, *arguments: str) -> tuple[list[str], int, int]:
        (planned,) = night.weir("dead-letters", "redrive", name, "--json", *arguments).documents
        return planned["stale"], planned["records"], planned["skipped"]

    assert plan(unguarded) == (["userId=eve"], 0, 1)
    assert plan(unguarded, "--stale", "apply") == (["userId=eve"], 1, 0)
    assert plan(fan_out) == (["userId=eve"], 1, 0)
    assert plan(fan_out, "--stale", "skip") == (["userId=eve"], 0, 1)
    assert unguarded.weir("dead-letters", "redrive", name, "--yes", "--stale", "apply").code == 0

    table = fan_out.outputs["entitlementsTable"]
    key = {"userId": {"S": "eve"}}
    mappings = [fan_out.outputs["forwarder"], fan_out.outputs["consumers"][name]["eventSourceMapping"]]

    def row() -> Any:
        return fan_out.client("dynamodb").get_item(TableName=table, Key=key, ConsistentRead=True)["Item"]["plan"]

    wait_until(lambda: row() == {"S": "enterprise"})
    fan_out.endpoint.control.wait_until_idle(mappings, timeout=120)
    assert row() == {"S": "enterprise"}  # the guard is there, whatever the outputs say


def test_the_alarm_of_a_dead_letter_comes_back_to_ok_by_itself(fan_out: Night) -> None:
    alarm = fan_out.outputs["consumers"][CONSUMER]["alarms"]["dead-letters"]
    control = fan_out.endpoint.control
    began = control.advance_clock(0)
    fan_out.break_mails()
    fan_out.upgrade("fay")
    wait_until(lambda: listed(fan_out), timeout=120)
    fan_out.repair()
    minutes = range(1, 2 + int(control.advance_clock(0) - began) // 60)
    assert "ALARM" in [control.evaluate_alarms(at=began + 60 * minute)[alarm] for minute in minutes]
    assert fan_out.weir("dead-letters", "redrive", CONSUMER, "--yes").code == 0
    wait_until(lambda: "fay@example.com" in fan_out.mails())
    # Where the latest periods have no data, an alarm looks at older ones too.
    assert control.evaluate_alarms(at=control.advance_clock(0) + 1_800)[alarm] == "OK"


@contextmanager
def parked(night: Night, consumer: str) -> Generator[None]:
    """Let a change wait among a consumer's dead letters, meanwhile."""
    s3, bucket = night.client("s3"), night.outputs["consumers"][consumer]["failureDestination"].rpartition(":")[2]
    key = f"discarded/{consumer}/one.json"
    s3.put_object(Bucket=bucket, Key=key, Body=b"{}")
    try:
        yield
    finally:
        s3.delete_object(Bucket=bucket, Key=key)


def test_counters_that_are_off_are_found_and_repaired(fan_out: Night) -> None:
    def compared(*arguments: str) -> Any:
        said = fan_out.weir("recount", "--passes", "2", "--wait", "0", "--json", *arguments)
        return said.code, json.loads(said.output)

    fan_out.upgrade("recount-a")
    wait_until(lambda: compared()[0] == 0)
    counts = {
        "TableName": fan_out.outputs["planCountsTable"],
        "Key": {"counterKey": {"S": "plan-counts#count#users#pro#0"}},
    }
    fan_out.client("dynamodb").update_item(
        **counts, UpdateExpression="ADD amount :two", ExpressionAttributeValues={":two": {"N": "2"}}
    )
    code, found = compared()
    (difference,) = found["differences"]
    assert (code, difference["counter"], difference["counted"] - difference["expected"]) == (1, "users#pro", 2)
    assert (found["repaired"], found["waiting"]) == (False, 0)
    with parked(fan_out, "plan-counts"):  # it would be counted again when it is redriven
        code, refused = compared("--yes")
        assert (code, refused["repaired"], refused["waiting"]) == (1, False, 1)
    fan_out.weir("pause", "forwarder")
    code, refused = compared("--yes")
    fan_out.weir("resume", "forwarder")
    assert (code, refused["repaired"], refused["waiting"]) == (1, False, 1)
    code, repaired = compared("--yes")
    assert (code, repaired["repaired"]) == (0, True)
    assert fan_out.weir("recount", "--wait", "0").output == "all counters are right\n"
