"""A table's exports, given to consumers by their backfill: with the whole stack running."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from local.deploy import deploy
from local.endpoint import Endpoint
from ops.cli import app
from tests.local.test_reconciliation import GREETING, ROOT, ROWS, Stack
from tests.local.world import wait_until

HOUR = 3600

PROGRAM = """
import pulumi
import pulumi_aws as aws

from components import (
    Access, Backfill, ChangeTable, EffectLedgerTable, FanOut, FunctionSettings, ProjectionTable, allow
)
from handlers import greeting, rows

users = ChangeTable("exported", hash_key="userId", deletion_protection=False)
ledger = EffectLedgerTable("marks", deletion_protection=False)
copies = ProjectionTable("past-copies", hash_key="userId", deletion_protection=False)
notes = aws.dynamodb.Table(
    "past-notes",
    billing_mode="PAY_PER_REQUEST",
    hash_key="note",
    range_key="at",
    attributes=[{"name": "note", "type": "S"}, {"name": "at", "type": "N"}],
)
note = Access([allow(["dynamodb:PutItem"], notes.arn)], {"NOTES_TABLE": notes.name})
exports = aws.s3.Bucket("past-exports")

fan_out = FanOut("exported", source=users.stream, function=FunctionSettings(timeout=4))
fan_out.subscribe(greeting.handler, name="past-greeting", access=[ledger.access(), note])
fan_out.subscribe(rows.handler, name="past-rows", access=[copies.access("COPIES_TABLE")])
walks = {
    name: Backfill(
        f"past-{name}",
        table=users,
        fan_out=fan_out,
        consumers=consumers,
        exports=exports.arn.apply(lambda arn: f"{arn}/users") if name != "without" else None,
        segments=2,
        items_per_second=10_000,
        function=FunctionSettings(timeout=60),
    )
    for name, consumers in (
        ("all", ["past-greeting", "past-rows"]), ("rows", ["past-rows"]), ("without", ["past-rows"])
    )
}

for name, made in walks.items():
    pulumi.export(name, made.state_machine.arn)
pulumi.export("reports", walks["rows"].reports.bucket)
pulumi.export("users", users.table.name)
pulumi.export("usersArn", users.table.arn)
pulumi.export("notes", notes.name)
pulumi.export("copies", copies.table.name)
pulumi.export("ledger", ledger.table.name)
pulumi.export("exports", exports.bucket)
pulumi.export(
    "mappings", {name: each.event_source_mapping.uuid for name, each in fan_out.consumers.items()}
)
"""


class Exporting(Stack):
    """The deployed program, with exports of its table."""

    @functools.cached_property
    def environment(self) -> dict[str, str]:
        """The variables of whoever runs a command."""
        return {
            "AWS_ENDPOINT_URL": self.aws.url,
            "AWS_REGION": self.aws.region,
            "AWS_ACCESS_KEY_ID": self.aws.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.aws.secret_access_key,
        }

    def export(self, prefix: str = "users", **more: Any) -> dict[str, Any]:
        """Export the table, and return what DescribeExport says."""
        begun = self.dynamodb.export_table_to_point_in_time(
            TableArn=self.outputs["usersArn"], S3Bucket=self.outputs["exports"], S3Prefix=prefix, **more
        )
        arn = begun["ExportDescription"]["ExportArn"]
        found = self.dynamodb.describe_export(ExportArn=arn)["ExportDescription"]
        assert found["ExportStatus"] == "COMPLETED", found
        return found

    def full(self, time: int) -> str:
        return self.export(ExportTime=time)["ExportArn"]

    def window(self, since: int, until: int, view: str = "NEW_AND_OLD_IMAGES") -> str:
        specification = {"ExportFromTime": since, "ExportToTime": until, "ExportViewType": view}
        made = self.export(ExportType="INCREMENTAL_EXPORT", IncrementalExportSpecification=specification)
        return made["ExportArn"]

    def now(self, *, after: int) -> int:
        """The endpoint's time in whole seconds, after a while."""
        return int(self.aws.control.advance_clock(after))

    def delete(self, user: str) -> None:
        self.dynamodb.delete_item(TableName=self.outputs["users"], Key={"userId": {"S": user}})

    def table(self) -> dict[str, str]:
        items = self.dynamodb.scan(TableName=self.outputs["users"], ConsistentRead=True)["Items"]
        return {each["userId"]["S"]: each["plan"]["S"] for each in items}

    def rows(self) -> list[dict[str, Any]]:
        return self.dynamodb.scan(TableName=self.outputs["copies"], ConsistentRead=True)["Items"]

    def caught_up(self, *deleted: str, greetings: int) -> None:
        """Wait until the consumers have done everything that was written."""

        def is_done() -> bool:
            tombstones = {row["userId"]["S"] for row in self.rows() if "deleted" in row}
            return tombstones >= {*deleted} and self.copies() == self.table() and len(self.greetings()) == greetings

        wait_until(is_done)
        self.quiet()

    def restore(self, rows: list[dict[str, Any]]) -> None:
        """Put rows back, as if nothing that came since had reached the consumer."""
        self.lose("copies")
        for row in rows:
            self.dynamodb.put_item(TableName=self.outputs["copies"], Item=row)

    def backfill(self, directory: Path, walk: str, *exports: str, yes: bool = True) -> Any:
        """Run `weir backfill`; return its exit code, its JSON and what it says of errors."""
        outputs = {**self.outputs, "backfill": self.outputs[walk]}
        state = directory / "stack.json"
        state.write_text(json.dumps({"environment": self.environment, "outputs": outputs}))
        options = [part for each in exports for part in ("--export", each)]
        given = ["backfill", "--json", *(["--yes"] if yes else []), *options, "--state", str(state)]
        said = CliRunner().invoke(app, given)
        return said.exit_code, json.loads(said.stdout) if said.stdout else {}, said.stderr


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, aws: Endpoint) -> Exporting:
    clone = tmp_path_factory.mktemp("exports")
    (clone / "handlers").mkdir()
    for name in ("components", "aws_semantics"):
        (clone / name).symlink_to(ROOT / name)
    for path in (ROOT / "handlers").glob("*"):
        (clone / "handlers" / path.name).symlink_to(path)
    (clone / "handlers" / "greeting.py").write_text(GREETING)
    (clone / "handlers" / "rows.py").write_text(ROWS)
    (clone / "__main__.py").write_text(PROGRAM)
    (clone / "Pulumi.yaml").write_text("name: exported\nruntime: python\n")
    (clone / "Pulumi.test.yaml").write_text("config:\n  aws:region: us-east-1\n")
    return Exporting(aws, deploy(clone, "test", aws.connection).outputs)


