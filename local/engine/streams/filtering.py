"""Filters of a stream's mapping or pipe."""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aws_semantics.event_patterns import matches
from local.engine.streams.records import StreamRecord


def select(records: Iterable[StreamRecord], filters: Sequence[str]) -> tuple[list[StreamRecord], list[StreamRecord]]:
    """Divide records into those that one of the patterns matches, and the others; without patterns all match.

    A filter sees GetRecords' record, to which the poller adds the ARN later (docs/aws-semantics.md §2.8). Of a Kinesis
    record it sees the members under `kinesis`, and `data` as the JSON it holds: other data matches no pattern for it
    (https://docs.aws.amazon.com/lambda/latest/dg/with-kinesis-filtering.html).
    """
    kept: list[StreamRecord] = []
    others: list[StreamRecord] = []
    for record in records:
        filtered = seen(record.event)
        wanted = not filters or any(matches(pattern, filtered) for pattern in filters)
        (kept if wanted else others).append(record)
    return kept, others


def seen(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a record as a filter sees it."""
    members = {name: value for name, value in event.items() if name != "eventSourceARN"}
    # A pipe's records have these members next to the others.
    members |= members.pop("kinesis", {})
    if "data" in members:
        data = base64.b64decode(members.pop("data"))
        with contextlib.suppress(ValueError):
            members["data"] = json.loads(data)
    return members
