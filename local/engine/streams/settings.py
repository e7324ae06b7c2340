"""`MappingSettings`: how an event source mapping reads a stream, as plain values."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class MappingSettings:
    """Settings of a stream's event source mapping; defaults are AWS's (docs/aws-semantics.md §2.1).

    A pipe's stream source has the same ones under other names (§3.1).

    Attributes:
        batch_size: Records per invocation at most.
        batching_window: Seconds that a batch may wait to fill.
        parallelization_factor: Lanes per shard: batches of one shard that may be processed at a time.
        maximum_retry_attempts: Retries of a batch, -1 for no limit.
        maximum_record_age: Seconds, -1 for no limit.
        bisect: Whether a batch that failed as a whole is split.
        report_batch_item_failures: Whether the function's answer can name failed records.
        tumbling_window: Length of a tumbling window in seconds, 0 for none.
        filters: Event patterns as JSON text; a record that matches none of them is not delivered. Empty: all are.
        destination: ARN of the on-failure destination, or `None`.
        event_count: Whether the EventCount metrics are recorded.
        retention: Seconds that the stream keeps a record; older ones are lost. `None`: the reader enforces it.
    """

    batch_size: int = 100
    batching_window: int = 0
    parallelization_factor: int = 1
    maximum_retry_attempts: int = -1
    maximum_record_age: int = -1
    bisect: bool = False
    report_batch_item_failures: bool = False
    tumbling_window: int = 0
    filters: tuple[str, ...] = ()
    destination: str | None = None
    event_count: bool = False
    retention: int | None = None
