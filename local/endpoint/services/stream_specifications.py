"""Refusals of a stream being turned on or off (docs/aws-semantics.md §1.3, DDB-RECORD-9)."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from local.endpoint.api.aws_call import AwsCall
from local.endpoint.api.errors import AwsError
from local.endpoint.routes import Routes

_INVALID = "One or more parameter values were invalid: "


def stream_specification_routes(tables: Any) -> Routes:
    """Make the tables of CreateTable and UpdateTable.

    Args:
        tables: A boto3 client of DynamoDB.
    """

    def check(call: AwsCall) -> None:
        check_specification(call, tables=tables)

    return Routes(checked={"dynamodb:CreateTable": [check], "dynamodb:UpdateTable": [check]})


def check_specification(call: AwsCall, *, tables: Any) -> None:
    """Refuse an impossible change of a stream in AWS's words; ministack accepts most of them.

    Args:
        call: A CreateTable or UpdateTable.
        tables: A boto3 client of DynamoDB.
    """
    asked = call.parameters.get("StreamSpecification")
    if asked is None:
        return
    on, views = asked.get("StreamEnabled"), "StreamViewType" in asked
    if call.operation == "CreateTable":
        if on and not views:
            raise _refused(f"{_INVALID}Table is being created with a stream enabled, UpdateViewType is required")
        return
    if on and not views:
        raise _refused(f"{_INVALID}If stream is being enabled then UpdateViewType is required")
    if not on and views:
        raise _refused(f"{_INVALID}If stream is being disabled, then UpdateViewType must not be specified")
    try:
        table = tables.describe_table(TableName=call.parameters.get("TableName", ""))["Table"]
    except ClientError:
        # ministack answers that the table does not exist.
        return
    if on and "StreamSpecification" in table:
        raise _refused(f"Table already has an enabled stream: TableName: {table['TableName']}")
    if not on and "StreamSpecification" not in table:
        raise _refused(f"Table has no stream to disable: TableName: {table['TableName']}")


def _refused(message: str) -> AwsError:
    return AwsError("ValidationException", message)
