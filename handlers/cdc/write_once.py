"""Objects that are written once: S3 creates each of them, and no later write replaces one."""

from __future__ import annotations

import os
from typing import Any, Final

from handlers.cdc.bounded_client import BoundedClient

#: Conditional writes of one object in a row, if others get in their way.
_ATTEMPTS: Final = 3


class WriteContended(RuntimeError):
    """Another write or delete of the same object was under way at each attempt. The record is delivered again."""


class WriteOnceBucket:
    """A bucket whose objects are created and never replaced (docs/aws-semantics.md §10.4, S3-1).

    The function needs `s3:PutObject` and `s3:GetObject` on the objects; `AuditBucket.access` has both.

    Args:
        variable: The environment variable that holds the bucket's name.
        client: The client of S3; one that respects the time left by default.
    """

    def __init__(self, variable: str, *, client: Any = None) -> None:
        self.variable = variable
        self.client = client or BoundedClient("s3")

    def create(self, key: str, body: bytes) -> bytes | None:
        """Create an object unless one lies there.

        Args:
            key: The object's key, at most 1,024 bytes.
            body: The object's content, JSON.

        Returns:
            `None` if the object was created; the content of the object that lies there already.

        Raises:
            WriteContended: Others wrote or deleted the object at each attempt.
            botocore.exceptions.ClientError: The bucket cannot be written to.
        """
        bucket = self._bucket()
        for _ in range(_ATTEMPTS):
            try:
                self.client.put_object(
                    Bucket=bucket, Key=key, Body=body, ContentType="application/json", IfNoneMatch="*"
                )
            except self.client.exceptions.ClientError as refused:
                match refused.response["Error"]["Code"]:
                    case "PreconditionFailed":
                        lying = self._read(bucket, key)
                        if lying is not None:
                            return lying
                    case "ConditionalRequestConflict":
                        continue
                    case _:
                        raise
            else:
                return None
        raise WriteContended(f"an object of {self.variable} was written or deleted by others at {_ATTEMPTS} attempts")

    def _read(self, bucket: str, key: str) -> bytes | None:
        try:
            return self.client.get_object(Bucket=bucket, Key=key)["Body"].read()
        except self.client.exceptions.NoSuchKey:
            return None

    def _bucket(self) -> str:
        name = os.environ.get(self.variable)
        if not name:
            raise RuntimeError(f"{self.variable} is not set, so there is no bucket to write to")
        return name
