"""A stream record on its way to a function: from GetRecords' shape to Lambda's (docs/aws-semantics.md §1.3)."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

#: What JSON needs at most for a byte of DynamoDB's size. The worst is the number 1E125 in a set, two bytes of size and
#: 126 digits; an empty string attribute with a name of one letter needs 13.
_JSON_BYTES_PER_SIZE_BYTE = 72
#: What a record's envelope (identifiers, names, the stream's ARN) adds at most.
_ENVELOPE_BYTES = 4096


class StreamRecord:
    """One record.

    Args:
        event: The record as Lambda puts it under `Records`.
        arrived: When it was written (its ApproximateCreationDateTime), in seconds since 1970.
        visible: When the poller first saw it, in seconds since 1970.
        identifier: What an answer names it by; its sequence number by default. A pipe's is the event ID.
        sequence: Its sequence number, as it came; by default the one of a DynamoDB stream record.
    """

    __slots__ = ("_payload_bytes", "arrived", "event", "identifier", "sequence", "visible")

    def __init__(
        self,
        event: Mapping[str, Any],
        *,
        arrived: float,
        visible: float,
        identifier: str | None = None,
        sequence: str | None = None,
    ) -> None:
        self.event = event
        self.arrived = arrived
        self.visible = visible
        self.sequence: str = event["dynamodb"]["SequenceNumber"] if sequence is None else sequence
        self.identifier = self.sequence if identifier is None else identifier
        self._payload_bytes = 0

    def __repr__(self) -> str:
        return f"<StreamRecord {self.identifier}>"

    @property
    def sequence_number(self) -> int:
        """For comparisons: lengths vary inside one shard."""
        return int(self.sequence)

    @property
    def item_key(self) -> str:
        """Which item it is about, or a Kinesis record's partition key: records with the same one keep their order."""
        if "kinesis" in self.event:
            return self.event["kinesis"]["partitionKey"]
        keys = self.event["dynamodb"]["Keys"] if "dynamodb" in self.event else self.event["partitionKey"]
        return keys if isinstance(keys, str) else json.dumps(keys, sort_keys=True)

    @property
    def payload_bytes(self) -> int:
        """What the record adds to an invocation's payload."""
        if not self._payload_bytes:
            self._payload_bytes = json_bytes(self.event) + 1
        return self._payload_bytes

    @property
    def payload_bytes_at_most(self) -> int:
        """A bound of `payload_bytes` that costs nothing, so that small records need not be written as JSON."""
        size = self.event["dynamodb"].get("SizeBytes") if "dynamodb" in self.event else None
        return self.payload_bytes if size is None else size * _JSON_BYTES_PER_SIZE_BYTE + _ENVELOPE_BYTES


def json_bytes(value: Any) -> int:
    """How long a value is as the JSON that Lambda sends: without spaces, in UTF-8.

    >>> json_bytes({"name": "Zoë"})
    15
    """
    return len(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode(errors="surrogatepass"))


def from_get_records(record: Mapping[str, Any], *, stream_arn: str, visible: float) -> StreamRecord:
    """The record that boto3's GetRecords gave."""
    dynamodb: dict[str, Any] = {}
    for name, value in record["dynamodb"].items():
        match name:
            case "Keys" | "NewImage" | "OldImage":
                dynamodb[name] = {attribute: _json(wire) for attribute, wire in value.items()}
            case "ApproximateCreationDateTime":
                dynamodb[name] = _seconds(value)
            case _:
                dynamodb[name] = value
    dynamodb["SizeBytes"] = sum(item_size(dynamodb.get(name, {})) for name in ("Keys", "NewImage", "OldImage"))
    event: dict[str, Any] = {
        "eventID": record["eventID"],
        "eventName": record["eventName"],
        "eventVersion": record["eventVersion"],
        "eventSource": record["eventSource"],
        "awsRegion": record["awsRegion"],
        "dynamodb": dynamodb,
        "eventSourceARN": stream_arn,
    }
    if record.get("userIdentity"):
        identity = record["userIdentity"]
        event["userIdentity"] = {"type": identity["Type"], "principalId": identity["PrincipalId"]}
    return StreamRecord(event, arrived=dynamodb["ApproximateCreationDateTime"], visible=visible)


def from_kinesis(
    *,
    partition_key: str,
    sequence_number: str,
    data: str,
    arrived: float,
    shard_id: str,
    stream_arn: str,
    role_arn: str,
) -> dict[str, Any]:
    """The event that Lambda makes of a Kinesis record (https://docs.aws.amazon.com/lambda/latest/dg/with-kinesis.html).

    Args:
        partition_key: Of the record.
        sequence_number: Likewise.
        data: In base64.
        arrived: When, in seconds since 1970.
        shard_id: Where it was read.
        stream_arn: Likewise.
        role_arn: Of the role that reads.
    """
    return {
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": partition_key,
            "sequenceNumber": sequence_number,
            "data": data,
            "approximateArrivalTimestamp": arrived,
        },
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": f"{shard_id}:{sequence_number}",
        "eventName": "aws:kinesis:record",
        "invokeIdentityArn": role_arn,
        "awsRegion": stream_arn.split(":")[3],
        "eventSourceARN": stream_arn,
    }


def item_size(item: Mapping[str, Mapping[str, Any]]) -> int:
    """DynamoDB's size of an item or a key, in bytes: names and values (docs/aws-semantics.md §1.3)."""
    return sum(len(name.encode()) + _value_size(value) for name, value in item.items())


def _value_size(value: Mapping[str, Any]) -> int:
    ((descriptor, content),) = value.items()
    match descriptor:
        case "S":
            return len(content.encode())
        case "N":
            return _number_size(content)
        case "B":
            return len(base64.b64decode(content))
        case "SS":
            return sum(len(member.encode()) for member in content)
        case "NS":
            return sum(map(_number_size, content))
        case "BS":
            return sum(len(base64.b64decode(member)) for member in content)
        case "M":
            return 3 + sum(len(name.encode()) + _value_size(member) + 1 for name, member in content.items())
        case "L":
            return 3 + sum(_value_size(member) + 1 for member in content)
        case _:  # BOOL, NULL
            return 1


def _number_size(text: str) -> int:
    digits = Decimal(text).normalize().as_tuple().digits
    return (len(digits) + 1) // 2 + 1


def _seconds(value: datetime | float) -> float:
    return float(int(value.timestamp() if isinstance(value, datetime) else value))


def _json(wire: Any) -> Any:
    """Wire format as JSON carries it: binaries as base64 text."""
    if isinstance(wire, bytes):
        return base64.b64encode(wire).decode()
    if isinstance(wire, Mapping):
        return {name: _json(value) for name, value in wire.items()}
    if isinstance(wire, list | tuple | set):
        return [_json(member) for member in wire]
    return wire
