"""EventBridge: lists by page, which ministack answers whole."""

from __future__ import annotations

import json

from local.endpoint.api.aws_call import AwsCall
from local.endpoint.api.errors import AwsError
from local.endpoint.api.http_messages import Reply
from local.endpoint.api.pages import page_of
from local.endpoint.routes import PassOn, Routes


def event_bus_routes() -> Routes:
    """Make the tables of event buses."""
    return Routes(amended={"events:ListEventBuses": _list})


async def _list(call: AwsCall, pass_on: PassOn) -> Reply:
    reply = await pass_on(call)
    if reply.status != 200:
        return reply
    buses = json.loads(reply.body)["EventBuses"]
    try:
        page, token = page_of(buses, size=call.parameters.get("Limit", 100), token=call.parameters.get("NextToken"))
    except ValueError as wrong:
        raise AwsError("ValidationException", "Invalid NextToken") from wrong
    answer = {"EventBuses": page, **({} if token is None else {"NextToken": token})}
    return reply.with_body(json.dumps(answer).encode())
