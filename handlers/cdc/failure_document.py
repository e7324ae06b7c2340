"""Documents about records that were given up: their three shapes, written and read in one place.

| written by | identity | records |
|---|---|---|
| a consumer (`handlers.cdc.discard`) | `requestContext.functionName`, and the change's | `payload`: one record |
| a mapping (docs/aws-semantics.md §2.7) | `requestContext.functionArn` | in S3 `payload`: the batch; else its range |
| a pipe (docs/aws-semantics.md §3.5) | `context.partnerResourceArn` | the batch's range |

`payload` is JSON text, an event as a function gets it. Lambda wraps the event of an asynchronous invocation that failed
in an envelope of its own, under `requestPayload`; `read` looks into it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

Document = dict[str, Any]


@dataclass(frozen=True)
class BatchRange:
    """The range of a stream's records that a document is about.

    Attributes:
        stream_arn: ARN of the DynamoDB or Kinesis stream.
        shard_id: The shard.
        size: How many records; 0 for the final call of a tumbling window.
        first, last: Their sequence numbers.
        first_arrived, last_arrived: When they were written, in seconds since 1970.
    """

    stream_arn: str
    shard_id: str
    size: int = 0
    first: str = ""
    last: str = ""
    first_arrived: float = 0.0
    last_arrived: float = 0.0


@dataclass(frozen=True)
class Failure:
    """A document that was read.

    Attributes:
        writer: What wrote it.
        name: Name of the consumer's function, or ARN of the mapping's function or of the pipe.
        condition: Why the records were given up, e.g. `RetryAttemptsExhausted`.
        reason: The consumer's own words, where it wrote the document.
        event: The records as a function gets them; `None` where the document has only their range.
        batch: The records' range; `None` where a consumer wrote the document.
    """

    writer: Literal["consumer", "mapping", "pipe"]
    name: str
    condition: str
    reason: str | None
    event: dict[str, Any] | None
    batch: BatchRange | None


class NotAFailureDocument(ValueError):
    """The value is not a document about records that were given up, or its payload is not an event."""


def of_consumer(
    record: Mapping[str, Any], *, function: str, condition: str, reason: str, now: float, identity: Mapping[str, Any]
) -> Document:
    """Write the document of one record that its consumer parks.

    Args:
        record: The record as it was delivered.
        function: Name of the function.
        condition: What became of the record, where Lambda says `RetryAttemptsExhausted`.
        reason: Why, for the person who finds it.
        now: Seconds since 1970.
        identity: Who the change is (`handlers.cdc.invocation.identity`).
    """
    return {
        "requestContext": {"functionName": function, "condition": condition},
        "version": "1.0",
        "timestamp": instant(now, milliseconds=True),
        "reason": reason,
        **identity,
        "payload": json.dumps({"Records": [record]}, separators=(",", ":")),
    }


def of_mapping(
    batch: BatchRange,
    *,
    function_arn: str,
    request_id: str,
    condition: str,
    invoke_count: int,
    response: Mapping[str, Any] | None,
    payload: str | None,
    now: float,
) -> Document:
    """Write the document of a batch that an event source mapping gives up, members in AWS's order.

    Args:
        batch: The batch's range.
        function_arn: ARN of the function, with its version or alias where the mapping has one.
        request_id: Request id of the last invocation.
        condition: Why the batch is given up.
        invoke_count: Invocations of this batch.
        response: `responseContext`; `None` where AWS leaves it out.
        payload: The event as JSON text, for S3; `None` for queues and topics.
        now: Seconds since 1970.
    """
    document: Document = {
        "requestContext": {
            "requestId": request_id,
            "functionArn": function_arn,
            "condition": condition,
            "approximateInvokeCount": invoke_count,
        }
    }
    if response is not None:
        document["responseContext"] = dict(response)
    document["version"] = "1.0"
    if payload is not None:
        document["payload"] = payload
    return document | {"timestamp": instant(now, milliseconds=True)} | _batch_info(batch)


def of_pipe(batch: BatchRange, *, pipe_arn: str, condition: str, now: float) -> Document:
    """Write the document of a batch that a pipe gives up: another envelope, and never the records."""
    return {
        "context": {"partnerResourceArn": pipe_arn, "condition": condition},
        "version": "1.0",
        "timestamp": instant(now, milliseconds=True),
        **_batch_info(batch),
    }


def is_failure_document(value: Any) -> bool:
    """Return whether a value has the outline of one of the three shapes, or of Lambda's envelope around one."""
    if not isinstance(value, Mapping):
        return False
    return "partnerResourceArn" in (value.get("context") or ()) or (
        isinstance(value.get("requestContext"), Mapping)
        and any(name in value for name in ("payload", "requestPayload", *_BATCH_INFOS))
    )


