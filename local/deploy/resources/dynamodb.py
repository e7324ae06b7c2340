"""DynamoDB tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from local.deploy.resources.aws import WAIT, Aws
from local.deploy.resources.members import Block, Blocks, Document, Members, as_tags
from local.deploy.resources.resource_type import Change, Found, Name, ResourceType, words

#: Members that have requests of their own.
_APART = ("PointInTimeRecoverySpecification", "TimeToLiveSpecification")


def _create(aws: Aws, request: Document) -> str:
    made = _with_keys({name: value for name, value in request.items() if name not in _APART})
    for kind in ("GlobalSecondaryIndexes", "LocalSecondaryIndexes"):
        if kind in made:
            # A local index has the partition key of its table.
            own: Document = {"HashKey": request["HashKey"]} if kind == "LocalSecondaryIndexes" else {}
            made[kind] = [_with_keys({**own, **each}) for each in made[kind]]
    aws.client("dynamodb").create_table(**made)
    return request["TableName"]


def _with_keys(of: Document) -> Document:
    """Write the keys of a table or an index as DynamoDB takes them."""
    keys = [("HASH", of.get("HashKey")), ("RANGE", of.get("RangeKey"))]
    schema = [{"AttributeName": attribute, "KeyType": kind} for kind, attribute in keys if attribute]
    return {"KeySchema": schema, **{name: value for name, value in of.items() if name not in ("HashKey", "RangeKey")}}


def _index(described: Document) -> Document:
    """Read an index as it was asked for."""
    keys = {each["KeyType"]: each["AttributeName"] for each in described["KeySchema"]}
    kept = {name: described[name] for name in ("IndexName", "Projection") if name in described}
    ranged: Document = {"RangeKey": keys["RANGE"]} if "RANGE" in keys else {}
    capacity = described.get("ProvisionedThroughput") or {}
    units = {name: capacity[name] for name in ("ReadCapacityUnits", "WriteCapacityUnits") if capacity.get(name)}
    provisioned: Document = {"ProvisionedThroughput": units} if units else {}
    return {"HashKey": keys["HASH"], **ranged, **kept, **provisioned}


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
    if "ProvisionedThroughput" in request:
        document["ProvisionedThroughput"] = table["ProvisionedThroughput"]
    if "GlobalSecondaryIndexes" in request:
        places = {each["IndexName"]: place for place, each in enumerate(request["GlobalSecondaryIndexes"])}
        # In the order of the program: DynamoDB has one of its own.
        document["GlobalSecondaryIndexes"] = sorted(
            map(_index, table.get("GlobalSecondaryIndexes", [])),
            key=lambda index: places.get(index["IndexName"], len(places)),
        )
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
    if {"BillingMode", "ProvisionedThroughput"} & change.names:
        capacity = {name: change.new[name] for name in ("BillingMode", "ProvisionedThroughput") if name in change.new}
        dynamodb.update_table(TableName=id_, **capacity)
        _wait(aws, id_)
    if "GlobalSecondaryIndexes" in change.names:
        _update_indexes(aws, id_, change)
    expiry, attribute = change.new.get("TimeToLiveSpecification"), _expiry(aws, id_)
    if "TimeToLiveSpecification" in change.names and expiry is None and attribute is not None:
        off = {"AttributeName": attribute, "Enabled": False}
        dynamodb.update_time_to_live(TableName=id_, TimeToLiveSpecification=off)
    if "Tags" in change.names:
        _tag(aws, id_, change)


def _update_indexes(aws: Aws, id_: str, change: Change) -> None:
    """Delete, create and change indexes, one at a time as DynamoDB wants it."""
    dynamodb = aws.client("dynamodb")
    old, new = (
        {each["IndexName"]: each for each in of.get("GlobalSecondaryIndexes", [])} for of in (change.old, change.new)
    )
    anew = {name for name in old.keys() & new.keys() if _without_capacity(old[name]) != _without_capacity(new[name])}
    changed = {name for name in (old.keys() & new.keys()) - anew if old[name] != new[name]}
    updates: list[Document] = [
        *({"Delete": {"IndexName": name}} for name in sorted((old.keys() - new.keys()) | anew)),
        *({"Create": _with_keys(new[name])} for name in sorted((new.keys() - old.keys()) | anew)),
        *(
            {"Update": {"IndexName": name, "ProvisionedThroughput": new[name]["ProvisionedThroughput"]}}
            for name in sorted(changed)
            if "ProvisionedThroughput" in new[name]
        ),
    ]
    for update in updates:
        dynamodb.update_table(
            TableName=id_,
            AttributeDefinitions=change.new["AttributeDefinitions"],
            GlobalSecondaryIndexUpdates=[update],
        )
        _wait(aws, id_)


def _without_capacity(index: Document) -> Document:
    return {name: value for name, value in index.items() if name != "ProvisionedThroughput"}


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


_KEYS: Members = {
    "name": "IndexName",
    "rangeKey": "RangeKey",
    "projectionType": "Projection.ProjectionType",
    "nonKeyAttributes": "Projection.NonKeyAttributes",
}
_CAPACITY: Members = {
    "readCapacity": "ProvisionedThroughput.ReadCapacityUnits",
    "writeCapacity": "ProvisionedThroughput.WriteCapacityUnits",
}

TYPES: Mapping[str, ResourceType] = {
    "aws:dynamodb/table:Table": ResourceType(
        members={
            "name": "TableName",
            "hashKey": "HashKey",
            "rangeKey": "RangeKey",
            "attributes": Blocks("AttributeDefinitions", {"name": "AttributeName", "type": "AttributeType"}),
            "billingMode": "BillingMode",
            **_CAPACITY,
            "tableClass": "TableClass",
            "globalSecondaryIndexes": Blocks("GlobalSecondaryIndexes", {**_KEYS, "hashKey": "HashKey", **_CAPACITY}),
            "localSecondaryIndexes": Blocks("LocalSecondaryIndexes", _KEYS),
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
            "AttributeDefinitions BillingMode DeletionProtectionEnabled GlobalSecondaryIndexes "
            "PointInTimeRecoverySpecification ProvisionedThroughput StreamSpecification Tags TimeToLiveSpecification"
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
