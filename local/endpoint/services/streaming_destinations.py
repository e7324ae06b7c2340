"""Kinesis Data Streams for DynamoDB: a table's changes as records of a Kinesis stream (docs/aws-semantics.md §4)."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import uuid
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from local.endpoint.api.aws_call import AwsCall
from local.endpoint.api.errors import AwsError
from local.endpoint.routes import Routes
from local.engine.streams.records import item_size

_IMAGES = ("Keys", "NewImage", "OldImage")


def streamed_change(
    record: Mapping[str, Any], *, table: str, now: float, precision: str = "MILLISECOND", transactional: bool = False
) -> tuple[str, bytes] | None:
    """Make the Kinesis record of a change: its partition key and its data; `None` if Kinesis gets none.

    Kinesis gets no record of a write that changes nothing, unless it is part of a transaction (KDS-9). The partition
    key is the same for all changes of an item; how AWS chooses its 32 upper-case hexadecimal digits is not known.

    Args:
        record: The change in the shape of DynamoDB's stream, with both images.
        table: The table's name.
        now: Time of the change, in seconds since 1970.
        precision: Precision of the time in the record: `MILLISECOND` or `MICROSECOND` (KDS-4).
        transactional: Whether a transaction made the change.
    """
    images = {name: record["dynamodb"][name] for name in _IMAGES if name in record["dynamodb"]}
    if not transactional and "OldImage" in images and images["OldImage"] == images.get("NewImage"):
        return None
    microseconds = precision == "MICROSECOND"
    identity = record.get("userIdentity")
    change = {
        "awsRegion": record["awsRegion"],
        "eventID": str(uuid.UUID(record["eventID"])),
        "eventName": record["eventName"],
        "userIdentity": identity and {"type": identity["Type"], "principalId": identity["PrincipalId"]},
        "recordFormat": "application/json",
        "tableName": table,
        "dynamodb": {
            "ApproximateCreationDateTime": int(now * (1_000_000 if microseconds else 1_000)),
            **{name: _binaries_twice(image) for name, image in images.items()},
            "SizeBytes": sum(map(item_size, images.values())),
            **({"ApproximateCreationDateTimePrecision": "MICROSECOND"} if microseconds else {}),
        },
        "eventSource": record["eventSource"],
    }
    data = json.dumps(change, separators=(",", ":")).encode()
    key = json.dumps(images["Keys"], sort_keys=True).encode()
    return hashlib.md5(key, usedforsecurity=False).hexdigest().upper(), data


class Reenabled:
    """Destinations that were enabled again and have got no change since: AWS sent them the first one twice (KDS-10)."""

    def __init__(self) -> None:
        self._waiting: set[tuple[str, str]] = set()
        self._was_disabled: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    def disabled(self, table: str, stream_arn: str) -> None:
        """Note that a table's destination was disabled."""
        with self._lock:
            self._was_disabled.add((table, stream_arn))
            self._waiting.discard((table, stream_arn))

    def enabled(self, table: str, stream_arn: str) -> None:
        """Note that a table's destination was enabled."""
        with self._lock:
            if (table, stream_arn) in self._was_disabled:
                self._waiting.add((table, stream_arn))

    def changes(
        self, record: Mapping[str, Any], *, table: str, stream_arn: str, now: float, precision: str, transactional: bool
    ) -> list[tuple[str, bytes]]:
        """Make the Kinesis records of a change; see `streamed_change`."""

        def make(change: Mapping[str, Any]) -> tuple[str, bytes] | None:
            return streamed_change(change, table=table, now=now, precision=precision, transactional=transactional)

        made = make(record)
        if made is None:
            return []
        with self._lock:
            twice = (table, stream_arn) in self._waiting
            self._waiting.discard((table, stream_arn))
        again = make({**record, "eventID": uuid.uuid4().hex}) if twice else None
        return [made] if again is None else [made, again]


