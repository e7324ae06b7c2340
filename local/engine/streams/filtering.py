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
        seen = _seen(record)
        wanted = not filters or any(matches(pattern, seen) for pattern in filters)
        (kept if wanted else others).append(record)
    return kept, others


def _seen(record: StreamRecord) -> Mapping[str, Any]:
    seen = {name: value for name, value in record.event.items() if name != "eventSourceARN"}
    # A pipe's records have these members next to the others.
    seen |= seen.pop("kinesis", {})
    if "data" in seen:
        data = base64.b64decode(seen.pop("data"))
        with contextlib.suppress(ValueError):
            seen["data"] = json.loads(data)
    return seen
