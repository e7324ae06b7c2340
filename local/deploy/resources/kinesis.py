"""Kinesis streams, and the tables that write their changes into them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from local.deploy.resources.aws import WAIT, Aws
from local.deploy.resources.members import Block, Document, as_tags
from local.deploy.resources.resource_type import Change, Found, Gone, Name, ResourceType, words

#: Hours that a new stream keeps a record.
_RETENTION_HOURS = 24
#: Seconds that a destination may take to begin or to end.
_SETTLED_WITHIN_SECONDS = 60.0
#: Members of CreateStream; the others have requests of their own.
_CREATION = ("StreamName", "ShardCount", "StreamModeDetails", "MaxRecordSizeInKiB")


def _create(aws: Aws, request: Document) -> str:
    aws.client("kinesis").create_stream(**{name: request[name] for name in _CREATION if name in request})
    return aws.arn("kinesis", f"stream/{request['StreamName']}")


def _settle(aws: Aws, id_: str, request: Document) -> None:
    kinesis, name = aws.client("kinesis"), _name(id_)
    kinesis.get_waiter("stream_exists").wait(StreamName=name, WaiterConfig=WAIT)
    summary = _summary(aws, id_)
    hours, kept = request.get("RetentionPeriodHours", _RETENTION_HOURS), summary["RetentionPeriodHours"]
    # Kinesis rejects a request that changes nothing.
    if hours > kept:
        kinesis.increase_stream_retention_period(StreamName=name, RetentionPeriodHours=hours)
    elif hours < kept:
        kinesis.decrease_stream_retention_period(StreamName=name, RetentionPeriodHours=hours)
    if request.get("EncryptionType") == "KMS" and summary.get("EncryptionType") != "KMS":
        kinesis.start_stream_encryption(StreamName=name, EncryptionType="KMS", KeyId=request["KeyId"])
    if tags := {each["Key"]: each["Value"] for each in request.get("Tags", [])}:
        kinesis.add_tags_to_stream(StreamName=name, Tags=tags)


def _read(aws: Aws, id_: str, request: Document) -> Found:
    summary = _summary(aws, id_)
    document: Document = {**summary, "ShardCount": summary["OpenShardCount"]}
    if "Tags" in request:
        document["Tags"] = aws.client("kinesis").list_tags_for_stream(StreamName=_name(id_))["Tags"]
    return Found(document, {"arn": id_, "name": _name(id_)})


def _update(aws: Aws, id_: str, change: Change) -> None:
    kinesis, name = aws.client("kinesis"), _name(id_)
    if "MaxRecordSizeInKiB" in change.names and "MaxRecordSizeInKiB" in change.new:
        kinesis.update_max_record_size(StreamARN=id_, MaxRecordSizeInKiB=change.new["MaxRecordSizeInKiB"])
    kept = {each["Key"] for each in change.new.get("Tags", [])}
    if removed := [each["Key"] for each in change.old.get("Tags", []) if each["Key"] not in kept]:
        kinesis.remove_tags_from_stream(StreamName=name, TagKeys=removed)


def _delete(aws: Aws, id_: str, _request: Document) -> None:
    kinesis, name = aws.client("kinesis"), _name(id_)
    kinesis.delete_stream(StreamName=name)
    kinesis.get_waiter("stream_not_exists").wait(StreamName=name, WaiterConfig=WAIT)


def _summary(aws: Aws, id_: str) -> Mapping[str, Any]:
    return aws.client("kinesis").describe_stream_summary(StreamARN=id_)["StreamDescriptionSummary"]


def _name(arn: str) -> str:
    return arn.rpartition("/")[2]


def _enable(aws: Aws, request: Document) -> str:
    aws.client("dynamodb").enable_kinesis_streaming_destination(**request)
    return f"{request['TableName']},{request['StreamArn']}"


def _wait_until_active(aws: Aws, id_: str, _request: Document) -> None:
    _wait(aws, id_, "ACTIVE")


def _read_destination(aws: Aws, id_: str, _request: Document) -> Found:
    table, _, stream = id_.partition(",")
    found = _destination(aws, id_)
    if found is None or found["DestinationStatus"] not in ("ACTIVE", "ENABLING", "UPDATING"):
        raise Gone(id_)
    precision = found.get("ApproximateCreationDateTimePrecision", "MILLISECOND")
    return Found(
        {
            "TableName": table,
            "StreamArn": stream,
            "EnableKinesisStreamingConfiguration": {"ApproximateCreationDateTimePrecision": precision},
        },
        {},
    )


def _disable(aws: Aws, id_: str, _request: Document) -> None:
    table, _, stream = id_.partition(",")
    aws.client("dynamodb").disable_kinesis_streaming_destination(TableName=table, StreamArn=stream)
    _wait(aws, id_, "DISABLED")


def _destination(aws: Aws, id_: str) -> Mapping[str, Any] | None:
    table, _, stream = id_.partition(",")
    described = aws.client("dynamodb").describe_kinesis_streaming_destination(TableName=table)
    found = [each for each in described["KinesisDataStreamDestinations"] if each["StreamArn"] == stream]
    return found[0] if found else None


def _wait(aws: Aws, id_: str, status: str) -> None:
    deadline = time.monotonic() + _SETTLED_WITHIN_SECONDS
    while (found := _destination(aws, id_)) is not None and found["DestinationStatus"] != status:
        if found["DestinationStatus"] == "ENABLE_FAILED" or time.monotonic() > deadline:
            raise TimeoutError(f"the table's destination is {found['DestinationStatus']}, not {status}")
        time.sleep(0.05)


TYPES: Mapping[str, ResourceType] = {
    "aws:dynamodb/kinesisStreamingDestination:KinesisStreamingDestination": ResourceType(
        members={
            "tableName": "TableName",
            "streamArn": "StreamArn",
            "approximateCreationDateTimePrecision": (
                "EnableKinesisStreamingConfiguration.ApproximateCreationDateTimePrecision"
            ),
        },
        begin=_enable,
        settle=_wait_until_active,
        read=_read_destination,
        delete=_disable,
        replaces=words("tableName streamArn approximateCreationDateTimePrecision"),
    ),
    "aws:kinesis/stream:Stream": ResourceType(
        members={
            "name": "StreamName",
            "shardCount": "ShardCount",
            "retentionPeriod": "RetentionPeriodHours",
            "maxRecordSizeInKib": "MaxRecordSizeInKiB",
            "streamModeDetails": Block("StreamModeDetails", {"streamMode": "StreamMode"}),
            "encryptionType": "EncryptionType",
            "kmsKeyId": "KeyId",
            "tags": as_tags(),
        },
        begin=_create,
        settle=_settle,
        read=_read,
        update=_update,
        updates=words("MaxRecordSizeInKiB RetentionPeriodHours Tags"),
        delete=_delete,
        name=Name(longest=128, allowed=r"[A-Za-z0-9_.-]"),
        replaces=words("name"),
        outputs=words("arn"),
    ),
}
"""Types of the package `kinesis`, and the table's end of them."""
