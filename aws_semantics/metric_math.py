"""CloudWatch metric math over periods: the value of an expression in each period, as alarms and GetMetricData see it.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
"""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Collection, Mapping, Sequence

#: The value of each period, by its start in seconds since 1970; a period without data is absent.
Series = dict[float, float]

#: The value of an expression: a number, a time series or a list of them.
Value = float | Series | list[Series]

_OPERATORS: Mapping[type[ast.AST], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.And: lambda left, right: float(bool(left) and bool(right)),
    ast.Or: lambda left, right: float(bool(left) or bool(right)),
}

_AGGREGATES: Mapping[str, Callable[[Sequence[float]], float]] = {
    "AVG": lambda values: sum(values) / len(values),
    "MAX": max,
    "MIN": min,
    "SUM": sum,
}

_OF_EACH_VALUE: Mapping[str, Callable[[float], float]] = {"ABS": abs, "CEIL": math.ceil, "FLOOR": math.floor}

#: Words and signs that Python spells differently. Text in quotes is left as it is.
_WORDS = {"&&": " and ", "||": " or ", "AND": "and", "OR": "or", "IF": "IF"}
_WORD = re.compile(r"\"[^\"]*\"|'[^']*'|&&|\|\||\b(?:and|or|if)\b", re.IGNORECASE)


class WrongExpression(ValueError):
    """An expression that is not metric math, or that uses an unknown id."""


#: Levels of nesting up to which an expression is evaluated.
DEEPEST = 100


class NotEvaluated(ValueError):
    """An expression that uses a part of the language which is not evaluated here."""


def evaluate(
    expression: str,
    values: Mapping[str, Value],
    periods: Sequence[float],
    *,
    metrics: Collection[str] | None = None,
) -> Value:
    """Evaluate an expression.

    Evaluated are numbers, ids, lists, `+ - * /`, comparisons, `AND`, `OR`, `IF`, `FILL` with a number or `REPEAT`, and
    `AVG`, `MAX`, `MIN`, `SUM`, `ABS`, `CEIL`, `FLOOR`, `METRICS()` and `METRICS("part of an id")`; words may be written
    in lower case. A period for which an operand has no data has no result; in a list of series the ones with data
    count; a division by zero gives no data.

    Args:
        expression: E.g. `IF(m1 > 0, m2 / m1, 0)`.
        values: The value of each metric and expression, by the id that the expression may use.
        periods: The starts of all periods, oldest first: those that `FILL` fills.
        metrics: The ids that `METRICS()` returns. By default those that begin with `m`, as CloudWatch's console names
            metrics and not expressions.

    Raises:
        WrongExpression: It is not metric math, or uses an id without a value.
        NotEvaluated: It uses a function or operator that is not evaluated here.

    Example:
        >>> evaluate("IF(m1 > 1, m1 * 10, FILL(m2, 0))", {"m1": {0: 1, 60: 2}, "m2": {}}, [0, 60])
        {0: 0, 60: 20}
    """
    if metrics is None:
        metrics = [name for name in values if name.startswith("m")]
    tree = parse(expression)
    if _depth(tree) > DEEPEST:
        raise NotEvaluated("an expression of that depth")
    try:
        return _Evaluation(values, periods, metrics).of(tree)
    except OverflowError as beyond:
        raise NotEvaluated("an expression of that size") from beyond


def evaluate_all(
    expressions: Mapping[str, str], metrics: Mapping[str, Series], periods: Sequence[float]
) -> dict[str, Value]:
    """Evaluate expressions that may use each other, in any order.

    Args:
        expressions: The expressions by their ids.
        metrics: The metrics by theirs.
        periods: The starts of all periods, oldest first.

    Returns:
        The values of the metrics and the expressions.

    Raises:
        WrongExpression: An expression is not metric math, or they refer to each other in a circle.
        NotEvaluated: An expression uses what is not evaluated here.

    Example:
        >>> evaluate_all({"hours": "ms / 3600000", "ms": "m1 * 1000"}, {"m1": {0: 7200}}, [0])["hours"]
        {0: 2.0}
    """
    values: dict[str, Value] = dict(metrics)
    waiting = dict(expressions)
    while waiting:
        failed: dict[str, str] = {}
        reason: WrongExpression | None = None
        for key, expression in waiting.items():
            try:
                values[key] = evaluate(expression, values, periods, metrics=metrics)
            except WrongExpression as wrong:
                # It may use an expression that is evaluated later.
                failed[key], reason = expression, wrong
        if reason is not None and len(failed) == len(waiting):
            raise reason
        waiting = failed
    return values


def parse(expression: str) -> ast.expr:
    """Parse an expression into a tree.

    Raises:
        WrongExpression: It is not metric math.
    """
    text = _WORD.sub(lambda found: _WORDS.get(found[0].upper(), found[0]), expression)
    try:
        return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as wrong:
        raise WrongExpression(f"{expression!r} is not a metric math expression") from wrong


