"""A table's items, what they imply, and what brings the missing of it about: each with the whole stack running."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
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

from components import (
    Access, Backfill, ChangeTable, EffectLedgerTable, FanOut, FunctionSettings, ProjectionTable, QueueDelivery,
    Reconciliation, allow
)
from handlers import greeting, rows

users = ChangeTable("users", hash_key="userId", deletion_protection=False)
ledger = EffectLedgerTable("effects", deletion_protection=False)
copies = ProjectionTable("copies", hash_key="userId", deletion_protection=False)
notes = aws.dynamodb.Table(
    "notes",
    billing_mode="PAY_PER_REQUEST",
    hash_key="note",
    range_key="at",
    attributes=[{"name": "note", "type": "S"}, {"name": "at", "type": "N"}],
)
note = Access([allow(["dynamodb:PutItem"], notes.arn)], {"NOTES_TABLE": notes.name})

fan_out = FanOut(
    "repair",
    source=users.stream,
    delivery=QueueDelivery(attempts=3),
    function=FunctionSettings(timeout=4),
    archive_days=1,
)
fan_out.subscribe(greeting.handler, access=[ledger.access(), note])
fan_out.subscribe(rows.handler, access=[copies.access("COPIES_TABLE")])
reconciliation = Reconciliation(
    "reconciliation",
    table=users,
    fan_out=fan_out,
    segments=3,
    concurrency=3,
    items_per_second=10_000,
    settle_seconds=0,
    function=FunctionSettings(timeout=60),
    schedule="cron(0 3 1 1 ? 2199)",
)

backfill = Backfill(
    "backfill",
    table=users,
    fan_out=fan_out,
    consumers=["greeting", "rows"],
    segments=2,
    items_per_second=10_000,
    function=FunctionSettings(timeout=60),
)

pulumi.export("backfill", backfill.state_machine.arn)
pulumi.export("topic", fan_out.topic.arn)
pulumi.export("users", users.table.name)
pulumi.export("notes", notes.name)
pulumi.export("copies", copies.table.name)
pulumi.export("ledger", ledger.table.name)
pulumi.export("reconciliation", reconciliation.state_machine.arn)
pulumi.export("schedule", reconciliation.schedule.name)
pulumi.export("reports", reconciliation.reports.bucket)
pulumi.export("walker", reconciliation.function.name)
pulumi.export(
    "mappings", {name: each.event_source_mapping.uuid for name, each in fan_out.consumers.items()}
)
pulumi.export("queues", {name: each.queue.url for name, each in fan_out.consumers.items()})
"""

GREETING = '''
"""Greets a user once per plan."""

import os
import time

from handlers.cdc import Change, EffectLedger, client, consumer, on

effects = EffectLedger()
dynamodb = client("dynamodb")


@consumer(when=on.modify & on.changed("plan") & on.new("plan").is_in(["pro", "team"]))
def handler(change: Change) -> None:
    """Greet a user."""
    user = change.item
    effects.once(f"{user['userId']}#{user['plan']}", greet, f"{user['userId']}#{user['plan']}")


@handler.expects
def greeted(user):
    """Expect a greeting for each paid plan."""
    return effects.expected(f"{user['userId']}#{user['plan']}") if user["plan"] in ("pro", "team") else None


def greet(note: str) -> None:
    """Write a note for each greeting, so that two of them show."""
    dynamodb.put_item(
        TableName=os.environ["NOTES_TABLE"], Item={"note": {"S": note}, "at": {"N": str(time.time_ns())}}
    )
'''

ROWS = '''
"""Keeps a copy of each user's plan."""

from handlers.cdc import Change, consumer, on
from handlers.cdc.projection import DynamoDBProjection

copies = DynamoDBProjection("COPIES_TABLE")


@consumer(when=on.changed("plan"))
def handler(change: Change) -> None:
    """Copy a plan."""
    key = {"userId": change.item["userId"]}
    if change.new is None:
        copies.delete(change, key)
    else:
        copies.put(change, {**key, "plan": change.new["plan"]})


@handler.expects
def row(user):
    """Expect a copy as new as the user."""
    return copies.expected(user, {"userId": user["userId"]}, {"plan": user["plan"]})
'''


