"""What a function is called with, and what is told of records given up (docs/aws-semantics.md §2.7, §2.9, §3.5)."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from local.engine.streams.lane import GiveUp, Records, Window


def event_of(records: Records, window: Window | None, *, stream_arn: str, shard_id: str) -> dict[str, Any]:
    """The event of an invocation; a tumbling window adds its members, in AWS's order."""
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
    """What the destination is told, members in AWS's order.

    Args:
        given_up: The lane's action.
        now: Seconds since 1970.
        function_arn: Of the function, with its version or alias where the mapping has one. Which version an alias
            stands for is not known here: the document names `$LATEST` then.
        stream_arn: Of the stream.
        shard_id: Of the shard.
        payload: Whether the records are included, as S3 gets them; queues and topics get only their range.
    """
    document: dict[str, Any] = {
        "requestContext": {
            "requestId": given_up.request_id,
            "functionArn": function_arn,
            "condition": given_up.condition,
            "approximateInvokeCount": given_up.invoke_count,
        }
    }
    if given_up.response is not None:
        version = "".join(function_arn.split(":")[7:])
        document["responseContext"] = {
            "statusCode": 200,
            "executedVersion": version if version.isdecimal() else "$LATEST",
            "functionError": given_up.response.function_error,
        }
    document["version"] = "1.0"
    if payload:
        document["payload"] = payload_text(
            event_of(given_up.records, given_up.window, stream_arn=stream_arn, shard_id=shard_id)
        )
    document["timestamp"] = _instant(now, milliseconds=True)
    document |= _batch_info(given_up.records, stream_arn=stream_arn, shard_id=shard_id)
    if given_up.window is not None:
        document["timeWindowInfo"] = {"window": _span(given_up.window), **_flags(given_up.window)}
    return document


def pipe_failure_document(
    given_up: GiveUp, *, now: float, pipe_arn: str, stream_arn: str, shard_id: str
) -> dict[str, Any]:
    """What a pipe's dead-letter queue or topic is told: another envelope, and never the records."""
    return {
        "context": {"partnerResourceArn": pipe_arn, "condition": given_up.condition},
        "version": "1.0",
        "timestamp": _instant(now, milliseconds=True),
        **_batch_info(given_up.records, stream_arn=stream_arn, shard_id=shard_id),
    }


def payload_text(event: Mapping[str, Any]) -> str:
    """The event as the JSON text under `payload`; times are written as Java writes a double."""
    text = json.dumps(event, separators=(",", ":"), ensure_ascii=False)
    return re.sub(r'("ApproximateCreationDateTime":)(\d+)\.0', lambda match: match[1] + _java_double(match[2]), text)


def object_key(*, mapping_uuid: str, shard_id: str, now: float, unique: uuid.UUID | None = None) -> str:
    """Where in the bucket the document goes; `unique` ends the name, a new one by default."""
    at = datetime.fromtimestamp(now, UTC)
    unique = uuid.uuid4() if unique is None else unique
    return f"aws/lambda/{mapping_uuid}/{shard_id}/{at:%Y/%m/%d}/{at:%Y-%m-%dT%H.%M.%S}-{unique}"


def _batch_info(records: Records, *, stream_arn: str, shard_id: str) -> dict[str, Any]:
    kinesis = ":kinesis:" in stream_arn
    info: dict[str, Any] = {"shardId": shard_id}
    if records:
        first, last = records[0], records[-1]
        info |= {
            "startSequenceNumber": first.sequence,
            "endSequenceNumber": last.sequence,
            "approximateArrivalOfFirstRecord": _instant(first.arrived, milliseconds=kinesis),
            "approximateArrivalOfLastRecord": _instant(last.arrived, milliseconds=kinesis),
            "batchSize": len(records),
        }
    return {"KinesisBatchInfo" if kinesis else "DDBStreamBatchInfo": info | {"streamArn": stream_arn}}


def _span(window: Window) -> dict[str, str]:
    return {"start": _instant(window.start), "end": _instant(window.end)}


def _flags(window: Window) -> dict[str, bool]:
    return {"isFinalInvokeForWindow": window.final, "isWindowTerminatedEarly": window.early}


def _java_double(digits: str) -> str:
    if len(digits) <= 7:
        return f"{digits}.0"
    mantissa = digits[1:].rstrip("0") or "0"
    return f"{digits[0]}.{mantissa}E{len(digits) - 1}"


def _instant(seconds: float, *, milliseconds: bool = False) -> str:
    at = datetime.fromtimestamp(seconds, UTC)
    return at.isoformat(timespec="milliseconds" if milliseconds else "seconds").replace("+00:00", "Z")
