"""Exports of a table in S3: described, held against each other and their manifests, and read line by line.

A full export has the items of a time. An incremental one has the items that changed within a window, each once: with
its state before the window and after it, and nothing of what lay between (docs/aws-semantics.md §10.2).
"""

from __future__ import annotations

import gzip
import hashlib
import io
import itertools
import json
import zlib
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from handlers.cdc.snapshot import json_wire

#: Bytes of an object that one call reads: a file is read more slowly than S3 keeps a connection open.
CHUNK_BYTES: Final = 4 * 1024 * 1024
#: Seconds by which AWS's times of an export may be wrong.
CLOCK_SECONDS: Final = 60

#: A place in the files of a segment: `file` is the number of the file among them, `line` that of the line in it,
#: and `etag` the file's ETag if some of its lines were read.
Cursor = Mapping[str, Any]


class ExportRefused(ValueError):
    """An export is damaged, not of this table, or does not lead to what is asked of it."""


@dataclass(frozen=True)
class Export:
    """A finished export.

    Attributes:
        arn: Its ARN.
        begins: Time at which its window begins, in seconds since 1970; `None` for a full export.
        ends: Time at which its window ends, or of the items of a full export.
        bucket: Its bucket.
        manifest: Key of its manifest-summary.json.
        items: Number of its lines.
    """

    arn: str
    begins: float | None
    ends: float
    bucket: str
    manifest: str
    items: int


class File(NamedTuple):
    """A file of an export.

    Attributes:
        bucket: Its bucket.
        key: Its key.
        md5: Its MD5 in base64.
        items: Number of its lines.
    """

    bucket: str
    key: str
    md5: str
    items: int


def described(description: Mapping[str, Any], *, table: str, table_id: str, within: str) -> Export:
    """Return an export, by what DescribeExport says of it.

    Args:
        description: The description.
        table: Name of the table.
        table_id: Its id, which a table that is made again under the name does not have.
        within: The bucket that exports are read from, with a prefix or without.

    Raises:
        ExportRefused: It is not finished, of another table, in another place, or not one that a consumer can be fed.
    """
    arn = description["ExportArn"]
    check_of_table(arn, table)
    if description["TableId"] != table_id:
        raise ExportRefused(
            f"{arn} is of a table that was deleted, and whose name {table} has now, so its items are not this table's: "
            "export this one"
        )
    status = description["ExportStatus"]
    if status != "COMPLETED":
        failure = ": ".join(description[each] for each in ("FailureCode", "FailureMessage") if each in description)
        then = f"it failed ({failure}): export again" if status == "FAILED" else "wait until it is COMPLETED"
        raise ExportRefused(f"{arn} is {status}, so it has not everything: {then}")
    if description["ExportFormat"] != "DYNAMODB_JSON":
        raise ExportRefused(
            f"{arn} is written as {description['ExportFormat']}, which this reader does not decode: export as "
            "DYNAMODB_JSON"
        )
    if "FilterSpecification" in description:
        raise ExportRefused(f"{arn} has a filter, so items are missing of it: export without FilterSpecification")
    place = f"{description['S3Bucket']}/{description.get('S3Prefix') or ''}/"
    if not place.startswith(f"{within}/"):
        raise ExportRefused(
            f"{arn} lies in {place.rstrip('/')}, and this backfill reads {within}: export into that, or give "
            "Backfill(exports=…) the other"
        )
    window = description.get("IncrementalExportSpecification")
    if window is not None and window["ExportViewType"] != "NEW_AND_OLD_IMAGES":
        raise ExportRefused(
            f"{arn} has new images alone, so a delete has no version that a row could be compared with: export with "
            "ExportViewType NEW_AND_OLD_IMAGES"
        )
    begins, ends = (
        (None, description["ExportTime"])
        if window is None
        else (window["ExportFromTime"].timestamp(), window["ExportToTime"])
    )
    return Export(
        arn,
        begins,
        ends.timestamp(),
        description["S3Bucket"],
        description["ExportManifest"],
        description["ItemCount"],
    )


def check_of_table(arn: str, table: str) -> None:
    """Check that an ARN is that of an export of a table.

    Raises:
        ExportRefused: It is not.
    """
    match arn.split("/"):
        case [resource, name, "export", _] if resource.endswith(":table") and name == table:
            return
        case _:
            raise ExportRefused(
                f"{arn} is not an export of the table {table}: aws dynamodb list-exports names those that are"
            )