def streaming_destination_routes(*, tables: Any, kinesis: Any, reenabled: Reenabled) -> Routes:
    """Make the tables of the operations that change a table's destination.

    Args:
        tables: A boto3 client of DynamoDB.
        kinesis: A boto3 client of Kinesis.
        reenabled: Is called with each destination that is enabled or disabled.
    """

    def check(call: AwsCall) -> None:
        check_destination(call, tables=tables, kinesis=kinesis)

    def named(call: AwsCall) -> tuple[str, str]:
        return call.parameters["TableName"].rpartition("/")[2], call.parameters["StreamArn"]

    changing = ("Disable", "Enable", "Update")
    return Routes(
        checked={f"dynamodb:{change}KinesisStreamingDestination": [check] for change in changing},
        tells={
            "dynamodb:DisableKinesisStreamingDestination": [lambda call: reenabled.disabled(*named(call))],
            "dynamodb:EnableKinesisStreamingDestination": [lambda call: reenabled.enabled(*named(call))],
        },
    )


def check_destination(call: AwsCall, *, tables: Any, kinesis: Any) -> None:
    """Refuse an impossible change of a table's destination; ministack accepts a missing or a second stream (KDS-1).

    A stream that does not exist is refused at once; AWS accepts it and reports later that enabling failed.

    Args:
        call: An Enable-, Disable- or UpdateKinesisStreamingDestination.
        tables: A boto3 client of DynamoDB.
        kinesis: A boto3 client of Kinesis.
    """
    arn, name = call.parameters.get("StreamArn", ""), call.parameters.get("TableName", "")
    try:
        table = tables.describe_table(TableName=name)["Table"]
        found = tables.describe_kinesis_streaming_destination(TableName=name)["KinesisDataStreamDestinations"]
        if call.operation == "EnableKinesisStreamingDestination":
            kinesis.describe_stream_summary(StreamARN=arn)
    except ClientError as missing:
        raise AwsError("ResourceNotFoundException", missing.response.get("Error", {}).get("Message", "")) from missing
    precisions = {
        each["StreamArn"]: each["ApproximateCreationDateTimePrecision"]
        for each in found
        if each["DestinationStatus"] == "ACTIVE"
    }
    match call.operation:
        case "EnableKinesisStreamingDestination":
            if arn.split(":")[3:5] != table["TableArn"].split(":")[3:5]:
                raise AwsError("ResourceNotFoundException", f"{arn} is not of the account and region of {name}")
            if precisions:
                raise _invalid(
                    "EnableKinesisStreamingDestination must be DISABLED or ENABLE_FAILED to perform ENABLE operation."
                )
        case "DisableKinesisStreamingDestination":
            if arn not in precisions:
                raise _invalid("KinesisStreamingDestination must be ACTIVE to perform DISABLE operation.")
        case _:
            if arn not in precisions:
                raise _invalid(
                    "Kinesis streaming is not in ACTIVE state. Updates are only allowed in ACTIVE state. TableName: "
                    f"{table['TableName']}"
                )
            asked = call.parameters.get("UpdateKinesisStreamingConfiguration") or {}
            if asked.get("ApproximateCreationDateTimePrecision") == precisions[arn]:
                raise AwsError(
                    "ValidationException",
                    f"Invalid Request: Precision is already set to the desired value of {precisions[arn]} for tableId: "
                    f"{table['TableId']}, kdsArn: {arn}",
                )


def _invalid(why: str) -> AwsError:
    return AwsError(
        "ValidationException", f"Table is not in a valid state to enable Kinesis Streaming Destination: {why}"
    )


def _binaries_twice(value: Any) -> Any:
    """Return an image whose binaries, already base64 text, are encoded once more (KDS-6)."""
    match value:
        case {"B": str(binary)} if len(value) == 1:
            return {"B": _base64(binary)}
        case {"BS": list(binaries)} if len(value) == 1:
            return {"BS": [_base64(binary) for binary in binaries]}
        case dict():
            return {name: _binaries_twice(member) for name, member in value.items()}
        case list():
            return [_binaries_twice(member) for member in value]
        case _:
            return value


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
