"""Tables of the operations that the endpoint does not simply pass on; each service fills its own.

An operation is named "service:Operation", e.g. `lambda:Invoke`. Operations in no table go to ministack as they came.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from local.endpoint.api.aws_call import AwsCall
from local.endpoint.api.http_messages import Reply

#: Returns the status and the JSON document that answer a call's parameters.
Answer = Callable[[Mapping[str, Any]], tuple[int, Any]]

#: Raises the error that AWS answers a call with, if there is one.
Check = Callable[[AwsCall], None]

#: Passes a call on to ministack.
PassOn = Callable[[AwsCall], Awaitable[Reply]]

#: Passes a call on in its own way, and returns the reply in AWS's shape.
Amend = Callable[[AwsCall, PassOn], Awaitable[Reply]]

#: Wakes the readers of the resources that a call has changed.
Tell = Callable[[AwsCall], None]


@dataclass(frozen=True)
class Routes:
    """The tables of one service, or of several together, by operation.

    Attributes:
        answered: Operations that the endpoint answers itself.
        checked: Checks that come before anything else, in order.
        amended: Operations for which ministack needs another request, or gives another answer, than AWS.
        tells: Calls that follow a successful answer of ministack's.
    """

    answered: Mapping[str, Answer] = field(default_factory=dict[str, Answer])
    checked: Mapping[str, Sequence[Check]] = field(default_factory=dict[str, Sequence[Check]])
    amended: Mapping[str, Amend] = field(default_factory=dict[str, Amend])
    tells: Mapping[str, Sequence[Tell]] = field(default_factory=dict[str, Sequence[Tell]])


def gathered(services: Iterable[Routes]) -> Routes:
    """Put the tables of several services together.

    Raises:
        ValueError: Two of them answer, or amend, the same operation.
    """
    answered: dict[str, Answer] = {}
    checked: dict[str, list[Check]] = {}
    amended: dict[str, Amend] = {}
    tells: dict[str, list[Tell]] = {}
    for routes in services:
        _add(answered, routes.answered)
        _add(amended, routes.amended)
        for operation, checks in routes.checked.items():
            checked.setdefault(operation, []).extend(checks)
        for operation, calls in routes.tells.items():
            tells.setdefault(operation, []).extend(calls)
    return Routes(answered, checked, amended, tells)


def _add(table: dict[str, Any], more: Mapping[str, Any]) -> None:
    if twice := table.keys() & more.keys():
        raise ValueError(f"two services claim {', '.join(sorted(twice))}")
    table.update(more)
