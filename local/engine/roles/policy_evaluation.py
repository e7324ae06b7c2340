"""Evaluation of policies: those of a role, its trust policy, and those of resources.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html: nothing is allowed unless a
statement allows it, and a statement that denies wins. A statement with something that is not evaluated here may
apply; if that decides, the decision is `undecided` and names it.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal, cast

Document = Mapping[str, Any]
#: Condition keys of a request in lower case, and their values. A sequence is the value of a multivalued key; `None`
#: stands for a key that the request is known to lack.
Context = Mapping[str, str | Sequence[str] | None]


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


def decide_for(
    policies: Iterable[Document], principals: Container[str], action: str, resource: str, context: Context
) -> Decision:
    """Decide whether policies of a resource let one of some principals do something to it.

    Args:
        policies: The resource's policies. A statement without `Resource`, as in a trust policy, is about the resource.
        principals: The names that the caller has in policies: ARNs, account ids, `Service:` with a service, and `*`.
        action: The action.
        resource: The resource's ARN.
        context: The values of all condition keys that are known.
    """
    return _judge(
        (
            statement,
            _names(statement, principals)
            and _is_about(statement, action, resource, context, _filling(policy, context), of_resource=True),
        )
        for policy in policies
        for statement in _listed(policy.get("Statement"))
    )


def unevaluated(policies: Iterable[Document], known: Container[str]) -> Iterable[str]:
    """List what may decide in these policies and is not evaluated: condition operators and keys, and variables.

    Args:
        policies: Policy documents.
        known: The condition keys, in lower case, whose values are known for some request.
    """
    for policy in policies:
        for statement in _listed(policy.get("Statement")):
            for comparison, keys in statement.get("Condition", {}).items():
                if _operator(comparison) is None:
                    yield f"the condition operator {comparison}"
                yield from (f"the condition key {key}" for key in keys if key.lower() not in known)


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


def _is_about(
    statement: Document, action: str, resource: str, context: Context, fill: _Fill, *, of_resource: bool = False
) -> _Truth:
    """Return whether a statement allows or denies a request."""
    if not _about(statement, "Action", lambda each: _like(action.lower(), each.lower())):
        return False
    named = of_resource and "Resource" not in statement and "NotResource" not in statement
    return _all(
        (
            named or _about(statement, "Resource", lambda each: _matches(_like, resource, fill(each))),
            _conditions_hold(statement, context, fill),
        )
    )


def _names(statement: Document, principals: Container[str]) -> bool:
    """Return whether a statement of a resource's policy is about one of some principals."""
    excepted = "Principal" not in statement
    principal = statement.get("NotPrincipal" if excepted else "Principal")
    if isinstance(principal, Mapping):
        named = [
            f"Service:{each}" if kind == "Service" else each
            for kind, listed in cast("Document", principal).items()
            for each in _listed(listed)
        ]
    else:
        named = _listed(principal)
    return any(each in principals for each in named) != excepted


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
        _holds(comparison, key, [fill(str(each)) for each in _listed(values)], context)
        for comparison, keys in statement.get("Condition", {}).items()
        for key, values in keys.items()
    )


def _holds(comparison: str, key: str, patterns: list[str | _Unknown], context: Context) -> _Truth:
    known = _operator(comparison)
    if known is None:
        return _Unknown(f"the condition operator {comparison}")
    if key.lower() not in context:
        return _Unknown(f"the condition key {key}")
    quantifier, name = known
    value = context[key.lower()]
    if name == "Null":
        return _some(_matches(_same_but_for_case, str(value is None), each) for each in patterns)
    matches, wanted = _OPERATORS[name]
    if value is None:
        return comparison.endswith("IfExists") or quantifier == "ForAllValues" or (not wanted and not quantifier)
    each_holds: list[_Truth] = []
    for each in (value,) if isinstance(value, str) else value:
        found = _some(_matches(matches, each, pattern) for pattern in patterns)
        each_holds.append(found if wanted else _not(found))
    return _all(each_holds) if quantifier == "ForAllValues" else _some(each_holds)


def _operator(comparison: str) -> tuple[str, str] | None:
    """Return the quantifier and the name of a condition operator; `None` if it is not evaluated."""
    quantifier, _, name = comparison.rpartition(":")
    name = name.removesuffix("IfExists")
    known = (name in _OPERATORS or name == "Null") and quantifier in ("", "ForAllValues", "ForAnyValue")
    return (quantifier, name) if known else None


def _matches(like: Callable[[str, str], bool], text: str, pattern: str | _Unknown) -> _Truth:
    return pattern if isinstance(pattern, _Unknown) else like(text, pattern)


def _filling(policy: Document, context: Context) -> _Fill:
    """Return the function that replaces policy variables, which only policies of this version have."""
    if policy.get("Version") != "2012-10-17":
        return lambda pattern: pattern

    def fill(pattern: str) -> str | _Unknown:
        values: dict[str, str] = {}
        for name in _VARIABLE.findall(pattern):
            value = context.get(name.lower())
            if not isinstance(value, str):
                return _Unknown(f"the policy variable ${{{name}}}")
            values[name] = value
        return _VARIABLE.sub(lambda found: values[found[1]], pattern) if values else pattern

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


def _compared(compare: Callable[[float, float], bool], read: Callable[[str], float]) -> Callable[[str, str], bool]:
    def matches(text: str, other: str) -> bool:
        try:
            return compare(read(text), read(other))
        except ValueError:  # AWS does not match what is not of the operator's type
            return False

    return matches


def _seconds(text: str) -> float:
    """Read a date: ISO 8601, or seconds since 1970."""
    try:
        return float(text)
    except ValueError:
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


#: Comparisons of numbers and dates, by the end of an operator's name.
_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "Equals": operator.eq,
    "GreaterThan": operator.gt,
    "GreaterThanEquals": operator.ge,
    "LessThan": operator.lt,
    "LessThanEquals": operator.le,
}

#: Comparison of each operator, and whether it wants a match:
#: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
_OPERATORS: dict[str, tuple[Callable[[str, str], bool], bool]] = {
    "ArnEquals": (_arn_like, True),
    "ArnLike": (_arn_like, True),
    "ArnNotEquals": (_arn_like, False),
    "ArnNotLike": (_arn_like, False),
    "Bool": (_same_but_for_case, True),
    "StringEquals": (str.__eq__, True),
    "StringEqualsIgnoreCase": (_same_but_for_case, True),
    "StringLike": (_like, True),
    "StringNotEquals": (str.__eq__, False),
    "StringNotEqualsIgnoreCase": (_same_but_for_case, False),
    "StringNotLike": (_like, False),
    "NumericNotEquals": (_compared(operator.eq, float), False),
    "DateNotEquals": (_compared(operator.eq, _seconds), False),
    **{f"Numeric{name}": (_compared(compare, float), True) for name, compare in _COMPARISONS.items()},
    **{f"Date{name}": (_compared(compare, _seconds), True) for name, compare in _COMPARISONS.items()},
}
