"""DynamoDB tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from local.deploy.resources.aws import WAIT, Aws
from local.deploy.resources.members import Block, Blocks, Document, as_tags
from local.deploy.resources.resource_type import Change, Found, Name, ResourceType, words

#: Members that have requests of their own, and those that DynamoDB writes differently.
_APART = ("HashKey", "RangeKey", "PointInTimeRecoverySpecification", "TimeToLiveSpecification")


def _create(aws: Aws, request: Document) -> str:
    keys = [("HASH", request.get("HashKey")), ("RANGE", request.get("RangeKey"))]
    aws.client("dynamodb").create_table(
        KeySchema=[{"AttributeName": attribute, "KeyType": kind} for kind, attribute in keys if attribute],
        **{name: value for name, value in request.items() if name not in _APART},
    )
    return request["TableName"]


def _settle(aws: Aws, id_: str, request: Document) -> None:
    dynamodb = aws.client("dynamodb")
    _wait(aws, id_)
    wanted = request.get("TimeToLiveSpecification")
    # DynamoDB rejects a request that changes nothing.
    if wanted and _expiry(aws, id_) != _expiry_of(wanted):
        dynamodb.update_time_to_live(TableName=id_, TimeToLiveSpecification=wanted)
    if backups := request.get("PointInTimeRecoverySpecification"):
        dynamodb.update_continuous_backups(TableName=id_, PointInTimeRecoverySpecification=backups)


def _read(aws: Aws, id_: str, request: Document) -> Found:
    dynamodb = aws.client("dynamodb")
    table = dynamodb.describe_table(TableName=id_)["Table"]
    document: Document = {
        "TableName": id_,
        "BillingMode": table.get("BillingModeSummary", {}).get("BillingMode", "PROVISIONED"),
        "DeletionProtectionEnabled": table.get("DeletionProtectionEnabled", False),
        "StreamSpecification": table.get("StreamSpecification") or {"StreamEnabled": False},
    }
    if "TimeToLiveSpecification" in request:
        attribute = _expiry(aws, id_)
        off: Document = {"Enabled": False}
        document["TimeToLiveSpecification"] = (
            off if attribute is None else {"Enabled": True, "AttributeName": attribute}
        )
    if "PointInTimeRecoverySpecification" in request:
        described = dynamodb.describe_continuous_backups(TableName=id_)["ContinuousBackupsDescription"]
        status = described["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"]
        document["PointInTimeRecoverySpecification"] = {"PointInTimeRecoveryEnabled": status == "ENABLED"}
    if "Tags" in request:
        document["Tags"] = dynamodb.list_tags_of_resource(ResourceArn=table["TableArn"])["Tags"]
    return Found(
        document,
        {
            "name": id_,
            "arn": table["TableArn"],
            "streamArn": table.get("LatestStreamArn", ""),
            "streamLabel": table.get("LatestStreamLabel", ""),
        },
    )


def _update(aws: Aws, id_: str, change: Change) -> None:
    dynamodb = aws.client("dynamodb")
    if "StreamSpecification" in change.names:
        # A stream's view type cannot be edited: the provider switches the stream off and on, and no record of a write
        # in between exists.
        for specification in ({"StreamEnabled": False}, change.new.get("StreamSpecification", {})):
            enabled = _read(aws, id_, {}).document["StreamSpecification"]["StreamEnabled"]
            if enabled != specification.get("StreamEnabled", False):
                dynamodb.update_table(TableName=id_, StreamSpecification=specification)
                _wait(aws, id_)
    if "DeletionProtectionEnabled" in change.names:
        dynamodb.update_table(
            TableName=id_, DeletionProtectionEnabled=change.new.get("DeletionProtectionEnabled", False)
        )
        _wait(aws, id_)
    expiry, attribute = change.new.get("TimeToLiveSpecification"), _expiry(aws, id_)
    if "TimeToLiveSpecification" in change.names and expiry is None and attribute is not None:
        off = {"AttributeName": attribute, "Enabled": False}
        dynamodb.update_time_to_live(TableName=id_, TimeToLiveSpecification=off)
    if "Tags" in change.names:
        _tag(aws, id_, change)


def _tag(aws: Aws, id_: str, change: Change) -> None:
    dynamodb, arn = aws.client("dynamodb"), aws.arn("dynamodb", f"table/{id_}")
    new = change.new.get("Tags", [])
    kept = {each["Key"] for each in new}
    if removed := [each["Key"] for each in change.old.get("Tags", []) if each["Key"] not in kept]:
        dynamodb.untag_resource(ResourceArn=arn, TagKeys=removed)
    if new:
        dynamodb.tag_resource(ResourceArn=arn, Tags=new)


def _delete(aws: Aws, id_: str, _request: Document) -> None:
    dynamodb = aws.client("dynamodb")
    dynamodb.delete_table(TableName=id_)
    dynamodb.get_waiter("table_not_exists").wait(TableName=id_, WaiterConfig=WAIT)


def _wait(aws: Aws, id_: str) -> None:
    aws.client("dynamodb").get_waiter("table_exists").wait(TableName=id_, WaiterConfig=WAIT)


def _expiry(aws: Aws, id_: str) -> str | None:
    """Read the attribute that items expire by."""
    return _expiry_of(aws.client("dynamodb").describe_time_to_live(TableName=id_)["TimeToLiveDescription"])


def _expiry_of(described: Mapping[str, Any]) -> str | None:
    on = described.get("Enabled") or described.get("TimeToLiveStatus") in ("ENABLED", "ENABLING")
    return described.get("AttributeName") if on else None


TYPES: Mapping[str, ResourceType] = {
    "aws:dynamodb/table:Table": ResourceType(
        members={
            "name": "TableName",
            "hashKey": "HashKey",
            "rangeKey": "RangeKey",
            "attributes": Blocks("AttributeDefinitions", {"name": "AttributeName", "type": "AttributeType"}),
            "billingMode": "BillingMode",
            "deletionProtectionEnabled": "DeletionProtectionEnabled",
            "streamEnabled": "StreamSpecification.StreamEnabled",
            "streamViewType": "StreamSpecification.StreamViewType",
            "serverSideEncryption": Block("SSESpecification", {"enabled": "Enabled", "kmsKeyArn": "KMSMasterKeyId"}),
            "tags": as_tags(),
            "ttl": Block("TimeToLiveSpecification", {"attributeName": "AttributeName", "enabled": "Enabled"}),
            "pointInTimeRecovery": Block(
                "PointInTimeRecoverySpecification",
                {"enabled": "PointInTimeRecoveryEnabled", "recoveryPeriodInDays": "RecoveryPeriodInDays"},
            ),
        },
        begin=_create,
        settle=_settle,
        read=_read,
        update=_update,
        updates=words(
            "DeletionProtectionEnabled PointInTimeRecoverySpecification StreamSpecification Tags "
            "TimeToLiveSpecification"
        ),
        delete=_delete,
        name=Name(longest=255),
        replaces=words(
            "name hashKey rangeKey localSecondaryIndexes importTable restoreDateTime restoreToLatestTime "
            "restoreSourceName restoreSourceTableArn"
        ),
        outputs=words("arn streamArn streamLabel"),
        renews={"streamEnabled": ("streamArn",), "streamViewType": ("streamArn",)},
    )
}
"""Types of the package `dynamodb`."""
