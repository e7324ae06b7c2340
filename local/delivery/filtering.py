"""What a mapping's filters select."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from handlers.cdc.patterns import matches
from local.delivery.records import StreamRecord


def select(records: Iterable[StreamRecord], filters: Sequence[str]) -> tuple[list[StreamRecord], list[StreamRecord]]:
    """The records that one of the patterns matches, and the others; all of them where there is no pattern.

    A filter sees GetRecords' record, to which the poller adds the ARN later (docs/aws-semantics.md §2.8).
    """
    kept: list[StreamRecord] = []
    others: list[StreamRecord] = []
    for record in records:
        seen = {name: value for name, value in record.event.items() if name != "eventSourceARN"}
        wanted = not filters or any(matches(pattern, seen) for pattern in filters)
        (kept if wanted else others).append(record)
    return kept, others
