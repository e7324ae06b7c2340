"""`MappingSettings`: what an event source mapping was told, as plain values."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class MappingSettings:
    """Settings of a stream's event source mapping; defaults are AWS's (docs/aws-semantics.md §2.1).

    Attributes:
        batch_size: Records per invocation at most.
        batching_window: Seconds a batch may wait to fill.
        maximum_retry_attempts: Retries of a batch, -1 for no limit.
        maximum_record_age: Seconds, -1 for no limit.
        bisect: Whether a batch that failed as a whole is split.
        report_batch_item_failures: Whether the function's answer can name failed records.
        destination: ARN of the on-failure destination, or `None`.
        event_count: Whether the EventCount metrics are recorded.
    """

    batch_size: int = 100
    batching_window: int = 0
    maximum_retry_attempts: int = -1
    maximum_record_age: int = -1
    bisect: bool = False
    report_batch_item_failures: bool = False
    destination: str | None = None
    event_count: bool = False
