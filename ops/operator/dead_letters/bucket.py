"""Dead letters in an S3 bucket: documents of Lambda and of the consumers' runtime, with receipts beside them."""

from __future__ import annotations

import itertools
import json
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from handlers.cdc.failure_document import NotAFailureDocument, read
from local.endpoint.clients import error_code
from ops.operator.dead_letters.letters import DeadLetter, Receipt

#: Folders of the documents: those of Lambda (docs/aws-semantics.md §2.7), and those of the runtime.
FOLDERS = ("aws/lambda/", "discarded/")
#: Folders of the receipts, where each has its document's key: of settled dead letters, and of those still waiting.
SETTLED, ATTEMPTS = "receipts/settled/", "receipts/attempts/"

DAY = 86_400

_READERS = 8
_READ_AHEAD = 64


class Stored(NamedTuple):
    """An object of the bucket: its key, its last change in seconds since 1970, and the folder of its receipt."""

    key: str
    at: float
    receipt: str = ""


class BucketLetters:
    """The dead letters of a bucket, oldest first.

    Object names are kept in memory, about 200 bytes each; documents are read a few at a time.

    Args:
        s3: A boto3 client of S3.
        bucket: The bucket's name.
        foreign: Folders with the documents of other readers, which are none of this one's.

    Attributes:
        unreadable: Keys of objects that are not failure documents, as far as they were read.
    """

    def __init__(self, s3: Any, bucket: str, *, foreign: tuple[str, ...] = ()) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._foreign = foreign
        self.unreadable: list[str] = []

    def waiting(self) -> tuple[int, float | None, float | None]:
        """Count the dead letters that wait; returns the time and the deadline of the oldest as well."""
        settled = self._receipts(SETTLED)
        at = [each.at for each in self._documents() if not self._is_settled(each, settled)]
        days = self._days_kept()
        oldest = min(at, default=None)
        return len(at), oldest, None if oldest is None or days is None else oldest + days * DAY

    def letters(self, *, settled: bool = False) -> Iterator[DeadLetter]:
        """Yield the dead letters, oldest first.

        Args:
            settled: Whether to include those that were redriven or dropped.
        """
        done, tried = self._receipts(SETTLED), self._receipts(ATTEMPTS)
        stored: list[Stored] = []
        for each in self._documents():
            if not self._is_settled(each, done):
                stored.append(each._replace(receipt=ATTEMPTS if each.key in tried else ""))
            elif settled:
                stored.append(each._replace(receipt=SETTLED))
        ordered = sorted(stored, key=lambda each: (each.at, each.key))
        # S3 has the second of an object; inside it the stream's order counts.
        for _, same_second in itertools.groupby(self._read_all(ordered), key=lambda letter: int(letter.at)):
            yield from sorted(same_second, key=lambda letter: letter.order)

    def settle(self, letter: DeadLetter, receipt: Receipt) -> None:
        """Write the receipt of a dead letter."""
        self._s3.put_object(
            Bucket=self._bucket,
            Key=f"{SETTLED if receipt.settled else ATTEMPTS}{letter.id}",
            Body=receipt.as_json(),
            ContentType="application/json",
        )

    def since(self, at: float) -> Iterator[tuple[float, str]]:
        """Yield the time and the location of each document that is newer than a time, without reading it."""
        for each in self._documents():
            if each.at >= at:
                yield each.at, f"s3://{self._bucket}/{each.key}"

    def close(self) -> None:
        """Do nothing: a bucket hides no dead letters while they are read."""

    def _documents(self) -> Iterator[Stored]:
        every = itertools.chain.from_iterable(self._list(folder) for folder in FOLDERS)
        return (each for each in every if not each.key.startswith(self._foreign))

    def _receipts(self, folder: str) -> dict[str, float]:
        """Return the times of the receipts in a folder, by their documents' keys."""
        return {each.key.removeprefix(folder): each.at for each in self._list(folder)}

    def _is_settled(self, document: Stored, receipts: Mapping[str, float]) -> bool:
        """Return whether a document has a settled receipt that is newer.

        A record that is parked again has the name of its first parking, and the receipt of the redrive in between.
        """
        at = receipts.get(document.key)
        if at is None or int(at) != int(document.at):
            return at is not None and at > document.at
        # S3 has seconds; the contents have milliseconds.
        body, receipt = self._get(document.key), self._get(f"{SETTLED}{document.key}")
        if body is None or receipt is None:
            return False
        return _timestamp(json.loads(body).get("timestamp")) <= _timestamp(Receipt.from_json(receipt).at)

    def _list(self, prefix: str) -> Iterator[Stored]:
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
        for page in pages:
            for each in page.get("Contents", []):
                yield Stored(each["Key"], each["LastModified"].timestamp())

    def _read_all(self, stored: list[Stored]) -> Iterator[DeadLetter]:
        """Read documents in order, some ahead."""
        days = self._days_kept()
        ahead: deque[Future[DeadLetter | None]] = deque()
        with ThreadPoolExecutor(_READERS) as readers:
            for each in stored:
                ahead.append(readers.submit(self._read, each, days))
                if len(ahead) > _READ_AHEAD and (letter := ahead.popleft().result()):
                    yield letter
            while ahead:
                if letter := ahead.popleft().result():
                    yield letter

    def _read(self, stored: Stored, days: float | None) -> DeadLetter | None:
        body = self._get(stored.key)
        if body is None:
            return None  # expired since it was listed
        try:
            document: Mapping[str, Any] = json.loads(body)
            failure = read(document)
        except (NotAFailureDocument, ValueError):
            self.unreadable.append(stored.key)
            return None
        receipt = self._get(f"{stored.receipt}{stored.key}") if stored.receipt else None
        return DeadLetter(
            id=stored.key,
            location=f"s3://{self._bucket}/{stored.key}",
            at=stored.at,
            deadline=None if days is None else stored.at + days * DAY,
            failure=failure,
            document=document,
            receipt=Receipt.from_json(receipt) if receipt else None,
        )

    def _get(self, key: str) -> bytes | None:
        try:
            return self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        except ClientError as error:
            if error_code(error) in ("NoSuchKey", "404"):
                return None
            raise

    def _days_kept(self) -> float | None:
        try:
            rules = self._s3.get_bucket_lifecycle_configuration(Bucket=self._bucket)["Rules"]
        except ClientError as error:
            if error_code(error) == "NoSuchLifecycleConfiguration":
                return None
            raise
        days = [
            rule["Expiration"]["Days"]
            for rule in rules
            if rule["Status"] == "Enabled" and "Days" in rule.get("Expiration", {}) and _is_about_documents(rule)
        ]
        return min(days, default=None)


def _is_about_documents(rule: Mapping[str, Any]) -> bool:
    """Return whether a lifecycle rule deletes documents: one of all objects, or of a prefix that their folders have."""
    chosen: Mapping[str, Any] = rule.get("Filter", {})
    chosen = chosen.get("And", chosen)
    prefix: str = chosen.get("Prefix", rule.get("Prefix", ""))
    # Documents have no tags, and may be of any size.
    return not chosen.keys() - {"Prefix"} and any(folder.startswith(prefix) for folder in FOLDERS)


def _timestamp(text: object) -> float:
    return datetime.fromisoformat(str(text)).timestamp()
