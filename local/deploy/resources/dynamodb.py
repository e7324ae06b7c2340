"""DynamoDB tables."""

from __future__ import annotations

from typing import Any

from local.deploy.program import Created
from local.deploy.resources.aws import WAIT, Aws
from local.deploy.resources.inputs import Inputs


def table(inputs: Inputs, aws: Aws) -> Created:
    """CreateTable; time to live and continuous backups have requests of their own."""
    name = inputs.name()
    keys = [("HASH", inputs.take("hashKey")), ("RANGE", inputs.take("rangeKey"))]
    request: dict[str, Any] = {
        "TableName": name,
        "KeySchema": [{"AttributeName": attribute, "KeyType": kind} for kind, attribute in keys if attribute],
        "AttributeDefinitions": [
            attribute.members({"name": "AttributeName", "type": "AttributeType"})
            for attribute in inputs.blocks("attributes")
        ],
        **inputs.members({"billingMode": "BillingMode", "deletionProtectionEnabled": "DeletionProtectionEnabled"}),
    }
    stream = inputs.members({"streamEnabled": "StreamEnabled", "streamViewType": "StreamViewType"})
    if stream:
        request["StreamSpecification"] = stream
    if encryption := inputs.block("serverSideEncryption"):
        request["SSESpecification"] = encryption.members({"enabled": "Enabled", "kmsKeyArn": "KMSMasterKeyId"})
    if tags := inputs.take("tags"):
        request["Tags"] = [{"Key": key, "Value": value} for key, value in tags.items()]
    expiry, backups = inputs.block("ttl"), inputs.block("pointInTimeRecovery")
    expiry_request = expiry and expiry.members({"attributeName": "AttributeName", "enabled": "Enabled"})
    backups_request = backups and backups.members(
        {"enabled": "PointInTimeRecoveryEnabled", "recoveryPeriodInDays": "RecoveryPeriodInDays"}
    )
    inputs.finish()

    dynamodb = aws.client("dynamodb")
    dynamodb.create_table(**request)
    dynamodb.get_waiter("table_exists").wait(TableName=name, WaiterConfig=WAIT)
    if expiry_request:
        dynamodb.update_time_to_live(TableName=name, TimeToLiveSpecification=expiry_request)
    if backups_request:
        dynamodb.update_continuous_backups(TableName=name, PointInTimeRecoverySpecification=backups_request)
    made = dynamodb.describe_table(TableName=name)["Table"]
    return Created(
        name,
        {
            "name": name,
            "arn": made["TableArn"],
            "streamArn": made.get("LatestStreamArn", ""),
            "streamLabel": made.get("LatestStreamLabel", ""),
        },
    )
