"""Requests of the stack's API, from the one line that a handler logs about each."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ops.function_logs import LogLine, LogReader, log_group_in
from ops.operator.stack import Stack

#: Members of the line by which it is known, besides `correlationId` with the request's id.
ITEM, OUTCOME = "itemKey", "outcome"


@dataclass(frozen=True)
class ApiRequest:
    """One request.

    Attributes:
        request: Its id, as API Gateway gave it.
        at: When it was answered, in seconds since 1970.
        route: The route, e.g. `POST /users/{userId}/plan`.
        key: Key of the item that it is about, e.g. `userId=bob`.
        outcome: The handler's word, e.g. `written`.
        invocation: Id of the function's invocation.
    """

    request: str
    at: float
    route: str
    key: str
    outcome: str
    invocation: str


def requests_of(stack: Stack, functions: Mapping[str, Any], *, seconds: float) -> list[ApiRequest]:
    """Read the requests of the API's functions, oldest first.

    Args:
        stack: The stack.
        functions: Functions as GetFunctionConfiguration describes them, by route.
        seconds: How far back.
    """
    logs = stack.client("logs")
    found: list[ApiRequest] = []
    for route, function in functions.items():
        group = log_group_in(function)
        reader = LogReader(logs, function=route, group=group, since=time.time() - seconds)
        try:
            found += [request for line in reader.new() if (request := _request(line))]
        except logs.exceptions.ResourceNotFoundException:
            continue  # the function has not run yet
    return sorted(found, key=lambda request: request.at)


def _request(line: LogLine) -> ApiRequest | None:
    members = line.members
    if not {"correlationId", ITEM, OUTCOME} <= members.keys():
        return None
    return ApiRequest(
        str(members["correlationId"]),
        line.at,
        line.function,
        str(members[ITEM]),
        str(members[OUTCOME]),
        line.request_id,
    )
