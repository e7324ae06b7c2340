"""Evaluation of a role's policies, and of its trust policy.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html: nothing is allowed unless a
statement allows it, and a statement that denies wins. A statement with something that is not evaluated here may
apply; if that decides, the decision is `undecided` and names it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, cast

Document = Mapping[str, Any]
#: Condition keys of a request in lower case, and their values.
Context = Mapping[str, str]


@dataclass(frozen=True)
class Decision:
    """Decision on a request.

    Attributes:
        outcome: `denied` if a statement denies it, `not allowed` if none allows it.
        unknown: The part that is not evaluated and decides; empty unless the outcome is `undecided`.
    """

    outcome: Literal["allowed", "not allowed", "denied", "undecided"]
    unknown: str = ""


@dataclass(frozen=True)
class _Unknown:
    """Part of a statement that is not evaluated."""

    what: str


_Truth = bool | _Unknown
#: Replaces the policy variables in a text.
_Fill = Callable[[str], str | _Unknown]


def decide(policies: Iterable[Document], action: str, resource: str, context: Context) -> Decision:
    """Decide whether a role with these identity policies may do something.

    Args:
        policies: Policy documents.
        action: The action, such as `sqs:SendMessage`.
        resource: The ARN of its resource.
        context: The values of all condition keys that are known.
    """
    return _judge(
        (statement, _is_about(statement, action, resource, context, _filling(policy, context)))
        for policy in policies
        for statement in _listed(policy.get("Statement"))
    )


def assumable(trust: Document, service: str, context: Context) -> Decision:
    """Decide whether a service can assume a role with this trust policy.

    Args:
        trust: The role's trust policy.
        service: The service, such as `lambda.amazonaws.com`.
        context: The values of all condition keys that are known.
    """
    fill = _filling(trust, context)
    return _judge(
        (
            statement,
            _all(
                (
                    service in _services(statement),
                    _about(statement, "Action", lambda each: _like("sts:assumerole", each.lower())),
                    _conditions_hold(statement, context, fill),
                )
            ),
        )
        for statement in _listed(trust.get("Statement"))
    )


def _is_about(statement: Document, action: str, resource: str, context: Context, fill: _Fill) -> _Truth:
    """Return whether a statement allows or denies a request."""
    if not _about(statement, "Action", lambda each: _like(action.lower(), each.lower())):
        return False
    return _all(
        (
            _about(statement, "Resource", lambda each: _matches(_like, resource, fill(each))),
            _conditions_hold(statement, context, fill),
        )
    )


def _judge(statements: Iterable[tuple[Document, _Truth]]) -> Decision:
    allowed: _Truth = False
    denied: _Truth = False
    for statement, applies in statements:
        if statement.get("Effect") == "Deny":
            denied = _some((denied, applies))
        elif statement.get("Effect") == "Allow":
            allowed = _some((allowed, applies))
    if denied is True:
        return Decision("denied")
    if allowed is False:
        return Decision("not allowed")
    for perhaps in (denied, allowed):
        if isinstance(perhaps, _Unknown):
            return Decision("undecided", perhaps.what)
    return Decision("allowed")


def _services(statement: Document) -> list[Any]:
    principal = statement.get("Principal")
    return _listed(cast("Document", principal).get("Service")) if isinstance(principal, Mapping) else []


def _about(statement: Document, element: str, matches: Callable[[str], _Truth]) -> _Truth:
    """Return whether `Action` or `Resource` names it, or `NotAction` or `NotResource` does not."""
    if element in statement:
        return _some(matches(each) for each in _listed(statement[element]))
    excepted = statement.get(f"Not{element}")
    return excepted is not None and _not(_some(matches(each) for each in _listed(excepted)))


def _conditions_hold(statement: Document, context: Context, fill: _Fill) -> _Truth:
    return _all(
        _holds(operator, key, [fill(str(each)) for each in _listed(values)], context)
        for operator, keys in statement.get("Condition", {}).items()
        for key, values in keys.items()
    )


def _holds(operator: str, key: str, patterns: list[str | _Unknown], context: Context) -> _Truth:
    # A key that is known exists, so that `IfExists` adds nothing.
    name = operator.removesuffix("IfExists")
    if name not in _OPERATORS:
        return _Unknown(f"the condition operator {operator}")
    value = context.get(key.lower())
    if value is None:
        return _Unknown(f"the condition key {key}")
    matches, wanted = _OPERATORS[name]
    found = _some(_matches(matches, value, each) for each in patterns)
    return found if wanted else _not(found)


def _matches(like: Callable[[str, str], bool], text: str, pattern: str | _Unknown) -> _Truth:
    return pattern if isinstance(pattern, _Unknown) else like(text, pattern)


def _filling(policy: Document, context: Context) -> _Fill:
    """Return the function that replaces policy variables, which only policies of this version have."""
    if policy.get("Version") != "2012-10-17":
        return lambda pattern: pattern

    def fill(pattern: str) -> str | _Unknown:
        names = _VARIABLE.findall(pattern)
        for name in names:
            if name.lower() not in context:
                return _Unknown(f"the policy variable ${{{name}}}")
        return _VARIABLE.sub(lambda found: context[found[1].lower()], pattern) if names else pattern

    return fill


_VARIABLE = re.compile(r"\$\{([^}]*)\}")


def _listed(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else [] if value is None else [value]


def _all(truths: Iterable[_Truth]) -> _Truth:
    unknown: _Truth = True
    for truth in truths:
        if truth is False:
            return False
        if truth is not True:
            unknown = truth
    return unknown


def _some(truths: Iterable[_Truth]) -> _Truth:
    return _not(_all(map(_not, truths)))


def _not(truth: _Truth) -> _Truth:
    return truth if isinstance(truth, _Unknown) else not truth


def _like(text: str, pattern: str) -> bool:
    return _compiled(pattern).fullmatch(text) is not None


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), re.DOTALL)


def _arn_like(arn: str, pattern: str) -> bool:
    """Return whether each of an ARN's six parts is like the pattern's."""
    parts, patterns = arn.split(":", 5), pattern.split(":", 5)
    return len(parts) == len(patterns) and all(map(_like, parts, patterns))


def _same_but_for_case(text: str, other: str) -> bool:
    return text.lower() == other.lower()


def _is_null(_: str, expected: str) -> bool:
    return expected.lower() == "false"


#: Comparison of each operator, and whether it wants a match:
#: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
_OPERATORS: dict[str, tuple[Callable[[str, str], bool], bool]] = {
    "ArnEquals": (_arn_like, True),
    "ArnLike": (_arn_like, True),
    "ArnNotEquals": (_arn_like, False),
    "ArnNotLike": (_arn_like, False),
    "Bool": (_same_but_for_case, True),
    "Null": (_is_null, True),
    "StringEquals": (str.__eq__, True),
    "StringEqualsIgnoreCase": (_same_but_for_case, True),
    "StringLike": (_like, True),
    "StringNotEquals": (str.__eq__, False),
    "StringNotEqualsIgnoreCase": (_same_but_for_case, False),
    "StringNotLike": (_like, False),
}
