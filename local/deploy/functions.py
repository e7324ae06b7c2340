"""Look-ups of pulumi_aws that the endpoint can answer, for the deployment by mocks and for the provider alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from local.deploy.resources import Aws
from local.deploy.stubs import Stubs


class NotAnswered(ValueError):
    """A look-up that cannot be answered on this machine. The message says what to do."""


def invoke(token: str, arguments: Mapping[str, Any], aws: Aws, stubs: Stubs) -> Mapping[str, Any]:
    """Answer a function of a provider, e.g. `aws:index/getRegion:getRegion`.

    Raises:
        NotAnswered: Neither the endpoint nor the stack's stubs have an answer.
    """
    if (given := stubs.answer(token)) is not None:
        return {"id": token, **arguments, **given}
    answer = _FUNCTIONS.get(token)
    if answer is None:
        raise NotAnswered(
            f"{token} is a function that cannot be answered on this machine, which answers {', '.join(_FUNCTIONS)}: "
            f"{stubs.hint(token)}"
        )
    given_arguments = {name: value for name, value in arguments.items() if value is not None}
    if left := sorted(given_arguments.keys() - _ARGUMENTS.get(token, frozenset())):
        raise NotAnswered(f"{token}: {', '.join(left)} would be ignored: leave it out")
    return answer(aws, given_arguments)


def _caller_identity(aws: Aws, _arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    caller = aws.client("sts").get_caller_identity()
    return {"accountId": caller["Account"], "arn": caller["Arn"], "userId": caller["UserId"], "id": caller["Account"]}


def _partition(_aws: Aws, _arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"id": "aws", "partition": "aws", "dnsSuffix": "amazonaws.com", "reverseDnsPrefix": "com.amazonaws"}


def _region(aws: Aws, _arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"region": aws.region, "name": aws.region, "id": aws.region, "description": "", "endpoint": aws.endpoint_url}


def _table(aws: Aws, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    name = arguments["name"]
    dynamodb = aws.client("dynamodb")
    try:
        found = dynamodb.describe_table(TableName=name)["Table"]
    except dynamodb.exceptions.ResourceNotFoundException:
        raise NotAnswered(
            f"there is no table {name} on this endpoint, which begins empty: create one of the same shape there before "
            "the program is deployed, or declare a ChangeTable for this stack"
        ) from None
    keys = {each["KeyType"]: each["AttributeName"] for each in found["KeySchema"]}
    stream = found.get("StreamSpecification", {})
    return {
        "id": name,
        "name": name,
        "arn": found["TableArn"],
        "hashKey": keys["HASH"],
        "rangeKey": keys.get("RANGE", ""),
        "attributes": [
            {"name": each["AttributeName"], "type": each["AttributeType"]} for each in found["AttributeDefinitions"]
        ],
        "streamEnabled": bool(stream.get("StreamEnabled")),
        "streamArn": found.get("LatestStreamArn", ""),
        "streamLabel": found.get("LatestStreamLabel", ""),
        "streamViewType": stream.get("StreamViewType", ""),
        "replicas": [],
    }


_FUNCTIONS: Mapping[str, Callable[[Aws, Mapping[str, Any]], Mapping[str, Any]]] = {
    "aws:dynamodb/getTable:getTable": _table,
    "aws:index/getCallerIdentity:getCallerIdentity": _caller_identity,
    "aws:index/getPartition:getPartition": _partition,
    "aws:index/getRegion:getRegion": _region,
}

#: Arguments that a function takes here; the others take none.
_ARGUMENTS: Mapping[str, frozenset[str]] = {"aws:dynamodb/getTable:getTable": frozenset({"name"})}
