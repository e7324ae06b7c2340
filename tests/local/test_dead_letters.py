"""`weir dead-letters` on the whole program: every failure route, from the break to the last redrive."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from handlers.cdc.failure_document import of_consumer
from tests.local.operator_world import CONSUMER, Night, Said, calls
from tests.local.world import wait_until

WEIR = Path(sys.executable).with_name("weir")
GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "operator.md"


def redrive(night: Night, *arguments: str) -> Said:
    return night.weir("dead-letters", "redrive", CONSUMER, "--yes", "--rate", "1000", *arguments)


def listed(night: Night, *arguments: str) -> list[Any]:
    return night.weir("dead-letters", "list", "--json", *arguments).documents


def keys(letters: list[Any]) -> list[str]:
    return sorted(key for each in letters for key in each["keys"])


def test_from_the_break_to_none_waiting(night: Night) -> None:
    before = len(night.mails())
    night.give_up("ada", "bob", "cyd")
    assert night.weir("dead-letters", "list").code == 1
    assert keys(listed(night)) == ["userId=ada", "userId=bob", "userId=cyd"]

    dry = night.weir("dead-letters", "redrive", CONSUMER)
    assert (dry.code, len(night.mails())) == (1, before)
    assert f"weir dead-letters redrive {CONSUMER} --yes" in dry.output
    chosen = ("--only", "userId=ada", "--limit", "2", "--stale", "skip", "--rate", "3.0")
    one = night.weir("dead-letters", "redrive", CONSUMER, *chosen)
    assert f"weir dead-letters redrive {CONSUMER} {' '.join(chosen)} --yes" in one.output

    assert redrive(night).code == 0
    assert night.mails()[before:] == ["ada@example.com", "bob@example.com", "cyd@example.com"]
    assert night.weir("dead-letters", "list").code == 0
    (receipt, *_) = [each["receipt"] for each in listed(night, "--all")]
    assert (receipt["outcome"], receipt["attempt"]) == ("applied", 1)
    assert receipt["by"].startswith("arn:aws:")

    assert redrive(night).output.startswith("0 dead letters: nothing to do")
    assert len(night.mails()) == before + 3


def test_the_night_drill_brings_twelve_dead_letters_to_none_with_the_guides_three_commands(night: Night) -> None:
    (block,) = re.findall(r"^## Night drill.*?```sh\n(.*?)```", GUIDE.read_text(), re.DOTALL | re.MULTILINE)
    users = [f"drill-{uuid4()}" for _ in range(12)]
    night.give_up(*users)
    before = len(night.mails())
    codes: list[int] = []
    for command in block.strip().splitlines():
        codes.append(night.weir(*shlex.split(command)[1:]).code)
        # An alarm that rang when a minute ended rings for some more: as if they were over.
        night.endpoint.control.evaluate_alarms(at=time.time() + 1_800)
    assert codes == [1, 0, 0]
    assert sorted(night.mails()[before:]) == sorted(f"{user}@example.com" for user in users)


def test_a_record_that_fails_again_stays_and_holds_back_newer_changes_of_its_item_alone(night: Night) -> None:
    table, dynamodb = night.outputs["usersTable"], night.client("dynamodb")
    night.break_mails()
    night.upgrade("dan", email="not an address")
    for plan in ("free", "enterprise"):  # a newer change of the same item, with an address now
        night.set_plan("dan", plan)
    night.upgrade("eve")
    night.wait_for_dead_letters(sum(len(each["keys"]) for each in night.given_up()) + 3)
    night.repair()
    before = len(night.mails())
    dynamodb.update_item(
        TableName=table,
        Key={"userId": {"S": "dan"}},
        UpdateExpression="SET email = :email",
        ExpressionAttributeValues={":email": {"S": "dan@example.com"}},
    )
    said = redrive(night, "--json")
    assert said.code == 1
    assert {each["outcome"] for each in said.documents} & {"failed", "partial"}
    assert night.mails()[before:] == ["eve@example.com"]
    assert set(keys(listed(night))) == {"userId=dan"}
    assert listed(night)[0]["receipt"]["outcome"] in ("failed", "partial")


def test_a_redrive_that_is_killed_goes_on_where_it_was(night: Night) -> None:
    before = len(night.mails())
    users = [f"kim{number}" for number in range(3)]
    for user in users:  # a dead letter each
        night.give_up(user)
    command = [WEIR, "dead-letters", "redrive", CONSUMER, "--yes", "--json", "--rate", "1", "--state", night.state]
    killed = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert killed.stdout is not None
    assert json.loads(killed.stdout.readline())["outcome"] == "applied"
    killed.kill()
    killed.communicate()
    assert keys(listed(night)) in ([f"userId={user}" for user in users[1:]], [f"userId={user}" for user in users[2:]])
    assert redrive(night).code == 0
    assert sorted(night.mails()[before:]) == [f"{user}@example.com" for user in users]


def test_two_redrives_at_once_send_nothing_twice(night: Night) -> None:
    before = len(night.mails())
    users = ["lea", "mia", "nia"]
    night.give_up(*users)
    command = [WEIR, "dead-letters", "redrive", CONSUMER, "--yes", "--rate", "1000", "--state", night.state]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    for each in both:
        each.communicate(timeout=120)
    redrive(night)
    assert sorted(night.mails()[before:]) == [f"{user}@example.com" for user in users]
    assert listed(night) == []


def test_a_record_older_than_its_item_is_named_and_applied_only_where_a_ledger_decides(night: Night) -> None:
    night.give_up("olga")
    night.set_plan("olga", "free")
    night.endpoint.control.wait_until_idle([night.mapping])
    before = len(night.mails())
    (planned,) = night.weir("dead-letters", "redrive", CONSUMER, "--json").documents
    assert (planned["stale"], planned["records"]) == (["userId=olga"], 1)  # the consumer has a ledger
    (skipped,) = night.weir("dead-letters", "redrive", CONSUMER, "--stale", "skip", "--json").documents
    assert (skipped["stale"], skipped["records"], skipped["skipped"]) == (["userId=olga"], 0, 1)
    assert redrive(night).code == 0
    assert night.mails()[before:] == ["olga@example.com"]


def test_only_one_item_can_be_redriven_or_dropped(night: Night) -> None:
    night.give_up("pia", "quin")
    before = len(night.mails())
    redrive(night, "--only", "pia")
    assert night.mails()[before:] == ["pia@example.com"]
    night.weir("dead-letters", "drop", CONSUMER, "--only", "userId=pia", "--yes")  # quin lies in the same document
    assert redrive(night).code == 0
    assert night.mails()[before:] == ["pia@example.com", "quin@example.com"]


def test_a_dropped_dead_letter_keeps_its_document_and_waits_no_more(night: Night) -> None:
    night.give_up("rosa")
    (letter,) = listed(night)
    assert (
        night.weir("dead-letters", "drop", CONSUMER, letter["id"]).output == "1 would be dropped; add --yes to do it\n"
    )
    assert night.weir("dead-letters", "drop", CONSUMER, letter["id"], "--reason", "closed", "--yes").code == 0
    (kept,) = listed(night, "--all")
    assert (kept["id"], kept["waits"], kept["receipt"]["note"]) == (letter["id"], False, "closed")
    assert night.weir("dead-letters", "drop", CONSUMER, letter["id"], "--yes").code == 2


def test_show_has_both_images_beside_the_item_as_it_is_now_and_the_log_of_every_attempt(night: Night) -> None:
    night.give_up("sam")
    night.set_plan("sam", "enterprise")
    (letter,) = listed(night)
    shown = json.loads(night.weir("dead-letters", "show", letter["id"], "--json").output)
    (record,) = shown["records"]
    assert record["attributes"]["plan"] == {"old": "free", "new": "pro", "now": "enterprise", "differs": True}
    assert len(shown["log"]) == 2
    assert "sam" in night.weir("dead-letters", "show", letter["id"]).output
    assert night.weir("dead-letters", "show", "nothing").code == 2


def test_a_record_that_the_consumer_parked_is_redriven_like_any_other(night: Night) -> None:
    night.give_up("tom")
    (letter,) = listed(night)
    body = night.client("s3").get_object(Bucket=night.bucket, Key=letter["id"])["Body"].read()
    night.empty()
    (record,) = json.loads(json.loads(body)["payload"])["Records"]
    document = of_consumer(record, function="f", condition="Discarded", reason="no such plan", now=0.0, identity={})
    night.client("s3").put_object(
        Bucket=night.bucket, Key=f"discarded/f/{record['eventID']}.json", Body=json.dumps(document).encode()
    )
    (parked,) = listed(night)
    assert (parked["reason"], parked["keys"]) == ("no such plan", ["userId=tom"])
    before = len(night.mails())
    assert redrive(night).code == 0
    assert night.mails()[before:] == ["tom@example.com"]


def test_the_printed_policies_allow_every_call_that_a_command_makes(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    night.give_up("wim")
    (letter,) = listed(night)
    for command in (["list"], ["show", letter["id"]], ["redrive", CONSUMER, "--yes"], ["drop", CONSUMER, "--yes"]):
        printed = json.loads(night.weir("dead-letters", *command, "--iam").output)
        allowed = {action for statement in printed["Statement"] for action in statement["Action"]}
        assert all("*" not in statement["Resource"] for statement in printed["Statement"])
        with monkeypatch.context() as patch:
            called = calls(patch)
            night.weir("dead-letters", *command)
        assert called
        assert called - {"sts:GetCallerIdentity"} <= allowed, command


@pytest.fixture
def pointing_at_a_queue(night: Night) -> Iterator[str]:
    """The URL of a queue that is the mapping's on-failure destination meanwhile."""
    sqs, iam, functions = night.client("sqs"), night.client("iam"), night.client("lambda")
    queue = sqs.create_queue(QueueName="pointers")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    function = functions.get_function_configuration(FunctionName=night.outputs["functionNames"][CONSUMER])
    statement = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": arn}
    iam.put_role_policy(
        RoleName=function["Role"].rpartition("/")[2],
        PolicyName="pointers",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
    )
    before = functions.get_event_source_mapping(UUID=night.mapping)["DestinationConfig"]
    functions.update_event_source_mapping(UUID=night.mapping, DestinationConfig={"OnFailure": {"Destination": arn}})
    yield queue
    functions.update_event_source_mapping(UUID=night.mapping, DestinationConfig=before)


def test_a_document_that_only_points_at_records_is_redriven_from_the_stream(
    night: Night, pointing_at_a_queue: str
) -> None:
    queue = pointing_at_a_queue
    night.give_up("una", "vic")
    wait_until(lambda: listed(night))
    letters = listed(night)
    assert keys(letters) == ["userId=una", "userId=vic"]
    assert all(letter["deadline"] - letter["at"] <= 24 * 3600 for letter in letters)
    before = len(night.mails())
    assert redrive(night).code == 0
    assert sorted(night.mails()[before:]) == ["una@example.com", "vic@example.com"]
    assert listed(night) == []
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    left = night.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]
    assert set(left.values()) == {"0"}
