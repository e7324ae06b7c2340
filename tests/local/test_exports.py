"""Exports of a table to S3: what they have of it, where they lie, and what is refused."""

from __future__ import annotations

import base64
import gzip
import hashlib
import itertools
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local.test_function_permissions import CALLS

conforms = pytest.mark.conformance
honours = pytest.mark.honours

MINUTE, HOUR, DAY = 60, 3600, 24 * 3600
MICROS = 1_000_000


class Exported:
    """A table with point-in-time recovery, a bucket, and what exports write into it."""

    def __init__(self, world: Any) -> None:
        self.world, self.dynamodb = world, world.client("dynamodb")
        world.table()
        world.bucket()
        self.arn = f"arn:aws:dynamodb:us-east-1:111122223333:table/{world.name}"
        self.recover()

    def recover(self, *, enabled: bool = True) -> None:
        self.dynamodb.update_continuous_backups(
            TableName=self.world.name, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": enabled}
        )

    def now(self, *, after: float = 0) -> int:
        """The endpoint's time in whole seconds, after a while."""
        return int(self.world.control.advance_clock(after))

    def write(self, item_id: str, plan: str) -> None:
        self.dynamodb.put_item(TableName=self.world.name, Item={"id": {"S": item_id}, "plan": {"S": plan}})

    def delete(self, item_id: str) -> None:
        self.dynamodb.delete_item(TableName=self.world.name, Key={"id": {"S": item_id}})

    def export(self, **more: Any) -> dict[str, Any]:
        """The description of a new export, as DescribeExport has it."""
        begun = self.dynamodb.export_table_to_point_in_time(TableArn=self.arn, S3Bucket=self.world.name, **more)
        assert begun["ExportDescription"]["ExportStatus"] == "IN_PROGRESS"
        arn = begun["ExportDescription"]["ExportArn"]
        return self.dynamodb.describe_export(ExportArn=arn)["ExportDescription"]

    def window(self, since: int, until: int, **more: Any) -> dict[str, Any]:
        """The description of an export of a window."""
        specification = {"ExportFromTime": since, "ExportToTime": until, **more}
        return self.export(ExportType="INCREMENTAL_EXPORT", IncrementalExportSpecification=specification)

    def read(self, key: str) -> bytes:
        return self.world.client("s3").get_object(Bucket=self.world.name, Key=key)["Body"].read()

    def document(self, key: str) -> dict[str, Any]:
        return json.loads(self.read(key))

    def lines(self, export: dict[str, Any]) -> list[dict[str, Any]]:
        """The lines of an export, found as a reader finds them: by its manifests."""
        summary = self.document(export["ExportManifest"])
        files = [json.loads(line) for line in self.read(summary["manifestFilesS3Key"]).splitlines()]
        return [
            json.loads(line)
            for file in files
            for line in gzip.decompress(self.read(file["dataFileS3Key"])).splitlines()
        ]

    def plans(self, export: dict[str, Any]) -> dict[str, str]:
        return {line["Item"]["id"]["S"]: line["Item"]["plan"]["S"] for line in self.lines(export)}

    def refusal(self, **parameters: Any) -> str:
        with pytest.raises(ClientError) as refused:
            self.export(**parameters)
        return refused.value.response["Error"]["Code"]


@pytest.fixture
def table(world) -> Exported:
    return Exported(world)