def check_lead(exports: Sequence[Export], subscribed: Mapping[str, int]) -> list[Export]:
    """Return exports in the order of their times, if they lead without a gap to changes that consumers get themselves.

    Args:
        exports: The exports, in any order.
        subscribed: The time since which each consumer gets changes, in seconds since 1970, by its name.

    Raises:
        ExportRefused: Something lies in none of them, or in two.
    """
    found = sorted(exports, key=lambda each: (each.ends if each.begins is None else each.begins, each.begins or 0))
    if not found:
        raise ExportRefused("there is no export to read: name one at least, weir backfill --export ARN")
    full = [each for each in found if each.begins is None]
    if len(full) > 1 or (full and found[0] is not full[0]):
        raise ExportRefused(
            "a run reads one full export at most, and windows that begin at its time: leave out the other full exports "
            "and the windows before it"
        )
    for before, after in itertools.pairwise(found):
        if before.ends != after.begins:
            what = "a gap" if before.ends < (after.begins or 0) else "an overlap"
            raise ExportRefused(
                f"between {before.arn} and {after.arn} is {what}, and what lies in it would be "
                f"{'missing' if what == 'a gap' else 'compared with the wrong state'}: the first ends at "
                f"{_iso(before.ends)}, so export a window from {_iso(before.ends)}"
            )
    first, last = found[0], found[-1]
    for name, time in subscribed.items():
        if last.ends < time + CLOCK_SECONDS:
            raise ExportRefused(
                f"{last.arn} ends at {_iso(last.ends)}, and {name} gets changes since {_iso(time)}, so that what was "
                f"written in between would be missing: export a window from {_iso(last.ends)} to a time after the "
                "consumer was deployed, and name both"
            )
        if first.begins is not None and first.begins < time:
            raise ExportRefused(
                f"{first.arn} begins at {_iso(first.begins)}, and {name} gets changes since {_iso(time)}: items that "
                f"did not change within the window would be missing; name the full export of {_iso(first.begins)}, too"
            )
    return found


def files_of(export: Mapping[str, Any], buckets: Any) -> list[File]:
    """Return the files of an export, as its manifests name them.

    Args:
        export: The members of an `Export`.
        buckets: A boto3 client of S3.

    Raises:
        ExportRefused: A manifest is damaged, or contradicts the export's description.
    """
    bucket, manifest = export["bucket"], export["manifest"]
    try:
        summary = json.loads(_read(buckets, bucket, manifest))
        lines = _read(buckets, bucket, summary["manifestFilesS3Key"]).splitlines()
        files = [
            File(bucket, each["dataFileS3Key"], each["md5Checksum"], each["itemCount"])
            for each in map(json.loads, lines)
        ]
    except (ValueError, KeyError, TypeError) as wrong:
        raise ExportRefused(
            f"the manifests of {export['arn']} are not ones of an export ({type(wrong).__name__}): {manifest} in "
            f"{bucket} was changed; export again"
        ) from wrong
    if summary.get("exportArn") != export["arn"]:
        raise ExportRefused(
            f"{manifest} in {bucket} is the manifest of {summary.get('exportArn')} and not of {export['arn']}: export "
            "again"
        )
    counted = sum(each.items for each in files)
    if not counted == summary.get("itemCount") == export["items"]:
        raise ExportRefused(
            f"{export['arn']} has {export['items']} items, its summary says {summary.get('itemCount')} and its files "
            f"{counted}: a manifest was changed; export again"
        )
    return files


class ExportReader:
    """Reads the lines of exports that fall to one segment: whole files, in turns.

    A file is held against its checksum and its number of lines before any line is given out. An invocation that goes
    on within a file holds it against the ETag that it had then.

    Args:
        exports: The exports, each with the members of an `Export`.
        segment: Number of the segment.
        segments: Number of all segments.
        buckets: A boto3 client of S3.
    """

    def __init__(self, exports: Sequence[Mapping[str, Any]], segment: int, segments: int, buckets: Any) -> None:
        files = [file for each in exports for file in files_of(each, buckets)]
        self._files = files[segment::segments]
        self._buckets = buckets
        self._open: tuple[Cursor, Iterator[bytes]] | None = None
        self._etag: str | None = None

    def page(self, cursor: Cursor | None, limit: int) -> tuple[list[dict[str, Any]], Cursor | None]:
        """Return the next lines, and the place after them; `None` at the end.

        Raises:
            ExportRefused: The next file is damaged.
        """
        number, line = (0, 0) if cursor is None else (cursor["file"], cursor["line"])
        if number >= len(self._files):
            return [], None
        lines = self._lines(number, line, None if cursor is None else cursor.get("etag"))
        found = [json.loads(each) for each in itertools.islice(lines, limit)]
        done = line + len(found)
        if done < self._files[number].items:
            after: Cursor = {"file": number, "line": done, "etag": self._etag}
            self._open = (after, lines)
        else:
            after = {"file": number + 1, "line": 0}
        return found, after if after["file"] < len(self._files) else None

    def _lines(self, number: int, line: int, etag: str | None) -> Iterator[bytes]:
        if self._open is not None and self._open[0] == {"file": number, "line": line, "etag": etag}:
            return self._open[1]
        file = self._files[number]
        self._etag = self._checked(file) if etag is None else etag
        return itertools.islice(
            iter(gzip.GzipFile(fileobj=io.BufferedReader(_Object(file, self._buckets, self._etag)))), line, None
        )

    def _checked(self, file: File) -> str | None:
        """Return the ETag of a file that has what its manifest says."""
        content = _Object(file, self._buckets)
        try:
            with gzip.GzipFile(fileobj=io.BufferedReader(content)) as lines:
                counted = sum(1 for _ in lines)
        except (EOFError, gzip.BadGzipFile, zlib.error) as wrong:
            raise ExportRefused(f"{file.key} in {file.bucket} is damaged ({wrong}): export again") from wrong
        if content.md5() != file.md5:
            raise ExportRefused(
                f"{file.key} in {file.bucket} has another MD5 than its manifest says, so it was changed since: export "
                "again"
            )
        if counted != file.items:
            raise ExportRefused(
                f"{file.key} in {file.bucket} has {counted} lines, and its manifest says {file.items}: export again"
            )
        return content.etag


