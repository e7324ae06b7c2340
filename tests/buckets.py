"""A bucket in memory that takes S3's conditional writes, for unit and property tests."""

from __future__ import annotations

import io
from typing import Any

from botocore.exceptions import ClientError


class NoSuchKey(ClientError):
    """S3's answer for an object that is not there."""


class _Exceptions:
    ClientError = ClientError
    NoSuchKey = NoSuchKey


class InMemoryBucket:
    """The part of an S3 client that `WriteOnceBucket` calls.

    Attributes:
        objects: The contents by key.
        answers: Error codes that the next writes get, first one first; `None` for none.
        writes: How many writes there were.
    """

    exceptions = _Exceptions

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.answers: list[str | None] = []
        self.writes = 0

    def put_object(self, *, Bucket: str, Key: str, Body: bytes, ContentType: str, IfNoneMatch: str) -> None:  # noqa: N803
        self.writes += 1
        assert (Bucket, ContentType, IfNoneMatch) == ("log", "application/json", "*")
        if code := self.answers.pop(0) if self.answers else None:
            raise _refusal(ClientError, code, "PutObject")
        if Key in self.objects:
            raise _refusal(ClientError, "PreconditionFailed", "PutObject")
        self.objects[Key] = Body

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
        if Key not in self.objects:
            raise _refusal(NoSuchKey, "NoSuchKey", "GetObject")
        return {"Body": io.BytesIO(self.objects[Key])}


def _refusal(kind: type[ClientError], code: str, operation: str) -> ClientError:
    return kind({"Error": {"Code": code, "Message": code}}, operation)
