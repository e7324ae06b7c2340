"""What the identity policies of a role allow.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html: nothing is allowed unless a
statement allows it, and a statement that denies wins. What is not understood is never in the caller's favour: such a
statement allows nothing, and if it denies, it denies.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, Literal

Decision = Literal["allowed", "not allowed", "denied"]


def decide(policies: Iterable[Mapping[str, Any]], action: str, resource: str, context: Mapping[str, str]) -> Decision:
    """What a role with these policies may do.

    Args:
        policies: Policy documents.
        action: Such as `sqs:SendMessage`.
        resource: The ARN that it is done to.
        context: Condition keys of the request in lower case, and their values.

    Returns:
        `denied` when a statement says so, `not allowed` when none allows it.
    """
    decision: Decision = "not allowed"
    for policy in policies:
        for statement in _listed(policy.get("Statement")):
            applies = _applies(statement, action, resource, context)
            if statement.get("Effect") == "Deny" and applies is not False:
                return "denied"
            if statement.get("Effect") == "Allow" and applies:
                decision = "allowed"
    return decision


def _applies(statement: Mapping[str, Any], action: str, resource: str, context: Mapping[str, str]) -> bool | None:
    """Whether a statement is about the request; `None` when that cannot be told."""
    if not _about(statement, "Action", lambda pattern: _like(action.lower(), pattern.lower())):
        return False
    if "${" in json.dumps(statement):
        # Policy variables are not filled in.
        return None
    if not _about(statement, "Resource", lambda pattern: _like(resource, pattern)):
        return False
    unknown = False
    for operator, keys in statement.get("Condition", {}).items():
        test = _OPERATORS.get(operator)
        if test is None:
            unknown = True
            continue
        if not all(test(context.get(key.lower()), _listed(values)) for key, values in keys.items()):
            return False
    return None if unknown else True


def _about(statement: Mapping[str, Any], element: str, matches: Callable[[str], bool]) -> bool:
    """Whether `Action` or `Resource` names it, or `NotAction` or `NotResource` does not."""
    if element in statement:
        return any(matches(pattern) for pattern in _listed(statement[element]))
    excepted = statement.get(f"Not{element}")
    return excepted is not None and not any(matches(pattern) for pattern in _listed(excepted))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _like(text: str, pattern: str) -> bool:
    return _compiled(pattern).fullmatch(text) is not None


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), re.DOTALL)


def _arn_like(arn: str, pattern: str) -> bool:
    """Whether each of an ARN's six parts is like the pattern's."""
    parts, patterns = arn.split(":", 5), pattern.split(":", 5)
    return len(parts) == len(patterns) and all(map(_like, parts, patterns))


def _any(matches: Callable[[str, str], bool]) -> Callable[[str | None, list[str]], bool]:
    return lambda value, patterns: value is not None and any(matches(value, each) for each in patterns)


def _none(matches: Callable[[str, str], bool]) -> Callable[[str | None, list[str]], bool]:
    """The negated operators hold when the request does not have the key."""
    return lambda value, patterns: value is None or not any(matches(value, each) for each in patterns)


#: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
_OPERATORS: dict[str, Callable[[str | None, list[str]], bool]] = {
    "StringEquals": _any(str.__eq__),
    "StringNotEquals": _none(str.__eq__),
    "StringLike": _any(_like),
    "StringNotLike": _none(_like),
    "ArnEquals": _any(_arn_like),
    "ArnLike": _any(_arn_like),
    "ArnNotEquals": _none(_arn_like),
    "ArnNotLike": _none(_arn_like),
}