@conforms("EXP-1", "documented")
@honours("dynamodb:ExportTableToPointInTime", "TableArn S3Bucket S3Prefix ExportFormat")
@honours("dynamodb:DescribeExport", "ExportArn")
def test_exp_1_a_full_export_has_each_item_as_a_line_and_manifests_that_lead_to_them(table):
    photo = {"id": {"S": "a"}, "photo": {"B": b"\x00\xff"}, "marks": {"NS": ["1", "2"]}}
    table.dynamodb.put_item(TableName=table.world.name, Item=photo)
    table.write("b", "pro")
    export = table.export(S3Prefix="2026/q1", ExportFormat="DYNAMODB_JSON")
    _, _, export_id = export["ExportArn"].rpartition("/")
    home = f"2026/q1/AWSDynamoDB/{export_id}"
    assert export["ExportManifest"] == f"{home}/manifest-summary.json"
    assert (export["ExportStatus"], export["ItemCount"]) == ("COMPLETED", 2)
    found = sorted(json.dumps(line["Item"], sort_keys=True) for line in table.lines(export))
    assert found == [
        '{"id": {"S": "a"}, "marks": {"NS": ["1", "2"]}, "photo": {"B": "AP8="}}',
        '{"id": {"S": "b"}, "plan": {"S": "pro"}}',
    ]
    summary = table.document(export["ExportManifest"])
    assert (summary["version"], summary["itemCount"], summary["exportType"]) == ("2020-06-30", 2, "FULL_EXPORT")
    assert (summary["s3Prefix"], summary["manifestFilesS3Key"]) == ("2026/q1", f"{home}/manifest-files.json")
    file = table.document(summary["manifestFilesS3Key"])
    data = table.read(file["dataFileS3Key"])
    assert file["dataFileS3Key"].startswith(f"{home}/data/")
    assert base64.b64decode(file["md5Checksum"]) == hashlib.md5(data, usedforsecurity=False).digest()
    for name in ("manifest-summary", "manifest-files"):
        checksum = hashlib.md5(table.read(f"{home}/{name}.json"), usedforsecurity=False).digest()
        assert base64.b64decode(table.read(f"{home}/{name}.checksum")) == checksum
    assert table.read(f"{home}/_started") == b""


@honours("dynamodb:ExportTableToPointInTime", "ExportTime ExportType")
def test_a_full_export_of_the_past_has_the_items_that_were_there_then(table):
    for item_id in ("a", "b", "c"):
        table.write(item_id, "free")
    then = table.now(after=2)
    table.now(after=2)
    table.write("a", "pro")
    table.write("a", "enterprise")
    table.delete("b")
    table.write("d", "free")
    assert table.plans(table.export(ExportType="FULL_EXPORT", ExportTime=then)) == dict.fromkeys("abc", "free")
    assert table.plans(table.export()) == {"a": "enterprise", "c": "free", "d": "free"}


@conforms("EXP-1", "documented")
@conforms("EXP-2", "documented")
@honours("dynamodb:ExportTableToPointInTime", "ExportType IncrementalExportSpecification")
def test_exp_2_an_export_of_a_window_has_an_item_once_with_its_state_before_and_after(table):
    for item_id in ("changed", "deleted", "untouched"):
        table.write(item_id, "A")
    since = table.now(after=2)
    table.now(after=HOUR)
    table.write("changed", "B")
    table.write("changed", "C")
    table.write("inserted", "A")
    table.delete("deleted")
    table.write("passing", "A")
    table.delete("passing")
    until = table.now(after=2)
    export = table.window(since, until)
    lines = {line["Keys"]["id"]["S"]: line for line in table.lines(export)}
    assert set(lines) == {"changed", "inserted", "deleted"}
    written = [int(line.pop("Metadata")["WriteTimestampMicros"]) for line in lines.values()]
    assert all((since + HOUR - 1) * MICROS < each < until * MICROS for each in written)
    old, new = {"id": {"S": "changed"}, "plan": {"S": "A"}}, {"id": {"S": "changed"}, "plan": {"S": "C"}}
    assert lines["changed"] == {"Keys": {"id": {"S": "changed"}}, "OldImage": old, "NewImage": new}
    assert ("OldImage" in lines["inserted"], "NewImage" in lines["inserted"]) == (False, True)
    assert ("OldImage" in lines["deleted"], "NewImage" in lines["deleted"]) == (True, False)
    summary = table.document(export["ExportManifest"])
    assert (summary["version"], summary["outputView"]) == ("2023-08-01", "NEW_AND_OLD_IMAGES")
    (file,) = [json.loads(line) for line in table.read(summary["manifestFilesS3Key"]).splitlines()]
    # Windows share their folder of data, full exports do not.
    assert file["dataFileS3Key"].startswith("AWSDynamoDB/data/")
    new_images = table.window(since, until, ExportViewType="NEW_IMAGE")
    assert all("OldImage" not in line for line in table.lines(new_images))
    assert {"Keys": {"id": {"S": "deleted"}}} in [
        {name: value for name, value in line.items() if name != "Metadata"} for line in table.lines(new_images)
    ]


