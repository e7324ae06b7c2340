"""Exports: what is found in them, in which order they lead to the present, and what is refused of them."""

from __future__ import annotations

import gzip
import io
import json
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import UTC, datetime
from hashlib import md5
from typing import Any

import pytest

from handlers.cdc import Change, Consumer, consumer, exports, on
from handlers.cdc.exports import (
    Export,
    ExportReader,
    ExportRefused,
    check_lead,
    check_of_table,
    described,
    files_of,
    window_record,
)

TABLE = "arn:aws:dynamodb:eu-west-1:123456789012:table/users"
ARN = f"{TABLE}/export/01700000000000-abc"
HOUR = 3600
NOON = 1_767_268_800
ADA = {"id": {"S": "ada"}, "version": {"N": "5"}, "photo": {"B": "AP8="}}


def time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def description(**more: Any) -> dict[str, Any]:
    return {
        "ExportArn": ARN,
        "TableId": "one",
        "ExportStatus": "COMPLETED",
        "ExportManifest": "users/AWSDynamoDB/01700000000000-abc/manifest-summary.json",
        "ExportFormat": "DYNAMODB_JSON",
        "ExportType": "FULL_EXPORT",
        "ExportTime": time(NOON),
        "S3Bucket": "exports",
        "S3Prefix": "users",
        "ItemCount": 3,
        **more,
    }


def window(view: str = "NEW_AND_OLD_IMAGES") -> dict[str, Any]:
    given = {"ExportFromTime": time(NOON), "ExportToTime": time(NOON + HOUR), "ExportViewType": view}
    found = description(ExportType="INCREMENTAL_EXPORT", IncrementalExportSpecification=given)
    del found["ExportTime"]
    return found


class Buckets:
    """Objects in S3, as far as they are read here."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.reads: list[str] = []

    def get_object(self, **parameters: str) -> dict[str, Any]:
        """Answer GetObject."""
        assert parameters["Bucket"] == "exports"
        content = self.objects[parameters["Key"]]
        self.reads.append(parameters["Key"])
        if "Range" not in parameters:
            return {"Body": io.BytesIO(content)}
        first, last = map(int, parameters["Range"].removeprefix("bytes=").split("-"))
        part = content[first : last + 1]
        return {
            "Body": io.BytesIO(part),
            "ContentRange": f"bytes {first}-{first + len(part) - 1}/{len(content)}",
            "ETag": md5(content, usedforsecurity=False).hexdigest(),
        }

    def export(self, *files: list[dict[str, Any]], arn: str = ARN, home: str = "home") -> dict[str, Any]:
        """Write an export with some files."""
        named: list[dict[str, Any]] = []
        for number, lines in enumerate(files):
            content = gzip.compress("".join(f"{json.dumps(line)}\n" for line in lines).encode())
            key = f"{home}/data/{number}.json.gz"
            self.objects[key] = content
            checksum = b64encode(md5(content, usedforsecurity=False).digest()).decode()
            named.append({"itemCount": len(lines), "md5Checksum": checksum, "etag": "x", "dataFileS3Key": key})
        items = sum(map(len, files))
        summary = {"exportArn": arn, "manifestFilesS3Key": f"{home}/manifest-files.json", "itemCount": items}
        self.objects[f"{home}/manifest-summary.json"] = json.dumps(summary).encode()
        self.objects[f"{home}/manifest-files.json"] = "".join(f"{json.dumps(each)}\n" for each in named).encode()
        return asdict(Export(arn, None, NOON, "exports", f"{home}/manifest-summary.json", items))


def items(*names: str) -> list[dict[str, Any]]:
    return [{"Item": {"id": {"S": name}}} for name in names]


def read(export: dict[str, Any], buckets: Buckets, *, segments: int = 1, limit: int = 100) -> list[str]:
    return [name for segment in range(segments) for name in segment_of(export, buckets, segment, segments, limit)]


def segment_of(
    export: dict[str, Any], buckets: Buckets, segment: int, segments: int, limit: int, *, anew: bool = False
) -> Iterator[str]:
    """Read a segment to its end, page by page; `anew` as if each page were an invocation's last."""
    reader, cursor = ExportReader([export], segment, segments, buckets), None
    while True:
        lines, cursor = reader.page(cursor, limit)
        yield from (line["Item"]["id"]["S"] for line in lines)
        if cursor is None:
            return
        cursor = json.loads(json.dumps(cursor))
        if anew:
            reader = ExportReader([export], segment, segments, buckets)


