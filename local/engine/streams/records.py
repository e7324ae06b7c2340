"""`StreamRecord`: a record of a stream, from GetRecords' shape to Lambda's (docs/aws-semantics.md §1.3)."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from local.engine.records import Record

#: JSON bytes for each byte of DynamoDB's size, at most. The worst is the number 1E125 in a set, two bytes of size and
#: 126 digits; an empty string attribute with a name of one letter needs 13.
_JSON_BYTES_PER_SIZE_BYTE = 72
#: Bytes that a record's envelope (identifiers, names, the stream's ARN) adds at most.
_ENVELOPE_BYTES = 4096


class StreamRecord(Record):
    """Record of a shard, with its place in it.

    Args:
        event: The record as Lambda puts it under `Records`.
        arrived: Its ApproximateCreationDateTime, in seconds since 1970.
        visible: When the poller first saw it, in seconds since 1970.
        identifier: The name of it in a function's answer; its sequence number by default. A pipe's is the event ID.
        sequence: Its sequence number, as it came; by default that of a DynamoDB stream record.
    """

    __slots__ = ("sequence",)

    def __init__(
        self,
        event: Mapping[str, Any],
        *,
        arrived: float,
        visible: float,
        identifier: str | None = None,
        sequence: str | None = None,
    ) -> None:
        self.sequence: str = event["dynamodb"]["SequenceNumber"] if sequence is None else sequence
        super().__init__(
            event, arrived=arrived, visible=visible, identifier=self.sequence if identifier is None else identifier
        )

    @property
    def sequence_number(self) -> int:
        """The sequence number as an integer, to compare by: lengths vary inside one shard."""
        return int(self.sequence)

    @property
    def item_key(self) -> str:
        """The key of its item, or a Kinesis record's partition key: records with the same one keep their order."""
        if "kinesis" in self.event:
            return self.event["kinesis"]["partitionKey"]
        keys = self.event["dynamodb"]["Keys"] if "dynamodb" in self.event else self.event["partitionKey"]
        return keys if isinstance(keys, str) else json.dumps(keys, sort_keys=True)

    @property
    def payload_bytes_at_most(self) -> int:
        """A bound of `payload_bytes` that costs nothing, so that small records need not be written as JSON."""
        size = self.event["dynamodb"].get("SizeBytes") if "dynamodb" in self.event else None
        return self.payload_bytes if size is None else size * _JSON_BYTES_PER_SIZE_BYTE + _ENVELOPE_BYTES


_IMAGES = ("Keys", "NewImage", "OldImage")


def from_get_records(record: Mapping[str, Any], *, stream_arn: str, visible: float) -> StreamRecord:
    """Make a record from one that boto3's GetRecords returned."""
    images = {name: _json(record["dynamodb"][name]) for name in _IMAGES if name in record["dynamodb"]}
    plain = {**record, "dynamodb": {**record["dynamodb"], **images}}
    return from_streams_api(plain, stream_arn=stream_arn, visible=visible)


def from_streams_api(record: Mapping[str, Any], *, stream_arn: str, visible: float) -> StreamRecord:
    """Make a record from one in the JSON of the Streams API's GetRecords."""
    dynamodb: dict[str, Any] = {**record["dynamodb"]}
    dynamodb["ApproximateCreationDateTime"] = _seconds(dynamodb["ApproximateCreationDateTime"])
    dynamodb["SizeBytes"] = sum(item_size(dynamodb.get(name, {})) for name in _IMAGES)
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
    """Make the event that Lambda makes of a Kinesis record.

    https://docs.aws.amazon.com/lambda/latest/dg/with-kinesis.html

    Args:
        partition_key: The record's partition key.
        sequence_number: The record's sequence number.
        data: The record's data, in base64.
        arrived: When the record arrived, in seconds since 1970.
        shard_id: The shard that it was read from.
        stream_arn: The stream's ARN.
        role_arn: The role that reads.
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
    """Return DynamoDB's size of an item or a key, in bytes: names and values (docs/aws-semantics.md §1.3)."""
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
    """Convert boto3's wire format to JSON's: binaries become base64 text."""
    if isinstance(wire, bytes):
        return base64.b64encode(wire).decode()
    if isinstance(wire, Mapping):
        return {name: _json(value) for name, value in wire.items()}
    if isinstance(wire, list | tuple | set):
        return [_json(member) for member in wire]
    return wire
