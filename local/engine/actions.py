"""Actions that the engine's state machines ask their driver for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from local.engine.outcomes import Failed
from local.engine.records import Record
from local.engine.streams.records import StreamRecord

#: Why records are given up, in AWS's words.
Condition = Literal["RetryAttemptsExhausted", "RecordAgeExceeded"]


@dataclass(frozen=True, slots=True)
class Window:
    """Members that a tumbling window adds to an invocation (docs/aws-semantics.md §2.9).

    Attributes:
        start: Seconds since 1970, a multiple of the window's length.
        end: `start` plus the window's length.
        state: The state that the function returned last, `{}` at first.
        final: Whether this is the window's last invocation, which carries no records.
        early: Whether the window ends before its time, because the state has grown too large.
    """

    start: int
    end: int
    state: Mapping[str, Any]
    final: bool = False
    early: bool = False


@dataclass(frozen=True, slots=True)
class Invoke:
    """Call the function with these records, then report its outcome by `finished`.

    Attributes:
        request_id: The same for every attempt at a batch, and another for every batch.
        attempt: Counts from 1 for each batch, throttled attempts included.
        window: The tumbling window, if the mapping has one.
        shard_id: The shard of the records; the message group of a FIFO queue's messages.
        lane: The lane of the shard that calls.
    """

    records: tuple[Record, ...]
    request_id: str
    attempt: int
    window: Window | None = None
    shard_id: str = ""
    lane: int = 0


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Send these records to the on-failure destination; the lane has moved past them.

    Attributes:
        records: The records; none when a tumbling window's final invocation is given up.
        request_id: The request id of the batch.
        invoke_count: Invocations of this batch, those that Lambda refused included; 1 even when there was none.
        response: The last invocation's outcome, or `None` where the document has no `responseContext`.
        window: The tumbling window, if the mapping has one.
        shard_id: The shard of the records.
    """

    records: tuple[StreamRecord, ...]
    condition: Condition
    request_id: str
    invoke_count: int
    response: Failed | None
    window: Window | None = None
    shard_id: str = ""


@dataclass(frozen=True, slots=True)
class Lose:
    """Note that the stream has forgotten these records; AWS reports it nowhere."""

    records: tuple[StreamRecord, ...]
    shard_id: str = ""


@dataclass(frozen=True, slots=True)
class Wait:
    """Do nothing before `until` (seconds since 1970), or before a record comes if that is `None`."""

    until: float | None
