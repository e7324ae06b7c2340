"""The document that Lambda sends to an on-failure destination (docs/aws-semantics.md §2.7)."""

from __future__ import annotations

import json
import re
import uuid
from datetime import UTC, datetime
from typing import Any

from local.delivery.lane import GiveUp, Records


def failure_document(
    given_up: GiveUp, *, now: float, function_arn: str, stream_arn: str, shard_id: str, payload: bool
) -> dict[str, Any]:
    """What the destination is told, members in AWS's order.

    Args:
        given_up: The lane's action.
        now: Seconds since 1970.
        function_arn: Of the function, with its alias where the mapping has one.
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
        document["responseContext"] = {
            "statusCode": 200,
            "executedVersion": "$LATEST",
            "functionError": given_up.response.function_error,
        }
    document["version"] = "1.0"
    if payload:
        document["payload"] = payload_text(given_up.records)
    document["timestamp"] = _instant(now, milliseconds=True)
    first, last = given_up.records[0], given_up.records[-1]
    document["DDBStreamBatchInfo"] = {
        "shardId": shard_id,
        "startSequenceNumber": first.identifier,
        "endSequenceNumber": last.identifier,
        "approximateArrivalOfFirstRecord": _instant(first.arrived),
        "approximateArrivalOfLastRecord": _instant(last.arrived),
        "batchSize": len(given_up.records),
        "streamArn": stream_arn,
    }
    return document


def payload_text(records: Records) -> str:
    """The failed batch as the JSON text under `payload`; times are written as Java writes a double."""
    text = json.dumps({"Records": [record.event for record in records]}, separators=(",", ":"), ensure_ascii=False)
    return re.sub(r'("ApproximateCreationDateTime":)(\d+)\.0', lambda match: match[1] + _java_double(match[2]), text)


def object_key(*, mapping_uuid: str, shard_id: str, now: float) -> str:
    """Where in the bucket the document goes."""
    at = datetime.fromtimestamp(now, UTC)
    return f"aws/lambda/{mapping_uuid}/{shard_id}/{at:%Y/%m/%d}/{at:%Y-%m-%dT%H.%M.%S}-{uuid.uuid4()}"


def _java_double(digits: str) -> str:
    if len(digits) <= 7:
        return f"{digits}.0"
    mantissa = digits[1:].rstrip("0") or "0"
    return f"{digits[0]}.{mantissa}E{len(digits) - 1}"


def _instant(seconds: float, *, milliseconds: bool = False) -> str:
    at = datetime.fromtimestamp(seconds, UTC)
    return at.isoformat(timespec="milliseconds" if milliseconds else "seconds").replace("+00:00", "Z")
