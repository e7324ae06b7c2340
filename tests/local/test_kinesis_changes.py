"""The Kinesis route on the endpoint: a consumer that comes late, begins at a time, and repeats nothing."""

from __future__ import annotations

import json
from datetime import UTC, datetime
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

from components import Access, ChangeTable, EffectLedgerTable, KinesisChanges, allow
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
keeper = history.subscribe(keeping.handler, access=[ledger.access(), note], replay_from="SINCE")

pulumi.export("usersTable", users.table.name)
pulumi.export("notesTable", notes.name)
pulumi.export("stream", history.stream.name)
pulumi.export("mapping", keeper.event_source_mapping.uuid)
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
    return Stack(aws, deploy(clone, "test", aws.connection).outputs)


def test_a_consumer_gets_the_changes_since_its_time_through_kinesis(stack: Stack) -> None:
    for version in (1, 2, 3):
        stack.put("ada", version)
    wait_until(lambda: stack.notes() >= {"ada#1", "ada#2", "ada#3"})
    mapping = stack.aws.client("lambda").get_event_source_mapping(UUID=stack.outputs["mapping"])
    assert (mapping["StartingPosition"], ":kinesis:" in mapping["EventSourceArn"]) == ("AT_TIMESTAMP", True)


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