# Descriptions.


def test_a_full_export_and_a_window_are_described_by_their_times():
    assert described(description(), table="users", table_id="one", within="exports/users") == Export(
        ARN, None, NOON, "exports", "users/AWSDynamoDB/01700000000000-abc/manifest-summary.json", 3
    )
    found = described(window(), table="users", table_id="one", within="exports")
    assert (found.begins, found.ends) == (NOON, NOON + HOUR)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (description(ExportStatus="IN_PROGRESS"), "is IN_PROGRESS, so it has not everything: wait until it is COMPL"),
        (
            description(ExportStatus="FAILED", FailureCode="S3NoSuchBucket", FailureMessage="none"),
            r"it failed \(S3NoSuchBucket: none\): export again",
        ),
        (description(ExportFormat="ION"), "is written as ION, which this reader does not decode: export as DYNAMODB_J"),
        (description(TableId="former"), "is of a table that was deleted, and whose name users has now"),
        (description(FilterSpecification={}), "has a filter, so items are missing of it"),
        (description(S3Prefix="orders"), "lies in exports/orders, and this backfill reads exports/users"),
        (description(S3Prefix="users-of-others"), "lies in exports/users-of-others"),
        (window("NEW_IMAGE"), "has new images alone, so a delete has no version"),
    ],
)
def test_an_export_that_cannot_be_read_is_refused(found: dict[str, Any], message: str):
    with pytest.raises(ExportRefused, match=message):
        described(found, table="users", table_id="one", within="exports/users")


@pytest.mark.parametrize("arn", [f"{TABLE}s/export/01-a", TABLE, "users", f"{TABLE}/stream/2026", f"{ARN}/more"])
def test_an_arn_of_something_else_is_refused(arn: str):
    with pytest.raises(ExportRefused, match="is not an export of the table users: aws dynamodb list-exports names"):
        check_of_table(arn, "users")


# Order.

FULL = Export("full", None, NOON, "exports", "m", 1)
FIRST = replace(FULL, arn="first", begins=NOON, ends=NOON + HOUR)
SECOND = replace(FULL, arn="second", begins=NOON + HOUR, ends=NOON + 2 * HOUR)


@pytest.mark.parametrize(
    ("given", "subscribed"),
    [
        ([FULL], NOON - 60),
        ([SECOND, FULL, FIRST], NOON + HOUR),
        ([SECOND, FIRST], NOON),
    ],
)
def test_exports_that_meet_are_read_in_the_order_of_their_times(given: list[Export], subscribed: int):
    assert check_lead(given, {"rows": subscribed}) == sorted(given, key=lambda each: each.ends)


@pytest.mark.parametrize(
    ("given", "subscribed", "message"),
    [
        ([], NOON, "there is no export to read"),
        (
            [FULL, SECOND],
            NOON,
            "between full and second is a gap, and what lies in it would be missing: the first ends",
        ),
        ([FULL, replace(FIRST, begins=NOON - 5)], 0, "windows that begin at its time"),
        (
            [FIRST, replace(SECOND, begins=NOON + HOUR - 1)],
            0,
            "the wrong state: the first ends at 2026-01-01T13:00:00Z, so export a window from 2026-01-01T13:00:00Z",
        ),
        ([FULL, replace(FULL, arn="other", ends=NOON + 9)], 0, "one full export at most"),
        ([FULL], NOON - 59, "full ends at 2026-01-01T12:00:00Z, and rows gets changes since 2026-01-01T11:59:01Z"),
        ([FIRST], NOON + 1, "first begins at 2026-01-01T12:00:00Z, and rows gets changes since 2026-01-01T12:00:01Z"),
    ],
)
def test_exports_with_something_between_them_are_refused(given: list[Export], subscribed: int, message: str):
    with pytest.raises(ExportRefused, match=message):
        check_lead(given, {"rows": subscribed})