def read(document: Mapping[str, Any]) -> Failure:
    """Read a document of any of the three shapes, also out of Lambda's envelope.

    Raises:
        NotAFailureDocument: It has none of the shapes. The message names members, never content.
    """
    if not is_failure_document(document):
        raise NotAFailureDocument(f"a failure document has a requestContext or a context, not {sorted(document)}")
    if isinstance(inner := document.get("requestPayload"), Mapping):
        return read(inner) if is_failure_document(inner) else _read_mapping(document, dict(inner))
    batch = _batch_range(document)
    if "context" in document:
        context = document["context"]
        return Failure("pipe", context["partnerResourceArn"], str(context.get("condition")), None, None, batch)
    event = _event(document["payload"]) if "payload" in document else None
    context = document["requestContext"]
    if "functionName" in context:
        reason = document.get("reason")
        return Failure("consumer", context["functionName"], str(context.get("condition")), reason, event, batch)
    return _read_mapping(document, event)


def _read_mapping(document: Mapping[str, Any], event: dict[str, Any] | None) -> Failure:
    context = document["requestContext"]
    name, condition = str(context.get("functionArn", "")), str(context.get("condition"))
    return Failure("mapping", name, condition, None, event, _batch_range(document))


def instant(seconds: float, *, milliseconds: bool = False) -> str:
    """Write a time as AWS does in these documents."""
    at = datetime.fromtimestamp(seconds, UTC)
    return at.isoformat(timespec="milliseconds" if milliseconds else "seconds").replace("+00:00", "Z")


_BATCH_INFOS = ("DDBStreamBatchInfo", "KinesisBatchInfo")


def _batch_info(batch: BatchRange) -> Document:
    kinesis = ":kinesis:" in batch.stream_arn
    info: Document = {"shardId": batch.shard_id}
    if batch.size:
        info |= {
            "startSequenceNumber": batch.first,
            "endSequenceNumber": batch.last,
            "approximateArrivalOfFirstRecord": instant(batch.first_arrived, milliseconds=kinesis),
            "approximateArrivalOfLastRecord": instant(batch.last_arrived, milliseconds=kinesis),
            "batchSize": batch.size,
        }
    return {_BATCH_INFOS[kinesis]: info | {"streamArn": batch.stream_arn}}


def _batch_range(document: Mapping[str, Any]) -> BatchRange | None:
    found: Sequence[Mapping[str, Any]] = [document[name] for name in _BATCH_INFOS if name in document]
    if not found:
        return None
    (info,) = found
    whole = BatchRange(info.get("streamArn", ""), info.get("shardId", ""))
    if not info.get("batchSize"):
        return whole
    try:
        return replace(
            whole,
            size=info["batchSize"],
            first=info["startSequenceNumber"],
            last=info["endSequenceNumber"],
            first_arrived=datetime.fromisoformat(info["approximateArrivalOfFirstRecord"]).timestamp(),
            last_arrived=datetime.fromisoformat(info["approximateArrivalOfLastRecord"]).timestamp(),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise NotAFailureDocument(f"the document's range of records cannot be read: {error!r}") from None


def _event(payload: Any) -> dict[str, Any]:
    try:
        event = json.loads(payload)
    except (TypeError, ValueError):
        raise NotAFailureDocument("the document's payload is not JSON") from None
    if not isinstance(event, dict):
        raise NotAFailureDocument(f"the document's payload is a {type(event).__name__}, not an event")
    return event
