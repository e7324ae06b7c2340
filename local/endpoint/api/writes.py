"""Calls that write: the tables and Kinesis streams that they change."""

from __future__ import annotations

from collections.abc import Iterable

from local.endpoint.api.aws_call import AwsCall

#: Operations that put records into a table's stream, or end it.
CHANGING_TABLES = (
    "dynamodb:BatchWriteItem",
    "dynamodb:DeleteItem",
    "dynamodb:PutItem",
    "dynamodb:TransactWriteItems",
    "dynamodb:UpdateItem",
    "dynamodb:UpdateTable",
)

#: Operations that put records into a Kinesis stream.
PUTTING_RECORDS = ("kinesis:PutRecord", "kinesis:PutRecords")


def written_tables(call: AwsCall) -> frozenset[str]:
    """Return the names of the tables that a call writes to; none if it is not a write.

    >>> sorted(written_tables(AwsCall("dynamodb", "BatchWriteItem", "json", {"RequestItems": {"a": [], "b": []}})))
    ['a', 'b']
    """
    if call.service != "dynamodb":
        return frozenset()
    named: Iterable[str]
    match call.operation:
        case "PutItem" | "UpdateItem" | "DeleteItem":
            named = [call.parameters.get("TableName", "")]
        case "BatchWriteItem":
            named = call.parameters.get("RequestItems", {})
        case "TransactWriteItems":
            actions = [action for item in call.parameters.get("TransactItems", []) for action in item.values()]
            named = [action.get("TableName", "") for action in actions]
        case _:
            named = ()
    # A table may be named by its ARN.
    return frozenset(name.rpartition("/")[2] for name in named)


def changed_tables(call: AwsCall) -> frozenset[str]:
    """Return the names of the tables whose streams have something new after a call: records, or an end.

    >>> changed_tables(AwsCall("dynamodb", "UpdateTable", "json", {"TableName": "users"}))
    frozenset({'users'})
    """
    if str(call) == "dynamodb:UpdateTable":
        return frozenset((call.parameters.get("TableName", "").rpartition("/")[2],))
    return written_tables(call)


def written_stream(call: AwsCall) -> str:
    """Return the name of the Kinesis stream that a PutRecord or PutRecords writes to.

    >>> written_stream(AwsCall("kinesis", "PutRecord", "json", {"StreamName": "clicks"}))
    'clicks'
    """
    return call.parameters.get("StreamName") or call.parameters.get("StreamARN", "").rpartition("/")[2]
