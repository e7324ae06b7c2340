"""DynamoDB's ConsumedCapacity of reads, which ministack takes for half a unit whatever is read.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html: a strongly consistent read
of 4 KB is one unit, an eventually consistent one half. A query and a scan are rounded up by page, before their filter;
GetItem and BatchGetItem by item, and an item that is not there counts as a small one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import ceil
from typing import Any

from local.endpoint.api.aws_call import AwsCall
from local.endpoint.api.http_messages import Reply
from local.endpoint.routes import PassOn, Routes
from local.engine.streams.records import item_size

#: Bytes of one unit of reading.
UNIT_BYTES = 4096

_Item = Mapping[str, Mapping[str, Any]]

#: Members that change what is answered, and not what is read.
_UNREAD = ("FilterExpression", "ProjectionExpression", "ReturnConsumedCapacity", "Select")
_NAME = re.compile(r"[#:]\w+")


def read_capacity_routes() -> Routes:
    """Make the tables of the reading operations."""
    amended = {"BatchGetItem": _batch, "GetItem": _get, "Query": _page, "Scan": _page}
    return Routes(amended={f"dynamodb:{operation}": amend for operation, amend in amended.items()})


async def _get(call: AwsCall, pass_on: PassOn) -> Reply:
    reply = await pass_on(call)
    if not _is_asked(call, reply):
        return reply
    read = await _read(call, _bare(call.parameters), pass_on)
    units = _units([read.get("Item", {})], consistent=_is_consistent(call.parameters))
    return _with_units(reply, units)


async def _page(call: AwsCall, pass_on: PassOn) -> Reply:
    reply = await pass_on(call)
    if not _is_asked(call, reply):
        return reply
    read = await _read(call, _bare(call.parameters), pass_on)
    size = sum(map(item_size, read["Items"]))
    units = max(1, ceil(size / UNIT_BYTES)) * (1.0 if _is_consistent(call.parameters) else 0.5)
    return _with_units(reply, units)


async def _batch(call: AwsCall, pass_on: PassOn) -> Reply:
    reply = await pass_on(call)
    if not _is_asked(call, reply):
        return reply
    asked: Mapping[str, Mapping[str, Any]] = call.parameters["RequestItems"]
    by_index = call.parameters["ReturnConsumedCapacity"] == "INDEXES"
    bare = {"RequestItems": {name: _bare(part) for name, part in asked.items()}}
    found: Mapping[str, Sequence[_Item]] = (await _read(call, bare, pass_on))["Responses"]
    consumed: list[dict[str, Any]] = []
    for name, part in asked.items():
        items = found.get(name, [])
        missing: list[_Item] = [{}] * (len(part["Keys"]) - len(items))
        units = _units([*items, *missing], consistent=_is_consistent(part))
        of_table = {"Table": {"CapacityUnits": units}} if by_index else {}
        consumed.append({"TableName": name, "CapacityUnits": units, **of_table})
    document = {**json.loads(reply.body), "ConsumedCapacity": consumed}
    return reply.with_body(json.dumps(document).encode())


def _is_asked(call: AwsCall, reply: Reply) -> bool:
    return reply.status == 200 and call.parameters.get("ReturnConsumedCapacity", "NONE") != "NONE"


def _is_consistent(parameters: Mapping[str, Any]) -> bool:
    return bool(parameters.get("ConsistentRead"))


async def _read(call: AwsCall, parameters: Mapping[str, Any], pass_on: PassOn) -> dict[str, Any]:
    """Return the answer with every item whole."""
    request = call.request.with_body(json.dumps(parameters).encode())
    reply = await pass_on(replace(call, parameters=parameters, request=request))
    return json.loads(reply.body)


def _bare(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of a read without what is not read, and without names that nothing uses then."""
    bare = {name: value for name, value in parameters.items() if name not in _UNREAD}
    used = set(_NAME.findall(bare.get("KeyConditionExpression", "")))
    for member in ("ExpressionAttributeNames", "ExpressionAttributeValues"):
        kept = {name: value for name, value in bare.pop(member, {}).items() if name in used}
        if kept:
            bare[member] = kept
    return bare


def _units(items: Sequence[_Item], *, consistent: bool) -> float:
    """Return the units of items that are read one by one."""
    return sum(max(1, ceil(item_size(item) / UNIT_BYTES)) for item in items) * (1.0 if consistent else 0.5)


def _with_units(reply: Reply, units: float) -> Reply:
    """Put units in the place of ministack's, which stand where the table's and the index's belong."""
    document = json.loads(reply.body)
    consumed = document["ConsumedCapacity"]
    indexes = [consumed.get(f"{kind}SecondaryIndexes", {}) for kind in ("Global", "Local")]
    for part in (consumed, consumed.get("Table", {}), *(each for of in indexes for each in of.values())):
        if part.get("CapacityUnits"):
            part["CapacityUnits"] = units
    return reply.with_body(json.dumps(document).encode())