def as_series(value: Value, periods: Sequence[float]) -> Series:
    """Return a value as one time series; a number holds in every period.

    Raises:
        WrongExpression: It is a list of series.
    """
    if isinstance(value, list):
        raise WrongExpression("the expression gives several time series where one is needed")
    return value if isinstance(value, dict) else dict.fromkeys(periods, value)


def _depth(tree: ast.expr) -> int:
    """Measure how deep an expression nests, level by level: a deep one has no room on Python's stack."""
    depth, level = 0, [tree]
    while level:
        depth += 1
        level = [child for node in level for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr)]
    return depth


class _Evaluation:
    def __init__(self, values: Mapping[str, Value], periods: Sequence[float], metrics: Collection[str]) -> None:
        self._values = values
        self._periods = periods
        self._metrics = metrics

    def of(self, node: ast.expr) -> Value:
        match node:
            case ast.Constant(value=bool()):
                raise WrongExpression("True and False are not metric math")
            case ast.Constant(value=int() | float() as number):
                return number
            case ast.Name(id=name):
                if name not in self._values:
                    raise WrongExpression(f"no metric or expression has the id {name}")
                return self._values[name]
            case ast.List(elts=elements):
                return [self._series(element) for element in elements]
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return self._each(operator.sub, 0, self.of(operand))
            case ast.BinOp(left=left, op=sign, right=right) if type(sign) in _OPERATORS:
                return self._each(_OPERATORS[type(sign)], self.of(left), self.of(right))
            case ast.Compare(left=left, ops=[sign], comparators=[right]) if type(sign) in _OPERATORS:
                return self._each(_OPERATORS[type(sign)], self.of(left), self.of(right))
            case ast.BoolOp(op=sign, values=[first, *others]):
                result = self.of(first)
                for other in others:
                    result = self._each(_OPERATORS[type(sign)], result, self.of(other))
                return result
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
                return self._call(name.upper(), arguments)
            case _:
                raise NotEvaluated(ast.unparse(node))

    def _call(self, name: str, arguments: list[ast.expr]) -> Value:
        match name, arguments:
            case "IF", [condition, true, *false] if len(false) <= 1:
                return self._if(self.of(condition), self.of(true), self.of(false[0]) if false else {})
            case "FILL", [filled, ast.Name(id="REPEAT")]:
                return self._for_each_series(self.of(filled), self._repeat)
            case "FILL", [filled, ast.Constant(value=int() | float() as number)]:
                return self._for_each_series(
                    self.of(filled), lambda series: {at: series.get(at, number) for at in self._periods}
                )
            case "METRICS", []:
                return self._metrics_with("")
            case "METRICS", [ast.Constant(value=str() as part)]:
                return self._metrics_with(part)
            case _, [operand] if name in _OF_EACH_VALUE:
                change = _OF_EACH_VALUE[name]
                return self._for_each_series(
                    self.of(operand), lambda series: {at: change(value) for at, value in series.items()}
                )
            case _, [operand] if name in _AGGREGATES:
                return self._aggregate(_AGGREGATES[name], self.of(operand))
            case _:
                raise NotEvaluated(name)

    def _metrics_with(self, part: str) -> Value:
        return [
            as_series(value, self._periods)
            for name, value in self._values.items()
            if name in self._metrics and part in name
        ]

    def _series(self, node: ast.expr) -> Series:
        return as_series(self.of(node), self._periods)

    def _each(self, apply: Callable[[float, float], float], left: Value, right: Value) -> Value:
        if isinstance(left, list) or isinstance(right, list):
            raise NotEvaluated("an operator on a list of time series")
        if not isinstance(left, dict) and not isinstance(right, dict):
            try:
                return apply(left, right)
            except ZeroDivisionError:
                return {}
        first, second = as_series(left, self._periods), as_series(right, self._periods)
        result: Series = {}
        for at in sorted(first.keys() & second.keys()):
            try:
                result[at] = apply(first[at], second[at])
            except ZeroDivisionError:
                continue
        return result

    def _if(self, condition: Value, true: Value, false: Value) -> Value:
        conditions = as_series(condition, self._periods)
        branches = as_series(false, self._periods), as_series(true, self._periods)
        chosen = {at: branches[bool(held)] for at, held in conditions.items()}
        return {at: branch[at] for at, branch in chosen.items() if at in branch}

    def _repeat(self, series: Series) -> Series:
        filled: Series = {}
        last: float | None = None
        for at in self._periods:
            last = series.get(at, last)
            if last is not None:
                filled[at] = last
        return filled

    def _for_each_series(self, value: Value, change: Callable[[Series], Series]) -> Value:
        if isinstance(value, list):
            return [change(series) for series in value]
        return change(as_series(value, self._periods))

    def _aggregate(self, apply: Callable[[Sequence[float]], float], value: Value) -> Value:
        if not isinstance(value, list):
            # For one series the functions return one number, which holds in every period.
            values = list(as_series(value, self._periods).values())
            return apply(values) if values else {}
        at_each = {at: [series[at] for series in value if at in series] for at in self._periods}
        return {at: apply(values) for at, values in at_each.items() if values}
