"""The bucket of the audit log."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Generator, Sequence
from datetime import datetime
from typing import Any, ClassVar

from ops.demo.mechanisms import Mechanism
from ops.demo.plan import Plan
from ops.demo.receivers.receiver import Change, Deployed, Receiver, Served


class AuditLog(Receiver):
    """The entries of the log, one for each change; an entry that was written again counts twice."""

    consumer: ClassVar[str] = "audit-log"
    claim: ClassVar[str] = "each of the {count} changes is one entry of the audit log, written once"
    mechanisms: ClassVar[tuple[Mechanism, ...]] = (Mechanism.WRITE_ONCE,)

    def __init__(self) -> None:
        self._written: dict[str, datetime] = {}

    @contextlib.contextmanager
    def serving(self, without: Mechanism | None) -> Generator[Served]:  # noqa: ARG002 - S3 is the endpoint's
        """Switch the log on."""
        yield Served({"weir:auditLog": "true"})

    def begin(self, deployed: Deployed, plan: Plan, without: Mechanism | None) -> None:  # noqa: ARG002
        """Without the mechanism, let entries be overwritten."""
        if without is Mechanism.WRITE_ONCE:
            deployed.endpoint.control.ignore_conditions(bucket=deployed.outputs["auditBucket"])

    def before_repeats(self, deployed: Deployed) -> None:
        """Remember when each entry was written."""
        self._written = {entry["Key"]: entry["LastModified"] for entry in _entries(deployed)}

    def expected(self, plan: Plan, changes: Sequence[Change]) -> Counter[str]:  # noqa: ARG002 - the changes know
        """Return the id of every change."""
        return Counter(change["eventID"] for change in changes)

    def found(self, deployed: Deployed) -> Counter[str]:
        """Return the id in every entry, once for each time that it was written."""
        s3, bucket = deployed.endpoint.client("s3"), deployed.outputs["auditBucket"]
        written: Counter[str] = Counter()
        for entry in _entries(deployed):
            body = json.loads(s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read())
            first = self._written.get(entry["Key"], entry["LastModified"])
            written[body["eventId"]] += 1 if entry["LastModified"] == first else 2
        return written


def _entries(deployed: Deployed) -> list[Any]:
    pages = deployed.endpoint.client("s3").get_paginator("list_objects_v2")
    found = pages.paginate(Bucket=deployed.outputs["auditBucket"])
    return [entry for page in found for entry in page.get("Contents", [])]