# Files.


@pytest.mark.parametrize("segments", [1, 2, 5])
@pytest.mark.parametrize("limit", [1, 2, 100])
def test_every_line_of_every_file_is_read_once_by_one_segment(segments: int, limit: int):
    buckets = Buckets()
    export = buckets.export(items("a", "b", "c"), [], items("d"), items("e", "f"))
    assert sorted(read(export, buckets, segments=segments, limit=limit)) == list("abcdef")


def test_a_reader_goes_on_where_another_invocation_ended(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(exports, "CHUNK_BYTES", 7)
    buckets = Buckets()
    export = buckets.export(items("a", "b", "c"), items("d"))
    assert list(segment_of(export, buckets, 0, 1, 2, anew=True)) == ["a", "b", "c", "d"]
    assert buckets.reads.count("home/data/0.json.gz") > 10


def test_a_file_is_opened_once_by_an_invocation():
    buckets = Buckets()
    export = buckets.export(items(*"abcdefgh"))
    read(export, buckets, limit=2)
    assert buckets.reads.count("home/data/0.json.gz") == 2  # to check it, and to read it


@pytest.mark.parametrize("damage", ["another file", "cut off", "not gzip"])
def test_a_damaged_file_is_refused_before_a_line_of_it_is_read(damage: str):
    buckets = Buckets()
    export = buckets.export(items("a", "b"), items("c"))
    key, message = "home/data/0.json.gz", "is damaged"
    content = buckets.objects[key]
    match damage:
        case "another file":
            buckets.objects[key], message = gzip.compress(b"{}\n{}\n"), "has another MD5 than its manifest says"
        case "cut off":
            buckets.objects[key] = content[:-9]
        case _:
            buckets.objects[key] = b"{}\n"
    with pytest.raises(ExportRefused, match=f"{key} in exports {message}"):
        ExportReader([export], 0, 1, buckets).page(None, 1)


def test_a_file_that_changes_between_two_invocations_is_refused():
    buckets = Buckets()
    export = buckets.export(items("a", "b", "c"))
    _, cursor = ExportReader([export], 0, 1, buckets).page(None, 1)
    buckets.export(items("a", "x", "c"))
    with pytest.raises(ExportRefused, match=r"0\.json\.gz in exports was changed while it was read: export again"):
        ExportReader([export], 0, 1, buckets).page(cursor, 1)


def test_a_file_with_more_lines_than_its_manifest_says_is_refused():
    buckets = Buckets()
    export = buckets.export(items("a", "b"))
    manifest = buckets.objects["home/manifest-files.json"].replace(b'"itemCount": 2', b'"itemCount": 1')
    buckets.objects["home/manifest-files.json"] = manifest
    with pytest.raises(ExportRefused, match="has 2 items, its summary says 2 and its files 1: a manifest was changed"):
        files_of(export, buckets)
    summary = buckets.objects["home/manifest-summary.json"].replace(b'"itemCount": 2', b'"itemCount": 1')
    buckets.objects["home/manifest-summary.json"] = summary
    with pytest.raises(ExportRefused, match="has 2 lines, and its manifest says 1"):
        ExportReader([{**export, "items": 1}], 0, 1, buckets).page(None, 1)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"manifestFilesS3Key": "home/data/0.json.gz"}'])