@pytest.fixture
def users(stack: Exporting) -> Exporting:
    """The stack with three users who were greeted before, and rows that are up to date."""
    there = stack.table()
    for user in there:
        stack.delete(user)
    stack.caught_up(*there, greetings=len(stack.greetings()))
    stack.lose("copies", "ledger", "notes")
    for user in ("ada", "bob", "cyd"):
        stack.upgrade(user, "free", 1)
        stack.upgrade(user, "pro", 2)
    stack.caught_up(greetings=3)
    return stack


def test_a_full_export_gives_the_items_to_every_consumer_and_sends_nothing_of_the_past(
    users: Exporting, tmp_path: Path
) -> None:
    export = users.full(users.now(after=120) - 1)
    users.lose("copies", "ledger", "notes")
    users.delete("cyd")
    wait_until(lambda: [row for row in users.rows() if "deleted" in row])
    code, said, _ = users.backfill(tmp_path, "all", export, yes=False)
    assert (code, said["checked"], said["sent"]) == (1, 3, {})
    assert said["missing"] == {"past-greeting": 3, "past-rows": 2}
    code, said, _ = users.backfill(tmp_path, "all", export)
    assert (code, said["sent"]) == (0, {"past-greeting": 3, "past-rows": 2})
    users.caught_up("cyd", greetings=0)
    # The past is marked, and what happens now is not.
    users.upgrade("ada", "team", 3)
    wait_until(lambda: users.greetings() == ["ada#team"])


def test_a_window_brings_rows_up_to_date_and_removes_those_of_deleted_items(users: Exporting, tmp_path: Path) -> None:
    missed_from = users.now(after=120)
    before = users.rows()
    users.now(after=HOUR)
    users.upgrade("ada", "team", 3)
    users.upgrade("ada", "free", 4)
    users.delete("bob")
    users.upgrade("dan", "pro", 1)
    users.upgrade("eve", "pro", 1)
    users.delete("eve")
    users.caught_up("bob", "eve", greetings=4)
    export = users.window(missed_from, users.now(after=2))
    users.restore(before)
    users.lose("ledger", "notes")
    code, said, _ = users.backfill(tmp_path, "rows", export)
    assert (code, said["checked"], said["sent"]) == (0, 3, {"past-rows": 3})
    users.caught_up("bob", greetings=0)
    assert users.copies() == {"ada": "free", "cyd": "pro", "dan": "pro"}
    run = said["execution"].rpartition(":")[2]
    s3 = users.aws.client("s3")
    names = [each["Key"] for each in s3.list_objects_v2(Bucket=users.outputs["reports"], Prefix=run)["Contents"]]
    bodies = [s3.get_object(Bucket=users.outputs["reports"], Key=each)["Body"].read() for each in names]
    lines = [json.loads(line) for body in bodies for line in body.splitlines()]
    assert sorted(line["keys"]["userId"]["S"] for line in lines) == ["ada", "bob", "dan"]
    assert {(line["state"], line["sent"]) for line in lines} == {("changed", True)}