@conforms("EXP-2", "documented")
def test_exp_2_contiguous_windows_miss_nothing_and_repeat_nothing(table):
    edges = [table.now(after=2)]
    for plan in ("A", "B"):
        table.now(after=HOUR)
        table.write("a", plan)
        edges.append(table.now(after=2))
    first, second = (table.lines(table.window(*edge)) for edge in itertools.pairwise(edges))
    assert [line["NewImage"]["plan"]["S"] for line in (*first, *second)] == ["A", "B"]
    assert second[0]["OldImage"] == first[0]["NewImage"]


@conforms("EXP-2", "documented")
@pytest.mark.parametrize("minutes", [14, 25 * 60])
def test_exp_2_a_window_is_15_minutes_to_24_hours_long(table, minutes):
    since = table.now(after=2)
    window = {"ExportFromTime": since, "ExportToTime": table.now(after=minutes * MINUTE)}
    asked = {"ExportType": "INCREMENTAL_EXPORT", "IncrementalExportSpecification": window}
    assert table.refusal(**asked) == "ValidationException"


@conforms("EXP-3", "documented")
@honours("dynamodb:UpdateContinuousBackups", "PointInTimeRecoverySpecification")
def test_exp_3_nothing_is_exported_without_point_in_time_recovery_nor_of_a_time_before_it(table):
    table.recover(enabled=False)
    assert table.refusal() == "PointInTimeRecoveryUnavailableException"
    table.now(after=HOUR)
    table.recover()
    now = table.now(after=2)
    for time in (now - HOUR, now + HOUR):
        assert table.refusal(ExportTime=time) == "InvalidExportTimeException"
    table.now(after=36 * DAY)
    assert table.refusal(ExportTime=now) == "InvalidExportTimeException"


@conforms("EXP-3", "documented")
def test_exp_3_a_role_needs_the_export_and_the_bucket(table):
    world = table.world
    role = world.make_role(f"{world.name}-exports")
    world.function(CALLS, role=role)
    call = {"TableArn": table.arn, "S3Bucket": world.name}
    event = {"service": "dynamodb", "operation": "export_table_to_point_in_time", "parameters": call}
    export = {"Effect": "Allow", "Action": "dynamodb:ExportTableToPointInTime", "Resource": table.arn}
    actions = ["s3:AbortMultipartUpload", "s3:PutObject", "s3:PutObjectAcl"]
    write = {"Effect": "Allow", "Action": actions, "Resource": f"arn:aws:s3:::{world.name}/*"}
    world.allow(f"{world.name}-exports", write)
    assert "dynamodb:ExportTableToPointInTime" in world.invoke(event)["Message"]
    for action in actions:
        less = {**write, "Action": [each for each in actions if each != action]}
        world.allow(f"{world.name}-exports", export, less)
        answer = world.invoke(event)
        assert answer["Code"] == "AccessDeniedException"
        assert action in answer["Message"]
    world.allow(f"{world.name}-exports", export, write)
    begun = world.invoke(event)["ExportDescription"]
    assert begun["ExportStatus"] == "IN_PROGRESS"
    for operation, parameters in (("describe_export", {"ExportArn": begun["ExportArn"]}), ("list_exports", {})):
        answer = world.invoke({**event, "operation": operation, "parameters": parameters})
        assert answer["Code"] == "AccessDeniedException"


@conforms("EXP-5", "documented")
@honours("dynamodb:ExportTableToPointInTime", "ClientToken")
def test_exp_5_a_request_with_the_same_token_is_the_same_export_for_eight_hours(table):
    first = table.export(ClientToken="one")
    table.now(after=7 * HOUR)
    assert table.export(ClientToken="one")["ExportArn"] == first["ExportArn"]
    assert table.refusal(ClientToken="one", S3Prefix="other") == "ExportConflictException"
    table.now(after=2 * HOUR)
    assert table.export(ClientToken="one")["ExportArn"] != first["ExportArn"]