class Stack:
    """The deployed program, with a user's hand on everything."""

    def __init__(self, aws: Endpoint, outputs: Mapping[str, Any]) -> None:
        self.aws, self.outputs = aws, outputs
        self.dynamodb = aws.client("dynamodb")
        self.machines = aws.client("stepfunctions")

    def upgrade(self, user: str, plan: str, version: int) -> None:
        """Write a user's plan as the API does: in place, with the next version."""
        self.dynamodb.update_item(
            TableName=self.outputs["users"],
            Key={"userId": {"S": user}},
            UpdateExpression="SET #plan = :plan, version = :version, photo = :photo",
            ExpressionAttributeNames={"#plan": "plan"},
            ExpressionAttributeValues={
                ":plan": {"S": plan},
                ":version": {"N": str(version)},
                ":photo": {"B": b"\x00\xff"},
            },
        )

    def greetings(self) -> list[str]:
        items = self.dynamodb.scan(TableName=self.outputs["notes"], ConsistentRead=True)["Items"]
        return sorted(each["note"]["S"] for each in items)

    def copies(self) -> dict[str, str]:
        items = self.dynamodb.scan(TableName=self.outputs["copies"], ConsistentRead=True)["Items"]
        return {each["userId"]["S"]: each["plan"]["S"] for each in items if "deleted" not in each}

    def quiet(self) -> None:
        self.aws.control.wait_until_idle(list(self.outputs["mappings"].values()), timeout=180)

    def lose(self, *tables: str) -> None:
        """Empty tables, as an outage would that outlasts the stream."""
        for table in tables:
            name = self.outputs[table]
            keys = [
                each["AttributeName"] for each in self.dynamodb.describe_table(TableName=name)["Table"]["KeySchema"]
            ]
            for item in self.dynamodb.scan(TableName=name)["Items"]:
                self.dynamodb.delete_item(TableName=name, Key={key: item[key] for key in keys})

    def reconcile(self, *, dry_run: bool) -> dict[str, dict[str, int]]:
        """Run the machine, and return its results by kind and consumer."""
        started = self.machines.start_execution(
            stateMachineArn=self.outputs["reconciliation"], input=json.dumps({"dryRun": dry_run})
        )
        found: dict[str, Any] = {}

        def ended() -> bool:
            found.update(self.machines.describe_execution(executionArn=started["executionArn"]))
            return found["status"] != "RUNNING"

        wait_until(ended)
        assert found["status"] == "SUCCEEDED", found
        totals: dict[str, dict[str, int]] = {"missing": {}, "sent": {}, "uncertain": {}}
        for segment in json.loads(found["output"]):
            for kind, counts in totals.items():
                for name, number in segment[kind].items():
                    counts[name] = counts.get(name, 0) + number
        self.run = started["executionArn"].rpartition(":")[2]
        return totals

    def weir(self, directory: Path, *arguments: str) -> tuple[int, Any]:
        """Run a command, and return its exit code and its JSON."""
        environment = {
            "AWS_ENDPOINT_URL": self.aws.url,
            "AWS_REGION": self.aws.region,
            "AWS_ACCESS_KEY_ID": self.aws.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.aws.secret_access_key,
        }
        state = directory / "stack.json"
        state.write_text(json.dumps({"environment": environment, "outputs": dict(self.outputs)}))
        said = CliRunner().invoke(app, [*arguments, "--state", str(state)])
        return said.exit_code, json.loads(said.stdout)


@pytest.fixture(scope="module")
def aws() -> Iterator[Endpoint]:
    """An endpoint of its own: where others have moved the clock on, the ledger's entries would be past their end."""
    with Endpoint() as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, aws: Endpoint) -> Stack:
    clone = tmp_path_factory.mktemp("reconciliation")
    (clone / "handlers").mkdir()
    for name in ("components", "aws_semantics"):
        (clone / name).symlink_to(ROOT / name)
    for path in (ROOT / "handlers").glob("*"):
        (clone / "handlers" / path.name).symlink_to(path)
    (clone / "handlers" / "greeting.py").write_text(GREETING)
    (clone / "handlers" / "rows.py").write_text(ROWS)
    (clone / "__main__.py").write_text(PROGRAM)
    (clone / "Pulumi.yaml").write_text("name: repair\nruntime: python\n")
    (clone / "Pulumi.test.yaml").write_text("config:\n  aws:region: us-east-1\n")
    stack = Stack(aws, deploy(clone, "test", aws.connection).outputs)
    for number in range(7):
        stack.upgrade(f"u{number}", "free", 1)
        stack.upgrade(f"u{number}", "pro" if number % 2 else "free", 2)
    wait_until(lambda: len(stack.greetings()) == 3 and len(stack.copies()) == 7)
    stack.quiet()  # a greeting is marked after it was written
    return stack


def test_nothing_is_missing_of_a_stack_that_works(stack: Stack) -> None:
    assert stack.reconcile(dry_run=False) == {"missing": {}, "sent": {}, "uncertain": {}}


def test_a_dry_run_reports_what_is_missing_and_sends_nothing(stack: Stack) -> None:
    stack.lose("copies", "ledger", "notes")
    missing = {"greeting": 3, "rows": 7}
    assert stack.reconcile(dry_run=True) == {"missing": missing, "sent": {}, "uncertain": {}}
    s3 = stack.aws.client("s3")
    found = s3.list_objects_v2(Bucket=stack.outputs["reports"], Prefix=f"{stack.run}/")["Contents"]
    bodies = [s3.get_object(Bucket=stack.outputs["reports"], Key=each["Key"])["Body"].read() for each in found]
    lines = [json.loads(line) for body in bodies for line in body.decode().splitlines()]
    assert len(lines) == 10
    assert {
        "consumer": "greeting",
        "keys": {"userId": {"S": "u1"}},
        "expected": "greeting#u1#pro",
        "state": "missing",
        "sent": False,
    } in lines
    assert stack.greetings() == []


