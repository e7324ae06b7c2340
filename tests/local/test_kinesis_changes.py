"""The Kinesis route on the endpoint: a consumer that comes late, begins at a time, and repeats nothing."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from local.deploy import deploy
from local.endpoint import Endpoint
from ops.cli import app
from tests.local.world import wait_until

ROOT = Path(__file__).parents[2]

PROGRAM = """
import pulumi
import pulumi_aws as aws

from components import Access, ChangeTable, EffectLedgerTable, KinesisChanges, KinesisDelivery, allow
from handlers import keeping

users = ChangeTable("users", hash_key="userId", deletion_protection=False)
ledger = EffectLedgerTable("effects", deletion_protection=False)
notes = aws.dynamodb.Table(
    "notes",
    billing_mode="PAY_PER_REQUEST",
    hash_key="note",
    attributes=[{"name": "note", "type": "S"}],
)
note = Access([allow(["dynamodb:PutItem"], notes.arn)], {"NOTES_TABLE": notes.name})

history = KinesisChanges("history", table=users, retention_hours=720)
keeper = history.subscribe(
    keeping.handler,
    access=[ledger.access(), note],
    delivery=KinesisDelivery(on_failure="sqs"),
    replay_from="SINCE",
)

pulumi.export("usersTable", users.table.name)
pulumi.export("notesTable", notes.name)
pulumi.export("stream", history.stream.name)
pulumi.export("mapping", keeper.event_source_mapping.uuid)
pulumi.export("streamArn", users.table.stream_arn)
pulumi.export("consumers", {"keeping": {"eventSourceMapping": keeper.event_source_mapping.uuid}})
"""

HANDLER = '''
"""Keeps a note of each version of an item, once."""

import os

from handlers.cdc import Change, EffectLedger, client, consumer, on

effects = EffectLedger()
dynamodb = client("dynamodb")


@consumer(when=on.insert | on.modify)
def handler(change: Change) -> None:
    """Keep one note."""
    key = f"{change.keys['userId']}#{change.item['version']}"
    effects.once(key, keep, key)


def keep(note: str) -> None:
    """Write the note."""
    dynamodb.put_item(TableName=os.environ["NOTES_TABLE"], Item={"note": {"S": note}})
'''


class Stack:
    """The deployed program, and the notes of its consumer."""

    def __init__(self, aws: Endpoint, outputs: dict[str, Any]) -> None:
        self.aws, self.outputs = aws, outputs
        self.tables = aws.client("dynamodb")

    def weir(self, folder: Path, *arguments: str) -> Any:
        """Type a command of `weir`, with a file of the stack."""
        environment = {
            "AWS_ENDPOINT_URL": self.aws.url,
            "AWS_REGION": self.aws.region,
            "AWS_ACCESS_KEY_ID": self.aws.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.aws.secret_access_key,
        }
        state = folder / "stack.json"
        state.write_text(json.dumps({"environment": environment, "outputs": dict(self.outputs)}))
        done = CliRunner().invoke(app, [*arguments, "--state", str(state)], env={"COLUMNS": "400"})
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done

    def put(self, user: str, version: int) -> None:
        item = {"userId": {"S": user}, "version": {"N": str(version)}}
        self.tables.put_item(TableName=self.outputs["usersTable"], Item=item)

    def notes(self) -> set[str]:
        found = self.tables.scan(TableName=self.outputs["notesTable"], ConsistentRead=True)["Items"]
        return {each["note"]["S"] for each in found}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, aws: Endpoint) -> Stack:
    clone = tmp_path_factory.mktemp("kinesis")
    (clone / "handlers").mkdir()
    for name in ("components", "aws_semantics"):
        (clone / name).symlink_to(ROOT / name)
    for path in (ROOT / "handlers").glob("*"):
        (clone / "handlers" / path.name).symlink_to(path)
    (clone / "handlers" / "keeping.py").write_text(HANDLER)
    since = datetime.fromtimestamp(aws.control.advance_clock(1), UTC).isoformat()
    (clone / "__main__.py").write_text(PROGRAM.replace("SINCE", since))
    (clone / "Pulumi.yaml").write_text("name: kinesis\nruntime: python\n")
    (clone / "Pulumi.test.yaml").write_text("config:\n  aws:region: us-east-1\n")
    outputs = dict(deploy(clone, "test", aws.connection).outputs)
    # So that failures are given up soon; the component refuses it, since a crash would lose its record.
    aws.client("lambda").update_event_source_mapping(UUID=outputs["mapping"], MaximumRetryAttempts=0)
    return Stack(aws, outputs)


def test_a_consumer_gets_the_changes_since_its_time_through_kinesis(stack: Stack) -> None:
    for version in (1, 2, 3):
        stack.put("ada", version)
    wait_until(lambda: stack.notes() >= {"ada#1", "ada#2", "ada#3"})
    mapping = stack.aws.client("lambda").get_event_source_mapping(UUID=stack.outputs["mapping"])
    assert (mapping["StartingPosition"], ":kinesis:" in mapping["EventSourceArn"]) == ("AT_TIMESTAMP", True)


def test_a_pointer_at_kinesis_is_listed_shown_and_redriven(stack: Stack, tmp_path: Path) -> None:
    def waiting() -> list[Any]:
        said = stack.weir(tmp_path, "dead-letters", "list", "keeping", "--json")
        return [json.loads(line) for line in said.stdout.splitlines()]

    stack.aws.control.fail("dynamodb:PutItem", containing="cyd#1", times=1000)
    try:
        stack.put("cyd", 1)
        wait_until(lambda: any("userId=cyd" in letter["keys"] for letter in waiting()))
    finally:
        stack.aws.control.clear_faults()
    (letter,) = waiting()
    kept = letter["deadline"] - letter["at"]
    assert 13 * 24 * 3600 < kept <= 14 * 24 * 3600  # the queue forgets it before the stream does
    shown = json.loads(stack.weir(tmp_path, "dead-letters", "show", letter["id"], "--json").stdout)
    assert shown["records"][0]["attributes"]["version"] == {"old": None, "new": "1", "now": "1", "differs": False}
    assert "cyd#1" not in stack.notes()

    dry = stack.weir(tmp_path, "dead-letters", "redrive", "keeping")
    assert (dry.exit_code, "1 planned" in dry.stdout, "cyd#1" in stack.notes()) == (1, True, False)
    done = stack.weir(tmp_path, "dead-letters", "redrive", "keeping", "--yes")
    assert (done.exit_code, "cyd#1" in stack.notes(), waiting()) == (0, True, [])


def test_a_change_in_kinesis_is_traced_by_its_key_and_by_its_own_event_id(stack: Stack, tmp_path: Path) -> None:
    def traced(wanted: str) -> list[Any]:
        said = stack.weir(tmp_path, "trace", wanted, "--json")
        return [json.loads(line) for line in said.stdout.splitlines()]

    stack.put("eve", 1)
    wait_until(lambda: "eve#1" in stack.notes())
    stack.tables.delete_item(TableName=stack.outputs["usersTable"], Key={"userId": {"S": "eve"}})
    wait_until(lambda: [change["eventName"] for change in traced("userId=eve")] == ["INSERT", "REMOVE"])
    inserted, removed = traced("userId=eve")
    assert [step["text"] for step in inserted["steps"]["keeping"]] == ["keeping#eve#1 is done"]
    assert [step["kind"] for step in removed["steps"]["keeping"]] == ["filtered out"]
    assert traced(inserted["eventId"]) == [inserted]


def test_a_change_that_was_given_up_in_kinesis_is_traced_to_its_dead_letter(stack: Stack, tmp_path: Path) -> None:
    def kinds() -> list[str]:
        said = stack.weir(tmp_path, "trace", "userId=fin", "--json")
        return [step["kind"] for line in said.stdout.splitlines() for step in json.loads(line)["steps"]["keeping"]]

    stack.aws.control.fail("dynamodb:PutItem", containing="fin#1", times=1000)
    try:
        stack.put("fin", 1)
        wait_until(lambda: "dead letter" in kinds())
    finally:
        stack.aws.control.clear_faults()
    assert "failure" in kinds()
    assert stack.weir(tmp_path, "dead-letters", "redrive", "keeping", "--yes").exit_code == 0
    assert {"effect", "failure"} == {*kinds()}


def test_a_range_of_time_is_read_again_from_kinesis(stack: Stack, tmp_path: Path) -> None:
    since = datetime.fromtimestamp(stack.aws.control.advance_clock(2), UTC)
    stack.put("dan", 1)
    wait_until(lambda: "dan#1" in stack.notes())
    until = datetime.fromtimestamp(stack.aws.control.advance_clock(2), UTC)
    stack.put("dan", 2)
    wait_until(lambda: "dan#2" in stack.notes())
    reread = ["reread", "keeping", "--from", since.isoformat(), "--to", until.isoformat(), "--json"]
    dry = json.loads(stack.weir(tmp_path, *reread).stdout)
    assert (dry["counts"]["planned"], dry["forgottenUntil"]) == (1, None)
    stack.tables.delete_item(TableName=stack.outputs["notesTable"], Key={"note": {"S": "dan#1"}})
    done = stack.weir(tmp_path, *reread, "--yes")
    assert (done.exit_code, json.loads(done.stdout)["counts"]["applied"]) == (0, 1)
    assert "dan#1" not in stack.notes()  # the ledger has the effect as done


def test_the_stream_still_has_what_the_table_s_own_has_forgotten(stack: Stack) -> None:
    stack.put("bob", 1)
    wait_until(lambda: "bob#1" in stack.notes())
    stack.aws.control.advance_clock(29 * 24 * 3600)
    kinesis, name = stack.aws.client("kinesis"), stack.outputs["stream"]
    kept: list[Any] = []
    for shard in kinesis.list_shards(StreamName=name)["Shards"]:
        iterator = kinesis.get_shard_iterator(
            StreamName=name, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        kept += [json.loads(each["Data"]) for each in kinesis.get_records(ShardIterator=iterator)["Records"]]
    assert {"userId": {"S": "bob"}} in [each["dynamodb"]["Keys"] for each in kept]


def test_status_says_that_somebody_should_act_when_the_replication_is_disabled(stack: Stack, tmp_path: Path) -> None:
    def replication() -> tuple[Any, bool]:
        document = json.loads(stack.weir(tmp_path, "status", "--json").stdout)
        (only,) = document["replications"]
        return only, document["needsSomebody"]

    healthy, _ = replication()
    assert (healthy["table"], healthy["state"], healthy["advice"]) == (stack.outputs["usersTable"], "ACTIVE", "")

    named = {"TableName": stack.outputs["usersTable"], "StreamArn": healthy["stream"]}
    stack.tables.disable_kinesis_streaming_destination(**named)
    try:
        wait_until(lambda: replication()[0]["state"] == "DISABLED")
        disabled, needs_somebody = replication()
        assert disabled["advice"].startswith("not replicated: disabled")
        assert needs_somebody
        assert f"{named['TableName']} to {named['StreamArn']}: DISABLED" in stack.weir(tmp_path, "status").stdout
    finally:
        stack.tables.enable_kinesis_streaming_destination(**named)
    wait_until(lambda: replication()[0]["state"] == "ACTIVE")
