"""Kinesis streams: capacity mode, retention and record size, which ministack knows only in part.

https://docs.aws.amazon.com/streams/latest/dev/service-sizes-and-limits.html
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, MutableMapping
from typing import Any

from aws_semantics.limits import DELEGATED_OPERATION, KINESIS_RECORD_KIB, KINESIS_RETENTION_HOURS
from local.endpoint.api.aws_call import AwsCall
from local.endpoint.api.errors import AwsError, NotSimulated
from local.endpoint.api.http_messages import Reply
from local.endpoint.routes import PassOn, Routes
from local.engine.alarms.metrics import Metrics
from local.engine.clock import Clock

#: A stream as ministack keeps it, found by its name or ARN; `None` if it does not exist.
Find = Callable[[str], MutableMapping[str, Any] | None]

#: Shards that an on-demand stream begins with. They do not split here.
ON_DEMAND_SHARDS = 4

#: The member that holds a stream's record size, in KiB.
_SIZE = "MaxRecordSizeInKiB"


def record_bytes(stream: MutableMapping[str, Any] | None) -> int:
    """Return the size of the largest record that a stream takes, in bytes: 1 MiB unless it was set (KDS-13)."""
    kib: int = (stream or {}).get(_SIZE, KINESIS_RECORD_KIB.minimum)
    return kib * 1024


class KinesisStreams:
    """The operations that create and change streams.

    Args:
        find: Finds a stream.
        metrics: Where changes are counted that a stream does not take.
        clock: The endpoint's clock.
    """

    def __init__(self, find: Find, *, metrics: Metrics, clock: Clock) -> None:
        self._find = find
        self._metrics = metrics
        self._clock = clock

    @property
    def routes(self) -> Routes:
        """The tables of Kinesis."""
        return Routes(
            answered={"kinesis:UpdateMaxRecordSize": self._update_size},
            checked={
                "kinesis:CreateStream": [_check_creation],
                "kinesis:IncreaseStreamRetentionPeriod": [_check_retention],
                "kinesis:DecreaseStreamRetentionPeriod": [_check_retention],
                "kinesis:PutRecord": [lambda call: self._check_size(call, [call.parameters])],
                "kinesis:PutRecords": [lambda call: self._check_size(call, call.parameters.get("Records", []))],
            },
            amended={"kinesis:CreateStream": self._create, "kinesis:DescribeStreamSummary": self._summarise},
        )

    def fits(self, table: str, stream_arn: str, data: bytes) -> bool:
        """Return whether a stream takes a table's change. One that is too large is skipped and counted (KDS-5).

        Args:
            table: The table's name.
            stream_arn: The stream's ARN.
            data: The record's data.
        """
        taken = len(data) <= record_bytes(self._find(stream_arn))
        if not taken:
            self._metrics.record(
                "FailedToReplicateRecordCount",
                1,
                at=self._clock.now(),
                namespace="AWS/DynamoDB",
                TableName=table,
                DelegatedOperation=DELEGATED_OPERATION,
            )
        return taken

    async def _create(self, call: AwsCall, pass_on: PassOn) -> Reply:
        given = {name: value for name, value in call.parameters.items() if name != _SIZE}
        if _on_demand(call):
            given["ShardCount"] = ON_DEMAND_SHARDS
        body = json.dumps(given).encode()
        reply = await pass_on(AwsCall(call.service, call.operation, call.protocol, given, call.request.with_body(body)))
        stream = self._find(call.parameters["StreamName"])
        if reply.status == 200 and stream is not None and _SIZE in call.parameters:
            stream[_SIZE] = call.parameters[_SIZE]
        return reply

    async def _summarise(self, call: AwsCall, pass_on: PassOn) -> Reply:
        reply = await pass_on(call)
        stream = self._find(_named(call))
        if reply.status != 200 or stream is None:
            return reply
        answer = json.loads(reply.body)
        answer["StreamDescriptionSummary"][_SIZE] = record_bytes(stream) // 1024
        return reply.with_body(json.dumps(answer).encode())

    def _update_size(self, parameters: Any) -> tuple[int, Any]:
        stream = self._find(parameters.get("StreamARN", ""))
        if stream is None:
            raise AwsError("ResourceNotFoundException", f"Stream {parameters.get('StreamARN')} not found")
        _check_record_size(parameters.get(_SIZE))
        stream[_SIZE] = parameters[_SIZE]
        return 200, {}

    def _check_size(self, call: AwsCall, records: Iterable[Any]) -> None:
        """Refuse records that ministack refuses although the stream takes them."""
        largest = max((len(base64.b64decode(each.get("Data", ""))) for each in records), default=0)
        if 1024 * KINESIS_RECORD_KIB.minimum < largest <= record_bytes(self._find(_named(call))):
            raise NotSimulated(
                f"the local endpoint takes no record of {largest} bytes from {call}, only a table's change of that "
                "size: put at most 1 MiB here, or run this against an AWS account"
            )


def _check_creation(call: AwsCall) -> None:
    if _on_demand(call) and "ShardCount" in call.parameters:
        raise AwsError("ValidationException", "ShardCount cannot be specified for a stream in ON_DEMAND mode.")
    if not _on_demand(call) and "ShardCount" not in call.parameters:
        raise AwsError("ValidationException", "ShardCount is required for a stream in PROVISIONED mode.")
    if _SIZE in call.parameters:
        _check_record_size(call.parameters[_SIZE])


def _check_retention(call: AwsCall) -> None:
    hours = call.parameters.get("RetentionPeriodHours")
    if hours not in KINESIS_RETENTION_HOURS:
        raise AwsError(
            "InvalidArgumentException",
            f"RetentionPeriodHours={hours} is out of range: {KINESIS_RETENTION_HOURS} hours are possible.",
        )


def _check_record_size(kib: Any) -> None:
    if kib not in KINESIS_RECORD_KIB:
        raise AwsError("ValidationException", f"{_SIZE}={kib} is out of range: {KINESIS_RECORD_KIB} are possible.")


def _on_demand(call: AwsCall) -> bool:
    mode: str = call.parameters.get("StreamModeDetails", {}).get("StreamMode", "PROVISIONED")
    return mode == "ON_DEMAND"


def _named(call: AwsCall) -> str:
    return call.parameters.get("StreamName") or call.parameters.get("StreamARN", "")
