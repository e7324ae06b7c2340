"""The operator's commands for pipes: a fan-out's, which reads a queue, and those that read a stream."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from local.deploy import deploy
from local.endpoint import Endpoint
from tests.local.operator_world import Night, acting_as
from tests.local.world import wait_until
from tools import runbook

ROOT = Path(__file__).parents[2]

PROGRAM = """
import pulumi
import pulumi_aws as aws

from components import (
    ChangeTable,
    FanOut,
    FunctionEnrichment,
    KinesisChanges,
    KinesisPipeDelivery,
    PipeDelivery,
    QueuePipeDelivery,
    QueueTarget,
    StreamPipe,
)
from handlers import wanted_plans
from handlers.cdc import on

users = ChangeTable("users", hash_key="userId", deletion_protection=False)
accounts = ChangeTable("accounts", hash_key="userId", deletion_protection=False)
queues = {name: aws.sqs.Queue(name) for name in ("copied", "enriched", "late")}
queues["in-order"] = aws.sqs.Queue("in-order", fifo_queue=True)
changes = FanOut("changes", source=users.stream)
pipes = {
    "copied": changes.pipe(
        "copied",
        target=QueueTarget(arn=queues["copied"].arn),
        input_template='{"user": <$.body.dynamodb.Keys.userId.S>}',
        delivery=QueuePipeDelivery(maximum_receives=1),
        repeats="a reader of the queue knows each user by name",
    ),
    "in-order": StreamPipe(
        "in-order",
        source=users.stream,
        target=QueueTarget(
            arn=queues["in-order"].arn, fifo=True, message_group_id="$.dynamodb.Keys.userId.S"
        ),
        when=on.new("plan").is_in(["pro", "enterprise"]),
        input_template='{"user": <$.dynamodb.Keys.userId.S>, "plan": <$.dynamodb.NewImage.plan.S>}',
        delivery=PipeDelivery(maximum_retry_attempts=0),
    ),
    "enriched": StreamPipe(
        "enriched",
        source=accounts.stream,
        target=QueueTarget(arn=queues["enriched"].arn),
        enrichment=FunctionEnrichment(handler=wanted_plans.handler),
        delivery=PipeDelivery(maximum_retry_attempts=0),
    ),
    "late": StreamPipe(
        "late",
        source=KinesisChanges("history", table=accounts).source,
        target=QueueTarget(arn=queues["late"].arn),
        when=on.insert,
        input_template='{"user": <$.data.dynamodb.Keys.userId.S>}',
        delivery=KinesisPipeDelivery(maximum_retry_attempts=0, on_failure="sns"),
    ),
}
pulumi.export("consumers", {})
pulumi.export("pipes", {name: pipe.exported() for name, pipe in pipes.items()})
pulumi.export("roles", {name: pipe.role.name for name, pipe in pipes.items()})
pulumi.export("targets", {name: queue.url for name, queue in queues.items()})
pulumi.export("streamArn", users.table.stream_arn)
pulumi.export("users", users.table.name)
pulumi.export("accounts", accounts.table.name)
"""
#: Seconds after which a queue shows a message again that a pipe did not delete.
VISIBILITY = 360


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    clone = tmp_path_factory.mktemp("pipes")
    for name in ("components", "aws_semantics"):
        (clone / name).symlink_to(ROOT / name)
    (clone / "handlers").mkdir()
    for path in (ROOT / "handlers").glob("*"):
        (clone / "handlers" / path.name).symlink_to(path)
    enrichment = ROOT / "tests" / "reference" / "wanted_plans.py"
    (clone / "handlers" / "wanted_plans.py").write_text(enrichment.read_text(encoding="utf-8"), encoding="utf-8")
    (clone / "__main__.py").write_text(PROGRAM)
    (clone / "Pulumi.yaml").write_text("name: pipes\nruntime: python\n")
    (clone / "Pulumi.test.yaml").write_text("config:\n  aws:region: us-east-1\n")
    with Endpoint() as endpoint:
        yield Night(endpoint, deploy(clone, "test", endpoint.connection), clone / "local.json")


@contextmanager
def denied(night: Night, pipe: str) -> Generator[None]:
    """Let a pipe's role deny what its target needs, meanwhile."""
    iam, role = night.client("iam"), night.outputs["roles"][pipe]
    queue = night.outputs["targets"][pipe].rpartition("/")[2]
    statement = {"Effect": "Deny", "Action": "sqs:SendMessage", "Resource": f"arn:aws:sqs:*:*:{queue}"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_role_policy(RoleName=role, PolicyName="denied", PolicyDocument=document)
    try:
        yield
    finally:
        iam.delete_role_policy(RoleName=role, PolicyName="denied")


def write(night: Night, pipe: str, user: str, *plans: str) -> None:
    """Give a user these plans, one after the other, in the table that a pipe gets its changes of."""
    table = night.outputs["users" if pipe in ("copied", "in-order") else "accounts"]
    for plan in plans:
        item = {"userId": {"S": user}, "plan": {"S": plan}}
        night.client("dynamodb").put_item(TableName=table, Item=item)


def give_up(night: Night, pipe: str, user: str, *plans: str, letters: int = 1) -> list[Any]:
    """Let a pipe give up the changes of a user; returns its dead letters."""
    with denied(night, pipe):
        before = failures(night, pipe)
        write(night, pipe, user, *plans)
        if pipe == "copied":
            wait_until(lambda: failures(night, pipe) > before)
            night.endpoint.control.advance_clock(VISIBILITY)
        wait_until(lambda: len(listed(night, pipe)) == letters)
    return listed(night, pipe)


def failures(night: Night, pipe: str) -> int:
    """Count a pipe's executions that failed."""
    entries = night.endpoint.control.pipe_history(night.outputs["pipes"][pipe]["pipe"])
    return sum(entry["kind"] == "invocation" and entry["outcome"] == "error" for entry in entries)


def listed(night: Night, pipe: str) -> list[Any]:
    return night.weir("dead-letters", "list", pipe, "--json").documents


def redrive(night: Night, pipe: str, *arguments: str) -> tuple[int, list[str]]:
    said = night.weir("dead-letters", "redrive", pipe, "--json", "--rate", "1000", *arguments)
    return said.code, [each["outcome"] for each in said.documents]


def wait_for(night: Night, pipe: str, user: str, count: int) -> list[Any]:
    """Take messages about a user out of a pipe's target until there are so many."""
    sqs, url = night.client("sqs"), night.outputs["targets"][pipe]
    found: list[Any] = []

    def came() -> bool:
        for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            body = json.loads(message["Body"])
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            found.extend([body] if body["user"] == user else [])
        return len(found) >= count

    wait_until(came)
    return found


def test_a_change_that_a_fan_outs_pipe_gave_up_goes_back_to_the_queue_that_the_pipe_reads(night: Night) -> None:
    (letter,) = give_up(night, "copied", "ada", "free")
    assert (letter["consumer"], letter["condition"], letter["keys"]) == ("copied", "MaxReceiveCount", ["userId=ada"])
    assert redrive(night, "copied") == (1, ["planned"])
    assert redrive(night, "copied", "--yes") == (0, ["queued"])
    assert wait_for(night, "copied", "ada", 1) == [{"user": "ada"}]
    assert listed(night, "copied") == []


def test_changes_that_a_pipe_of_a_stream_gave_up_go_through_filter_and_template_to_its_target(night: Night) -> None:
    letters = give_up(night, "in-order", "bob", "pro", "free", "enterprise", letters=2)
    assert [letter["keys"] for letter in letters] == [["userId=bob"]] * 2
    assert all(letter["deadline"] - letter["at"] <= 24 * 3600 for letter in letters)
    dry = night.weir("dead-letters", "redrive", "in-order")
    assert (dry.code, "weir dead-letters redrive in-order --yes" in dry.output) == (1, True)
    assert redrive(night, "in-order", "--yes") == (0, ["applied", "applied"])
    assert wait_for(night, "in-order", "bob", 2) == [
        {"user": "bob", "plan": "pro"},
        {"user": "bob", "plan": "enterprise"},
    ]
    assert listed(night, "in-order") == []
    assert redrive(night, "in-order", "--yes") == (0, [])


def test_a_redrive_goes_through_the_enrichment_which_evaluates_the_rest_of_the_condition(night: Night) -> None:
    give_up(night, "enriched", "cyd", "free", "free", "pro")
    assert redrive(night, "enriched", "--yes") == (0, ["applied"])
    (event,) = wait_for(night, "enriched", "cyd", 1)
    assert (event["from"], event["to"]) == ("free", "pro")


def test_the_documents_in_the_queue_behind_a_topic_are_redriven_from_kinesis(night: Night) -> None:
    (letter,) = give_up(night, "late", "dan", "free")
    assert letter["keys"] == ["userId=dan"]
    assert redrive(night, "late", "--yes") == (0, ["applied"])
    assert wait_for(night, "late", "dan", 1) == [{"user": "dan"}]
    assert listed(night, "late") == []


def test_what_the_target_does_not_take_stays_and_holds_back_newer_changes_of_its_item(
    night: Night, tmp_path: Path
) -> None:
    give_up(night, "in-order", "eve", "pro", "enterprise", letters=2)
    policy = json.loads(night.weir("dead-letters", "redrive", "in-order", "--iam").output)
    for statement in policy["Statement"]:
        statement["Action"] = [action for action in statement["Action"] if action != "sqs:SendMessage"]
    acting = acting_as(night, policy, tmp_path / "acting.json")
    said = acting.weir("dead-letters", "redrive", "in-order", "--yes", "--json")
    assert (said.code, [each["outcome"] for each in said.documents]) == (1, ["failed", "held back"])
    assert "sqs:sendmessage" in said.documents[0]["note"]
    assert redrive(night, "in-order", "--yes") == (0, ["applied", "applied"])
    assert [each["plan"] for each in wait_for(night, "in-order", "eve", 2)] == ["pro", "enterprise"]


def test_show_has_the_change_and_the_reason_that_the_pipe_has_logged(night: Night) -> None:
    (letter,) = give_up(night, "in-order", "fay", "pro")
    shown = json.loads(night.weir("dead-letters", "show", letter["id"], "--json").output)
    assert [record["attributes"]["plan"]["new"] for record in shown["records"]] == ["pro"]
    assert any("failed with error from Sqs" in line["text"] for line in shown["log"])
    assert night.weir("dead-letters", "drop", "in-order", letter["id"], "--yes").code == 0
    assert listed(night, "in-order") == []


@pytest.mark.parametrize("pipe", ["copied", "in-order", "enriched"])  # the endpoint lets no role read Kinesis
def test_the_printed_policy_of_a_command_is_enough_for_it(pipe: str, night: Night, tmp_path: Path) -> None:
    plans = ("free", "pro") if pipe == "enriched" else ("pro",)
    (letter,) = give_up(night, pipe, f"gil-{pipe}", *plans)
    for words in (["list", pipe], ["show", letter["id"]], ["redrive", pipe, "--yes"], ["drop", pipe, "--yes"]):
        policy = json.loads(night.weir("dead-letters", *words, "--iam").output)
        said = acting_as(night, policy, tmp_path / "acting.json").weir("dead-letters", *words)
        assert said.code == (1 if words[0] == "list" else 0), said.errors or said.output
        assert "AccessDenied" not in said.output
    assert len(wait_for(night, pipe, f"gil-{pipe}", 1)) == 1


def status(night: Night, pipe: str) -> tuple[int, Any]:
    said = night.weir("status", pipe, "--json")
    document = json.loads(said.output)
    assert document["consumers"] == []
    (found,) = document["pipes"]
    return said.code, found


def test_the_status_of_a_pipe_counts_its_dead_letters_and_names_the_next_command(night: Night) -> None:
    give_up(night, "in-order", "hal", "pro")
    code, pipe = status(night, "in-order")
    assert (code, pipe["name"], pipe["state"], pipe["deadLetters"]["waiting"]) == (1, "in-order", "RUNNING", 1)
    assert [advice["command"] for advice in pipe["advice"]] == ["weir dead-letters list in-order"]
    whole = night.weir("status")
    assert (whole.code, "weir dead-letters list in-order" in whole.output) == (1, True)
    assert redrive(night, "in-order", "--yes") == (0, ["applied"])
    assert status(night, "in-order")[1]["deadLetters"]["waiting"] == 0
    wait_for(night, "in-order", "hal", 1)


@pytest.mark.parametrize("pipe", ["copied", "in-order", "late"])
def test_a_paused_pipe_needs_somebody_and_goes_on_where_it_stopped(pipe: str, night: Night) -> None:
    pipes, name = night.client("pipes"), night.outputs["pipes"][pipe]["pipe"]

    def has_come_to(state: str) -> bool:
        return pipes.describe_pipe(Name=name)["CurrentState"] == state

    paused = night.weir("pause", pipe, "--json")
    assert (paused.code, json.loads(paused.output)["forgetsInSeconds"] > 23 * 3600) == (0, True)
    wait_until(lambda: has_come_to("STOPPED"))
    write(night, pipe, f"jan-{pipe}", "pro")
    code, shown = status(night, pipe)
    assert (code, shown["state"]) == (1, "STOPPED")
    assert shown["advice"][0]["command"] == f"weir resume {pipe}"

    assert night.weir("resume", pipe).code == 0
    wait_until(lambda: has_come_to("RUNNING"))
    assert len(wait_for(night, pipe, f"jan-{pipe}", 1)) == 1
    again = night.weir("resume", pipe)
    assert (again.code, again.errors) == (2, f"{pipe} is not paused: it is RUNNING\n")


def test_a_pipe_whose_record_age_is_within_the_hour_is_paused_by_force_alone(night: Night) -> None:
    pipes, name = night.client("pipes"), night.outputs["pipes"]["in-order"]["pipe"]
    described = pipes.describe_pipe(Name=name)
    settings = described["SourceParameters"]["DynamoDBStreamParameters"]
    kept = {each: value for each, value in settings.items() if each != "StartingPosition"}

    def give_up_after(seconds: int) -> None:
        parameters = {"DynamoDBStreamParameters": {**kept, "MaximumRecordAgeInSeconds": seconds}}
        pipes.update_pipe(Name=name, RoleArn=described["RoleArn"], SourceParameters=parameters)
        wait_until(lambda: pipes.describe_pipe(Name=name)["CurrentState"] == "RUNNING")

    give_up_after(600)
    refused = night.weir("pause", "in-order")
    assert (refused.code, "begins to lose records in 10 min" in refused.errors) == (1, True)
    assert night.weir("pause", "in-order", "--force").code == 0
    wait_until(lambda: pipes.describe_pipe(Name=name)["CurrentState"] == "STOPPED")
    assert night.weir("resume", "in-order").code == 0
    wait_until(lambda: pipes.describe_pipe(Name=name)["CurrentState"] == "RUNNING")
    give_up_after(settings["MaximumRecordAgeInSeconds"])


def test_the_errors_that_a_pipe_logged_are_followed_by_its_name(night: Night) -> None:
    give_up(night, "in-order", "ivy", "pro")
    followed = "tail", "in-order", "--no-follow", "--level", "ERROR"
    wait_until(lambda: "in-order  EXECUTION_FAILED" in night.weir(*followed).output)
    refused = night.weir("tail", "in-order", "--no-follow", "--key", "userId=ivy")
    assert (refused.code, "names no items: leave --key out" in refused.errors) == (2, True)
    assert night.weir("dead-letters", "drop", "in-order", "--yes").code == 0


@pytest.mark.parametrize("pipe", ["copied", "in-order"])
def test_the_commands_on_the_pages_of_a_pipes_alarms_run_with_its_name(pipe: str, night: Night) -> None:
    alarms = night.outputs["pipes"][pipe]["alarms"]
    commands = {command for alarm in alarms for command in runbook.STEPS[alarm].commands}
    assert "weir status {consumer}" in commands
    for command in sorted(commands):
        said = night.weir(*command.format(consumer=pipe).split()[1:])
        assert said.code in (0, 1), f"{command}: {said.errors}"


@pytest.mark.parametrize("pipe", ["copied", "in-order"])
def test_the_printed_policies_of_the_other_commands_are_enough_for_a_pipe(
    pipe: str, night: Night, tmp_path: Path
) -> None:
    for words in (["status", pipe], ["tail", pipe, "--no-follow"], ["pause", pipe], ["resume", pipe]):
        policy = json.loads(night.weir(*words, "--iam").output)
        said = acting_as(night, policy, tmp_path / "acting.json").weir(*words)
        assert said.code in (0, 1), said.errors
        wait_until(lambda: status(night, pipe)[1]["state"] in ("STOPPED", "RUNNING"))


@pytest.mark.parametrize(("pipe", "table"), [("copied", "users"), ("enriched", "accounts"), ("late", "accounts")])
def test_a_redrive_may_compare_with_the_items_of_the_table_that_the_pipes_changes_are_of(
    pipe: str, table: str, night: Night
) -> None:
    policy = json.loads(night.weir("dead-letters", "redrive", pipe, "--iam").output)
    (asked,) = [each["Resource"] for each in policy["Statement"] if "dynamodb:BatchGetItem" in each["Action"]]
    assert [arn.rpartition("/")[2] for arn in asked] == [night.outputs[table]]


def test_an_unknown_name_is_answered_with_those_of_the_pipes(night: Night) -> None:
    said = night.weir("dead-letters", "list", "nobody")
    assert said.code == 2
    assert said.errors.endswith("its pipes are copied, enriched, in-order, late\n")
