"""Exports of a table to S3: its items at a time, or what changed within a window (docs/aws-semantics.md §10.2).

An export is written before ExportTableToPointInTime is answered, where AWS takes minutes: its answer says IN_PROGRESS,
and DescribeExport how it ended. It has one file of data, where AWS has one or more for each partition.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import threading
import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from botocore.exceptions import ClientError

from local.endpoint.api.errors import AwsError
from local.endpoint.api.pages import page_of
from local.endpoint.routes import Routes
from local.endpoint.services.continuous_backups import ContinuousBackups, Recovery, existing_table, key_names
from local.engine.clock import Clock
from local.engine.streams.records import item_size
from local.engine.tables.history import Item, changes_within, items_at

#: Seconds that a window of an incremental export takes, at least and at most.
SHORTEST_WINDOW: Final = 15 * 60
LONGEST_WINDOW: Final = 24 * 60 * 60
#: Seconds in which a request with the same client token is the same request.
TOKEN_SECONDS: Final = 8 * 60 * 60
#: Exports on one page, at most.
PAGE: Final = 25

_MICROS: Final = 1_000_000


class Exports:
    """The exports of all tables.

    Args:
        tables: A boto3 client of DynamoDB.
        buckets: A boto3 client of S3.
        backups: The recovery of all tables.
        clock: The clock that exports are dated by.
    """

    def __init__(self, tables: Any, buckets: Any, backups: ContinuousBackups, clock: Clock) -> None:
        self._tables = tables
        self._buckets = buckets
        self._backups = backups
        self._clock = clock
        self._exports: dict[str, dict[str, Any]] = {}
        self._requests: dict[str, tuple[Mapping[str, Any], dict[str, Any]]] = {}
        self._lock = threading.Lock()

    @property
    def routes(self) -> Routes:
        """The operations."""
        return Routes(
            answered={
                "dynamodb:DescribeExport": self.describe_export,
                "dynamodb:ExportTableToPointInTime": self.export_table_to_point_in_time,
                "dynamodb:ListExports": self.list_exports,
            }
        )

    def export_table_to_point_in_time(self, parameters: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """Answer ExportTableToPointInTime."""
        with self._lock:
            begun = self._repeated(parameters)
            if begun is None:
                begun = self._begun(parameters)
                self._exports[begun["ExportArn"]] = {**begun, **self._written(begun), "EndTime": self._clock.now()}
                if "ClientToken" in parameters:
                    self._requests[parameters["ClientToken"]] = (dict(parameters), begun)
        return 200, {"ExportDescription": begun}

    def describe_export(self, parameters: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """Answer DescribeExport."""
        found = self._exports.get(parameters["ExportArn"])
        if found is None:
            raise AwsError("ExportNotFoundException", f"Export not found: {parameters['ExportArn']}")
        return 200, {"ExportDescription": found}

    def list_exports(self, parameters: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """Answer ListExports: in reverse order of their ARNs, as AWS does."""
        table = parameters.get("TableArn")
        found = [
            {name: each[name] for name in ("ExportArn", "ExportStatus", "ExportType")}
            for _, each in sorted(self._exports.items(), reverse=True)
            if table in (None, each["TableArn"])
        ]
        try:
            page, token = page_of(found, size=parameters.get("MaxResults", PAGE), token=parameters.get("NextToken"))
        except ValueError as wrong:
            raise AwsError("ValidationException", "Invalid NextToken") from wrong
        return 200, {"ExportSummaries": page, **({} if token is None else {"NextToken": token})}

    def _repeated(self, parameters: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the export of a request that was made before; `None` for a new one."""
        known = self._requests.get(parameters.get("ClientToken", ""))
        if known is None:
            return None
        asked, begun = known
        if begun["StartTime"] + TOKEN_SECONDS < self._clock.now():
            return None
        if asked != parameters:
            raise AwsError(
                "ExportConflictException",
                "There was a conflict when writing to the specified S3 bucket: another request had this ClientToken",
            )
        return begun

    def _begun(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        table = existing_table(self._tables, parameters["TableArn"])
        now, recovery = self._clock.now(), self._recovery(table["TableName"])
        given = {name: parameters[name] for name in ("ClientToken", "S3Bucket", "S3Prefix") if name in parameters}
        return {
            "ExportArn": f"{table['TableArn']}/export/{int(now * 1000):014d}-{uuid.uuid4().hex[:8]}",
            "ExportStatus": "IN_PROGRESS",
            "StartTime": now,
            "TableArn": table["TableArn"],
            "TableId": table["TableId"],
            **given,
            "S3SseAlgorithm": "AES256",
            "ExportFormat": "DYNAMODB_JSON",
            **_subject(parameters, now, recovery.earliest(now)),
        }

    def _recovery(self, table: str) -> Recovery:
        recovery = self._backups.recovery(table)
        if recovery is None:
            raise AwsError(
                "PointInTimeRecoveryUnavailableException", f"Point in time recovery is not enabled for table '{table}'"
            )
        return recovery

    def _written(self, begun: Mapping[str, Any]) -> dict[str, Any]:
        """Write an export, and return what its description says afterwards."""
        lines, size = self._lines(begun)
        _, _, export_id = begun["ExportArn"].rpartition("/")
        above = f"{begun['S3Prefix']}/AWSDynamoDB" if begun.get("S3Prefix") else "AWSDynamoDB"
        home = f"{above}/{export_id}"
        # Exports of windows share their folder of data.
        shared = above if begun["ExportType"] == "INCREMENTAL_EXPORT" else home
        data, manifest = f"{shared}/data/{uuid.uuid4().hex[:26]}.json.gz", f"{home}/manifest-files.json"
        content = gzip.compress("".join(f"{_json(line)}\n" for line in lines).encode())
        counted = {"BilledSizeBytes": size, "ItemCount": len(lines)}
        try:
            self._put(begun, f"{home}/_started", b"")
            etag = self._put(begun, data, content)
            file = {"itemCount": len(lines), "md5Checksum": _md5(content), "etag": etag, "dataFileS3Key": data}
            self._put_with_checksum(begun, manifest, f"{_json(file)}\n")
            summary = _summary({**begun, **counted}, manifest, ended=self._clock.now())
            self._put_with_checksum(begun, f"{home}/manifest-summary.json", _json(summary))
        except ClientError as refused:
            error = refused.response.get("Error", {})
            failure = {"FailureCode": f"S3{error.get('Code', '')}", "FailureMessage": error.get("Message", "")}
            return {"ExportStatus": "FAILED", **failure}
        return {"ExportStatus": "COMPLETED", "ExportManifest": f"{home}/manifest-summary.json", **counted}

    def _lines(self, begun: Mapping[str, Any]) -> tuple[list[Mapping[str, Any]], int]:
        """Return the lines of an export, and the size of the images in them in bytes."""
        table = existing_table(self._tables, begun["TableArn"])
        keys, recovery = key_names(table), self._recovery(table["TableName"])
        lines: list[Mapping[str, Any]]
        if begun["ExportType"] == "FULL_EXPORT":
            # Writes come while it is read; those are undone as well.
            pages = self._tables.get_paginator("scan").paginate(TableName=table["TableName"], ConsistentRead=True)
            items = [item for page in pages for item in page["Items"]]
            writes = list(recovery.writes)
            lines = [{"Item": item} for item in items_at(int(begun["ExportTime"] * _MICROS), items, writes, keys)]
        else:
            window = begun["IncrementalExportSpecification"]
            since, until = (int(window[name] * _MICROS) for name in ("ExportFromTime", "ExportToTime"))
            both = window["ExportViewType"] == "NEW_AND_OLD_IMAGES"
            lines = [*changes_within(since, until, list(recovery.writes), keys, old_images=both)]
        return lines, sum(map(item_size, _images(lines)))

    def _put(self, begun: Mapping[str, Any], key: str, body: bytes) -> str:
        return self._buckets.put_object(Bucket=begun["S3Bucket"], Key=key, Body=body)["ETag"].strip('"')

    def _put_with_checksum(self, begun: Mapping[str, Any], key: str, text: str) -> None:
        self._put(begun, key, text.encode())
        self._put(begun, f"{key.removesuffix('.json')}.checksum", _md5(text.encode()).encode())


def _subject(parameters: Mapping[str, Any], now: float, earliest: float) -> dict[str, Any]:
    """Return what is exported: the items of a time, or the changes of a window.

    Raises:
        AwsError: The time is not one that can be recovered, or the window is too short or too long.
    """
    kind, asked = parameters.get("ExportType", "FULL_EXPORT"), parameters.get("IncrementalExportSpecification")
    is_window = kind == "INCREMENTAL_EXPORT"
    if is_window != (asked is not None) or (is_window and "ExportTime" in parameters):
        raise AwsError(
            "ValidationException",
            "IncrementalExportSpecification belongs to ExportType INCREMENTAL_EXPORT, and ExportTime to FULL_EXPORT",
        )
    if asked is None:
        time = parameters.get("ExportTime", now)
        _check_time(time, earliest, now)
        return {"ExportType": kind, "ExportTime": time}
    window: dict[str, Any] = {"ExportToTime": now, "ExportViewType": "NEW_AND_OLD_IMAGES", **asked}
    for name in ("ExportFromTime", "ExportToTime"):
        _check_time(window[name], earliest, now)
    if not SHORTEST_WINDOW <= window["ExportToTime"] - window["ExportFromTime"] <= LONGEST_WINDOW:
        raise AwsError("ValidationException", "The export period must be 15 minutes to 24 hours long")
    return {"ExportType": kind, "IncrementalExportSpecification": window}


def _check_time(time: float, earliest: float, now: float) -> None:
    if not earliest <= time <= now:
        raise AwsError(
            "InvalidExportTimeException",
            f"The specified time {_iso(time)} is outside of the point in time recovery window, {_iso(earliest)} to "
            f"{_iso(now)}",
        )


def _summary(export: Mapping[str, Any], manifest: str, *, ended: float) -> dict[str, Any]:
    """Return the content of manifest-summary.json."""
    window = export.get("IncrementalExportSpecification")
    if window is None:
        version, times, view = "2020-06-30", {"exportTime": _iso(export["ExportTime"])}, {}
    else:
        version, view = "2023-08-01", {"outputView": window["ExportViewType"]}
        times = {f"export{each}Time": _iso(window[f"Export{each}Time"]) for each in ("From", "To")}
    return {
        "version": version,
        "exportArn": export["ExportArn"],
        "startTime": _iso(export["StartTime"]),
        "endTime": _iso(ended),
        "tableArn": export["TableArn"],
        "tableId": export["TableId"],
        **times,
        "s3Bucket": export["S3Bucket"],
        "s3Prefix": export.get("S3Prefix"),
        "s3SseAlgorithm": export["S3SseAlgorithm"],
        "s3SseKmsKeyId": None,
        "manifestFilesS3Key": manifest,
        "billedSizeBytes": export["BilledSizeBytes"],
        "itemCount": export["ItemCount"],
        "outputFormat": export["ExportFormat"],
        **view,
        "exportType": export["ExportType"],
    }


def _images(lines: Iterable[Mapping[str, Any]]) -> Iterable[Item]:
    return (line[name] for line in lines for name in ("Item", "OldImage", "NewImage") if name in line)


def _iso(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _json(document: Mapping[str, Any]) -> str:
    return json.dumps(document, separators=(",", ":"))


def _md5(content: bytes) -> str:
    return base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()