def test_a_full_export_and_the_windows_after_it_lead_to_the_present(users: Exporting, tmp_path: Path) -> None:
    first = users.now(after=120)
    full = users.full(first)
    users.now(after=HOUR)
    users.upgrade("ada", "team", 3)
    users.delete("bob")
    second = users.now(after=2)
    users.now(after=HOUR)
    users.delete("cyd")
    users.upgrade("dan", "pro", 1)
    windows = [users.window(first, second), users.window(second, users.now(after=2))]
    users.caught_up("bob", "cyd", greetings=4)
    users.lose("copies", "ledger", "notes")
    code, _, _ = users.backfill(tmp_path, "rows", windows[1], full, windows[0])
    assert code == 0
    users.caught_up("bob", "cyd", greetings=0)
    assert users.copies() == {"ada": "team", "dan": "pro"}
    code, _, said = users.backfill(tmp_path, "rows", full, windows[1])
    assert (code, "is a gap" in said, windows[1] in said) == (2, True, True)


def test_what_an_export_cannot_restore_is_refused_with_the_reason(users: Exporting, tmp_path: Path) -> None:
    since = users.now(after=120)
    until = users.now(after=HOUR)
    window = users.window(since, until)
    code, _, said = users.backfill(tmp_path, "all", window, yes=False)
    assert code == 2
    assert "of A, B, C it has A and C" in said
    assert "past-greeting is not a projection alone (the effect ledger runs each effect once per key)" in said
    new_images = users.window(since, until, "NEW_IMAGE")
    elsewhere = users.export("others", ExportTime=until)["ExportArn"]
    for export, reason in (
        (new_images, "a delete has no version"),
        (elsewhere, f"lies in {users.outputs['exports']}/others, and this backfill reads"),
        ("arn:aws:dynamodb:us-east-1:111122223333:table/other/export/01-ab", "is not an export of the table"),
    ):
        code, _, said = users.backfill(tmp_path, "rows", export)
        assert (code, reason in said) == (2, True), said


def test_the_printed_policy_is_enough_to_run_it_and_its_progress_is_told(users: Exporting, tmp_path: Path) -> None:
    export = users.full(users.now(after=120))
    iam, name = users.aws.client("iam"), "past-operator"
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "arn:aws:iam::111122223333:root"}}
    role = iam.create_role(
        RoleName=name, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    )["Role"]["Arn"]
    outputs = {**users.outputs, "backfill": users.outputs["rows"]}
    (tmp_path / "state.json").write_text(json.dumps({"environment": users.environment, "outputs": outputs}))
    printed = CliRunner().invoke(app, ["backfill", "--iam", "--state", str(tmp_path / "state.json")]).stdout
    iam.put_role_policy(RoleName=name, PolicyName="printed", PolicyDocument=printed)
    taken = users.aws.client("sts").assume_role(RoleArn=role, RoleSessionName="night")["Credentials"]
    users.environment |= {
        "AWS_ACCESS_KEY_ID": taken["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": taken["SecretAccessKey"],
        "AWS_SESSION_TOKEN": taken["SessionToken"],
    }
    try:
        code, said, told = users.backfill(tmp_path, "rows", export)
    finally:
        del users.environment
    assert (code, said["checked"]) == (0, 3), told
    assert all(line.startswith("past-rows") and line.endswith(" of 2 segments read") for line in told.splitlines())


def test_a_backfill_without_a_bucket_of_exports_says_how_to_give_it_one(users: Exporting, tmp_path: Path) -> None:
    code, _, said = users.backfill(tmp_path, "without", users.full(users.now(after=120)))
    assert (code, "past-without reads no exports: give Backfill(exports=…)" in said) == (2, True)


def test_a_file_that_was_changed_is_not_given_to_anyone(users: Exporting, tmp_path: Path) -> None:
    export = users.full(users.now(after=120))
    s3, bucket = users.aws.client("s3"), users.outputs["exports"]
    home = f"users/AWSDynamoDB/{export.rpartition('/')[2]}/data/"
    (data,) = [each["Key"] for each in s3.list_objects_v2(Bucket=bucket, Prefix=home)["Contents"]]
    content = s3.get_object(Bucket=bucket, Key=data)["Body"].read()
    s3.put_object(Bucket=bucket, Key=data, Body=content[:-8] + bytes(8))
    users.lose("copies")
    code, said, errors = users.backfill(tmp_path, "rows", export)
    assert (code, said) == (2, {}), errors
    users.quiet()
    assert users.copies() == {}
