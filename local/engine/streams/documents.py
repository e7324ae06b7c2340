"""Events that functions receive, and documents of records given up (docs/aws-semantics.md §2.7, §2.9, §3.5)."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from handlers.cdc.failure_document import BatchRange, instant, of_mapping, of_pipe
from local.engine.actions import GiveUp, Window
from local.engine.records import Record
from local.engine.streams.records import StreamRecord


def event_of(records: Sequence[Record], window: Window | None, *, stream_arn: str, shard_id: str) -> dict[str, Any]:
    """Make the event of an invocation; a tumbling window adds its members, in AWS's order."""
    event: dict[str, Any] = {"Records": [record.event for record in records]}
    if window is not None:
        event |= {"shardId": shard_id, "eventSourceARN": stream_arn, "window": _span(window), "state": window.state}
        event |= _flags(window)
    return event


def failure_document(
    given_up: GiveUp,
    *,
    now: float,
    function_arn: str,
    stream_arn: str,
    shard_id: str,
    payload: bool,
) -> dict[str, Any]:
    """Make the document that an on-failure destination receives, members in AWS's order.

    Args:
        given_up: The lane's action.
        now: Seconds since 1970.
        function_arn: The function's ARN, with its version or alias where the mapping has one. The version that an alias
            stands for is not known here: the document then names `$LATEST`.
        stream_arn: The stream's ARN.
        shard_id: The shard of the records.
        payload: Whether the records are included, as in S3; queues and topics receive only their range.
    """
    response: dict[str, Any] | None = None
    if given_up.response is not None:
        version = "".join(function_arn.split(":")[7:])
        response = {
            "statusCode": 200,
            "executedVersion": version if version.isdecimal() else "$LATEST",
            "functionError": given_up.response.function_error,
        }
    document = of_mapping(
        _range(given_up.records, stream_arn=stream_arn, shard_id=shard_id),
        function_arn=function_arn,
        request_id=given_up.request_id,
        condition=given_up.condition,
        invoke_count=given_up.invoke_count,
        response=response,
        payload=payload_text(event_of(given_up.records, given_up.window, stream_arn=stream_arn, shard_id=shard_id))
        if payload
        else None,
        now=now,
    )
    if given_up.window is not None:
        document["timeWindowInfo"] = {"window": _span(given_up.window), **_flags(given_up.window)}
    return document


def pipe_failure_document(
    given_up: GiveUp, *, now: float, pipe_arn: str, stream_arn: str, shard_id: str
) -> dict[str, Any]:
    """Make the document that a pipe's dead-letter queue or topic receives: another envelope, and never the records."""
    batch = _range(given_up.records, stream_arn=stream_arn, shard_id=shard_id)
    return of_pipe(batch, pipe_arn=pipe_arn, condition=given_up.condition, now=now)


def payload_text(event: Mapping[str, Any]) -> str:
    """Write an event as the JSON text under `payload`, with times as Java writes a double."""
    text = json.dumps(event, separators=(",", ":"), ensure_ascii=False)
    return re.sub(r'("ApproximateCreationDateTime":)(\d+)\.0', lambda match: match[1] + _java_double(match[2]), text)


def object_key(*, mapping_uuid: str, shard_id: str, now: float, unique: uuid.UUID | None = None) -> str:
    """Return the key of a document in its bucket; `unique` ends the name, a new UUID by default."""
    at = datetime.fromtimestamp(now, UTC)
    unique = uuid.uuid4() if unique is None else unique
    return f"aws/lambda/{mapping_uuid}/{shard_id}/{at:%Y/%m/%d}/{at:%Y-%m-%dT%H.%M.%S}-{unique}"


def _range(records: Sequence[StreamRecord], *, stream_arn: str, shard_id: str) -> BatchRange:
    if not records:
        return BatchRange(stream_arn, shard_id)
    first, last = records[0], records[-1]
    return BatchRange(stream_arn, shard_id, len(records), first.sequence, last.sequence, first.arrived, last.arrived)


def _span(window: Window) -> dict[str, str]:
    return {"start": instant(window.start), "end": instant(window.end)}


def _flags(window: Window) -> dict[str, bool]:
    return {"isFinalInvokeForWindow": window.final, "isWindowTerminatedEarly": window.early}


def _java_double(digits: str) -> str:
    if len(digits) <= 7:
        return f"{digits}.0"
    mantissa = digits[1:].rstrip("0") or "0"
    return f"{digits[0]}.{mantissa}E{len(digits) - 1}"
