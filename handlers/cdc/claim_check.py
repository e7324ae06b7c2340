"""Claim checks: a change too large for a message waits in S3, and the message says where.

Two images of one item, written as JSON, can exceed the 1 MiB that a message of SNS and SQS holds
(docs/aws-semantics.md §10.1).
"""

from __future__ import annotations

import os
from typing import Final

from handlers.cdc.clients import client

#: Name of the bucket that the forwarder puts large changes into.
BUCKET_VARIABLE: Final = "CLAIM_CHECK_BUCKET"
_SCHEME: Final = "s3://"


def put(name: str, text: str) -> str:
    """Store a text and return its claim check.

    Args:
        name: Name of the object, the same at every delivery of one change.
        text: The change as JSON.

    Raises:
        KeyError: `CLAIM_CHECK_BUCKET` is not set.
        botocore.exceptions.ClientError: S3 refused it.
    """
    bucket, key = os.environ[BUCKET_VARIABLE], f"{name}.json"
    client("s3").put_object(Bucket=bucket, Key=key, Body=text.encode(), ContentType="application/json")
    return f"{_SCHEME}{bucket}/{key}"


def is_in_s3(claim: object) -> bool:
    """Return whether a claim check is one that `put` made."""
    return isinstance(claim, str) and claim.startswith(_SCHEME)


def fetch(claim: str) -> str:
    """Return the text that a claim check stands for.

    Raises:
        botocore.exceptions.ClientError: The object is gone, or the function may not read it.
    """
    bucket, _, key = claim.removeprefix(_SCHEME).partition("/")
    return client("s3").get_object(Bucket=bucket, Key=key)["Body"].read().decode()