def test_a_manifest_that_is_none_is_refused(content: bytes):
    buckets = Buckets()
    export = buckets.export(items("a"))
    buckets.objects["home/manifest-summary.json"] = content
    with pytest.raises(ExportRefused, match=r"the manifests of .* are not ones of an export"):
        files_of(export, buckets)


def test_the_manifest_of_another_export_is_refused():
    buckets = Buckets()
    export = buckets.export(items("a"), arn=f"{ARN}d")
    with pytest.raises(ExportRefused, match=f"is the manifest of {ARN}d and not of {ARN}: export again"):
        files_of({**export, "arn": ARN}, buckets)


# Changes.


def line(**images: Any) -> dict[str, Any]:
    micros = NOON * 1_000_000 + 5
    return {"Metadata": {"WriteTimestampMicros": str(micros)}, "Keys": {"id": {"S": "ada"}}, **images}


@pytest.mark.parametrize(
    ("images", "kind"),
    [
        ({"NewImage": ADA}, "INSERT"),
        ({"OldImage": ADA, "NewImage": {**ADA, "version": {"N": "9"}}}, "MODIFY"),
        ({"OldImage": ADA}, "REMOVE"),
    ],
)
def test_a_line_of_a_window_is_a_change_of_its_last_write(images: dict[str, Any], kind: str):
    record = window_record(line(**images), table="users", history_until=NOON)
    change = Change({**record, "origin": "export"})
    assert (change.event_name, change.origin, change.table_name) == (kind, "export", "users")
    assert (change.sequence_number, change.history_until) == (None, NOON)
    assert change.approximate_creation_time == datetime(2026, 1, 1, 12, 0, 0, 5, tzinfo=UTC)
    assert change.item["photo"] == b"\x00\xff"
    assert change.event_id == Change(window_record(line(**images), table="users", history_until=0)).event_id
    assert change.event_id != Change(window_record(line(**images), table="orders", history_until=0)).event_id


def test_a_line_with_its_key_alone_is_refused():
    with pytest.raises(ExportRefused, match="has no image: export with ExportViewType NEW_AND_OLD_IMAGES"):
        window_record(line(), table="users", history_until=0)


# Conditions.


@pytest.mark.parametrize(
    ("when", "kinds"),
    [
        # An item that is there may have been inserted or modified last, whatever the images of the window show.
        (on.modify & on.changed("plan"), ["INSERT", "MODIFY"]),
        (on.insert, ["INSERT", "MODIFY"]),
        (on.changed("plan") & on.new("plan").eq("pro"), ["INSERT", "MODIFY"]),
        (on.changed("plan"), ["INSERT", "MODIFY", "REMOVE"]),
        (on.new("version").exists() | on.old("version").exists(), ["INSERT", "MODIFY", "REMOVE"]),
        (on.old("plan").eq("pro"), ["INSERT", "MODIFY", "REMOVE"]),
        (on.remove, ["REMOVE"]),
        (on.ttl_delete, ["REMOVE"]),
        (~on.remove, ["INSERT", "MODIFY"]),
        (~(on.insert | on.modify), ["REMOVE"]),
        (on.new("plan").not_exists() & on.old("plan").exists(), ["INSERT", "MODIFY", "REMOVE"]),
    ],
)
def test_a_condition_is_asked_about_a_change_of_an_export_only_whether_it_takes_deletes(when: Any, kinds: list[str]):
    got: list[str] = []

    @consumer(name="rows", when=when)
    def handler(change: Change) -> None:
        got.append(change.event_name)

    lines = [line(NewImage=ADA), line(OldImage=ADA, NewImage=ADA), line(OldImage=ADA)]
    records = [window_record(each, table="users", history_until=0) for each in lines]
    handler({"origin": "export", "Records": records}, None)
    assert got == kinds


def test_a_consumer_knows_whether_conditions_choose_its_function():
    handler = Consumer()
    handler.on(on.insert)(lambda change: None)
    assert handler.has_several_functions
    assert not consumer(lambda change: None).has_several_functions