@conforms("EXP-5", "documented")
@honours("dynamodb:ListExports", "TableArn MaxResults NextToken")
def test_exp_5_exports_of_a_table_are_listed_by_page_the_latest_first(table):
    arns = []
    for _ in range(3):
        arns.append(table.export()["ExportArn"])
        table.now(after=1)
    page = table.dynamodb.list_exports(TableArn=table.arn, MaxResults=2)
    rest = table.dynamodb.list_exports(TableArn=table.arn, NextToken=page["NextToken"])
    found = [*page["ExportSummaries"], *rest["ExportSummaries"]]
    assert [each["ExportArn"] for each in found] == arns[::-1]
    assert {(each["ExportStatus"], each["ExportType"]) for each in found} == {("COMPLETED", "FULL_EXPORT")}
    # Those of all tables are listed in the order of the tables' names, over as many pages as other tests have filled.
    page = table.dynamodb.list_exports()
    every = {each["ExportArn"] for each in page["ExportSummaries"]}
    while "NextToken" in page:
        page = table.dynamodb.list_exports(NextToken=page["NextToken"])
        every |= {each["ExportArn"] for each in page["ExportSummaries"]}
    assert {*arns} <= every


@conforms("EXP-6", "deduced")
def test_exp_6_an_export_into_a_bucket_that_is_not_there_fails_and_says_why(table):
    begun = table.dynamodb.export_table_to_point_in_time(TableArn=table.arn, S3Bucket=f"{table.world.name}-none")
    export = table.dynamodb.describe_export(ExportArn=begun["ExportDescription"]["ExportArn"])["ExportDescription"]
    assert (export["ExportStatus"], export["FailureCode"]) == ("FAILED", "S3NoSuchBucket")


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"ExportFormat": "ION"}, "NotSimulated"),
        ({"S3SseAlgorithm": "KMS", "S3SseKmsKeyId": "key"}, "NotSimulated"),
        ({"FilterSpecification": {"FilterExpression": "a = b"}}, "NotSimulated"),
        ({"ExportType": "INCREMENTAL_EXPORT", "IncrementalExportSpecification": {}}, "NotSimulated"),
        ({"ExportType": "INCREMENTAL_EXPORT"}, "ValidationException"),
        ({"IncrementalExportSpecification": {"ExportFromTime": 1}}, "ValidationException"),
    ],
)
def test_what_is_not_simulated_or_contradicts_itself_is_refused(table, parameters, code):
    assert table.refusal(**parameters) == code


def test_a_table_or_an_export_that_is_not_there_is_named(table):
    dynamodb, none = table.dynamodb, f"{table.arn}-none"
    with pytest.raises(dynamodb.exceptions.TableNotFoundException, match="-none"):
        dynamodb.export_table_to_point_in_time(TableArn=none, S3Bucket=table.world.name)
    with pytest.raises(dynamodb.exceptions.ExportNotFoundException, match="01-ab"):
        dynamodb.describe_export(ExportArn=f"{table.arn}/export/01-ab")
    with pytest.raises(ClientError, match="Invalid NextToken"):
        dynamodb.list_exports(NextToken="9999")


@honours("dynamodb:DescribeContinuousBackups", "TableName")
def test_recovery_is_described_with_the_times_that_it_reaches(table):
    enabled = table.now()
    table.now(after=HOUR)
    described = table.dynamodb.describe_continuous_backups(TableName=table.world.name)["ContinuousBackupsDescription"]
    recovery = described["PointInTimeRecoveryDescription"]
    assert (recovery["PointInTimeRecoveryStatus"], recovery["RecoveryPeriodInDays"]) == ("ENABLED", 35)
    assert recovery["EarliestRestorableDateTime"].timestamp() <= enabled + 1
    assert recovery["LatestRestorableDateTime"].timestamp() >= enabled + HOUR


def test_a_table_that_is_made_again_has_no_past(table):
    table.dynamodb.delete_table(TableName=table.world.name)
    table.world.table()
    assert table.refusal() == "PointInTimeRecoveryUnavailableException"