def test_the_command_names_the_key_that_switches_it_on(stack: Stack, tmp_path: Path) -> None:
    outputs = {name: value for name, value in stack.outputs.items() if name != "reconciliation"}
    (tmp_path / "stack.json").write_text(json.dumps({"environment": {}, "outputs": outputs}))
    said = CliRunner().invoke(app, ["reconcile", "--state", str(tmp_path / "stack.json")])
    assert (said.exit_code, "pulumi config set reconciliation true" in said.stderr) == (2, True)


def test_what_is_missing_is_brought_about_by_the_consumers_own_functions_once(stack: Stack) -> None:
    stack.lose("copies", "ledger", "notes")
    sent = {"greeting": 3, "rows": 7}
    assert stack.reconcile(dry_run=False) == {"missing": sent, "sent": sent, "uncertain": {}}
    wait_until(lambda: len(stack.greetings()) == 3 and len(stack.copies()) == 7)
    stack.quiet()
    assert stack.greetings() == ["u1#pro", "u3#pro", "u5#pro"]
    assert stack.reconcile(dry_run=True)["missing"] == {}


def test_a_walk_that_is_due_brings_about_what_is_missing(stack: Stack) -> None:
    stack.lose("copies")
    scheduler = stack.aws.client("scheduler")
    found = scheduler.get_schedule(Name=stack.outputs["schedule"])
    moment = datetime.fromtimestamp(stack.aws.control.advance_clock(0) + 600, UTC)
    kept = {name: found[name] for name in ("Name", "FlexibleTimeWindow", "Target")}
    scheduler.update_schedule(**kept, ScheduleExpression=f"at({moment:%Y-%m-%dT%H:%M:%S})")
    stack.aws.control.advance_clock(600)
    wait_until(lambda: len(stack.copies()) == 7)
    running = {"stateMachineArn": stack.outputs["reconciliation"], "statusFilter": "RUNNING"}
    wait_until(lambda: stack.machines.list_executions(**running)["executions"] == [])
    stack.quiet()


def test_the_command_exits_with_1_while_something_is_missing(stack: Stack, tmp_path: Path) -> None:
    stack.lose("copies")
    code, said = stack.weir(tmp_path, "reconcile", "--json")
    assert (code, said["missing"], said["sent"], said["dryRun"]) == (1, {"rows": 7}, {}, True)
    code, said = stack.weir(tmp_path, "reconcile", "--yes", "--json")
    assert (code, said["missing"], said["sent"]) == (0, {"rows": 7}, {"rows": 7})
    wait_until(lambda: len(stack.copies()) == 7)
    stack.quiet()
    code, said = stack.weir(tmp_path, "reconcile", "--json")
    assert (code, said["missing"], said["checked"]) == (0, {}, 7)


def test_the_archive_replays_into_the_same_functions_which_rebuild_rows_and_greet_nobody_twice(stack: Stack) -> None:
    topics, topic = stack.aws.client("sns"), stack.outputs["topic"]
    stack.lose("copies", "notes")
    since = datetime.fromtimestamp(stack.aws.control.advance_clock(0) - 3600, UTC)
    # A queue forgets deduplication ids after five minutes.
    stack.aws.control.advance_clock(400)
    for each in topics.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]:
        topics.unsubscribe(SubscriptionArn=each["SubscriptionArn"])
        replay = {"PointType": "Timestamp", "StartingPoint": f"{since:%Y-%m-%dT%H:%M:%SZ}"}
        topics.subscribe(
            TopicArn=topic,
            Protocol="sqs",
            Endpoint=each["Endpoint"],
            Attributes={"RawMessageDelivery": "true", "ReplayPolicy": json.dumps(replay)},
        )
    wait_until(lambda: len(stack.copies()) == 7)
    stack.quiet()
    assert stack.copies()["u1"] == "pro"
    assert stack.greetings() == []


def test_a_backfill_writes_rows_marks_effects_of_the_past_and_swallows_none_of_the_present(
    stack: Stack, tmp_path: Path
) -> None:
    stack.lose("copies", "ledger", "notes")
    code, said = stack.weir(tmp_path, "backfill", "--json")
    assert (code, said["missing"], said["sent"]) == (1, {"greeting": 3, "rows": 7}, {})
    stack.upgrade("u0", "team", 3)  # while the items are on their way
    code, said = stack.weir(tmp_path, "backfill", "--yes", "--json")
    assert code == 0
    stack.upgrade("u2", "team", 3)
    wait_until(lambda: len(stack.copies()) == 7 and len(stack.greetings()) == 2)
    stack.quiet()
    assert stack.greetings() == ["u0#team", "u2#team"]
    assert stack.copies() == {
        "u1": "pro",
        "u3": "pro",
        "u5": "pro",
        "u0": "team",
        "u2": "team",
        "u4": "free",
        "u6": "free",
    }
    # The past is marked, and the present is not: a user who comes back to a plan now is greeted.
    stack.upgrade("u1", "free", 3)
    stack.upgrade("u1", "pro", 4)
    wait_until(lambda: "u1#pro" in stack.greetings())
    stack.quiet()
    assert stack.reconcile(dry_run=True)["missing"] == {}
