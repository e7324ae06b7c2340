"""DynamoDB's check that an UpdateExpression names each place of an item once, which ministack lacks."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Any

from local.endpoint.api.aws_call import AwsCall
from local.endpoint.api.errors import AwsError
from local.endpoint.routes import Routes

#: The beginning of a clause. A placeholder may be called `#SET`; a name in an expression is never a keyword.
_CLAUSE = re.compile(r"(?<![\w#:.])(SET|REMOVE|ADD|DELETE)(?=\s)", re.IGNORECASE)
#: A step of a path: a name, or an index of a list.
_STEP = re.compile(r"\[\d+\]|[^.\[\]\s]+")


def update_expression_routes() -> Routes:
    """Make the checks of UpdateExpressions."""
    return Routes(checked={"dynamodb:UpdateItem": [_check_update], "dynamodb:TransactWriteItems": [_check_transaction]})


def _check_update(call: AwsCall) -> None:
    _check(call.parameters)


def _check_transaction(call: AwsCall) -> None:
    for item in call.parameters.get("TransactItems", []):
        if "Update" in item:
            _check(item["Update"])


def _check(update: Mapping[str, Any]) -> None:
    paths = list(paths_of(str(update.get("UpdateExpression", "")), update.get("ExpressionAttributeNames", {})))
    for one, two in itertools.combinations(paths, 2):
        shorter = min(len(one), len(two))
        if one[:shorter] == two[:shorter]:
            raise AwsError(
                "ValidationException",
                "Invalid UpdateExpression: Two document paths overlap with each other; must remove or rewrite one of "
                f"these paths; path one: [{', '.join(one)}], path two: [{', '.join(two)}]",
            )


def paths_of(expression: str, names: Mapping[str, str]) -> Iterator[tuple[str, ...]]:
    """Return the places that an UpdateExpression sets, removes, adds to or deletes from.

    >>> list(paths_of("SET #p = if_not_exists(#p, :a), b.c[2] = :b REMOVE d", {"#p": "plan"}))
    [('plan',), ('b', 'c', '[2]'), ('d',)]
    >>> list(paths_of("SET #SET = :a", {"#SET": "a"}))
    [('a',)]
    """
    _, *parts = _CLAUSE.split(expression)
    for keyword, body in zip(parts[::2], parts[1::2], strict=True):
        for action in _split(body):
            target = action.split("=")[0] if keyword.upper() == "SET" else action.split(":")[0]
            steps = _STEP.findall(target)
            if steps:
                yield tuple(names.get(step, step) for step in steps)


def _split(body: str) -> Iterator[str]:
    """Divide a clause at its commas, except those inside of a function's arguments."""
    depth, start = 0, 0
    for index, character in enumerate(body):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and depth == 0:
            yield body[start:index]
            start = index + 1
    yield body[start:]
