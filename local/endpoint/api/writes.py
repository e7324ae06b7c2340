"""Which tables and Kinesis streams a call writes to."""

from __future__ import annotations

from collections.abc import Iterable

from local.endpoint.api.aws_call import AwsCall


def written_tables(call: AwsCall) -> frozenset[str]:
    """The names of the tables that a call writes to; none when it is no write.

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
    """The names of the tables whose streams have something new after a call: records, or an end.

    >>> changed_tables(AwsCall("dynamodb", "UpdateTable", "json", {"TableName": "users"}))
    frozenset({'users'})
    """
    if str(call) == "dynamodb:UpdateTable":
        return frozenset((call.parameters.get("TableName", "").rpartition("/")[2],))
    return written_tables(call)


def written_stream(call: AwsCall) -> str | None:
    """The name of the Kinesis stream that a call puts records into, if it does.

    >>> written_stream(AwsCall("kinesis", "PutRecord", "json", {"StreamName": "clicks"}))
    'clicks'
    """
    if call.service != "kinesis" or call.operation not in ("PutRecord", "PutRecords"):
        return None
    return call.parameters.get("StreamName") or call.parameters.get("StreamARN", "").rpartition("/")[2]