def window_record(line: Mapping[str, Any], *, table: str, history_until: int) -> dict[str, Any]:
    """Return a line of an incremental export as the record of a change.

    It has the time of the item's last write within the window, and neither event id nor sequence number of the stream.

    Args:
        line: The line.
        table: Name of the table.
        history_until: As for `snapshot_record`.

    Raises:
        ExportRefused: The line has no image.
    """
    images = {name: json_wire(line[name]) for name in ("OldImage", "NewImage") if name in line}
    if not images:
        raise ExportRefused("a line of the export has no image: export with ExportViewType NEW_AND_OLD_IMAGES")
    keys, micros = json_wire(line["Keys"]), int(line["Metadata"]["WriteTimestampMicros"])
    identity = json.dumps([table, keys, micros, sorted(images)], sort_keys=True)
    kind = "REMOVE" if "NewImage" not in images else "MODIFY" if "OldImage" in images else "INSERT"
    return {
        "eventID": f"export-{hashlib.sha256(identity.encode()).hexdigest()[:32]}",
        "eventName": kind,
        "tableName": table,
        "dynamodb": {
            "ApproximateCreationDateTime": micros / 1_000_000,
            "Keys": keys,
            **images,
            "StreamViewType": "NEW_AND_OLD_IMAGES",
        },
        "historyUntil": history_until,
    }


class _Object(io.RawIOBase):
    """The content of an object in S3 as a file that is read once, in parts.

    Args:
        file: The object.
        buckets: A boto3 client of S3.
        etag: The ETag that it must have; `None` for that of its first part.

    Attributes:
        etag: Its ETag.
    """

    def __init__(self, file: File, buckets: Any, etag: str | None = None) -> None:
        self.etag = etag
        self._file = file
        self._buckets = buckets
        self._part = memoryview(b"")
        self._read = 0
        self._size: int | None = None
        self._md5 = hashlib.md5(usedforsecurity=False)

    def readable(self) -> bool:
        """Return true."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Put the next bytes into a buffer, and return their number; 0 at the end."""
        if not self._part and self._read != self._size:
            self._part = memoryview(self._fetch())
        taken = self._part[: len(buffer)]
        buffer[: len(taken)] = taken
        self._part = self._part[len(taken) :]
        return len(taken)

    def md5(self) -> str:
        """Return the MD5 of what was read, in base64."""
        return b64encode(self._md5.digest()).decode()

    def _fetch(self) -> bytes:
        wanted = f"bytes={self._read}-{self._read + CHUNK_BYTES - 1}"
        answer = self._buckets.get_object(Bucket=self._file.bucket, Key=self._file.key, Range=wanted)
        if self.etag not in (None, answer["ETag"]):
            raise ExportRefused(
                f"{self._file.key} in {self._file.bucket} was changed while it was read: export again, and give its "
                "consumers the whole of that"
            )
        self.etag = answer["ETag"]
        self._size = int(answer["ContentRange"].rpartition("/")[2])
        part: bytes = answer["Body"].read()
        self._read += len(part)
        self._md5.update(part)
        return part


def _read(buckets: Any, bucket: str, key: str) -> bytes:
    return buckets.get_object(Bucket=bucket, Key=key)["Body"].read()


def _iso(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).isoformat().replace("+00:00", "Z")
