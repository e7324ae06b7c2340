"""CloudWatch metric math over periods: what an expression comes to for each period, as alarms and GetMetricData see it.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping, Sequence

#: The value of each period, by its start in seconds since 1970; a period without data is absent.
Series = dict[float, float]

#: What an expression can come to.
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

_WORDS = {"&&": " and ", "||": " or ", "AND": "and", "OR": "or"}


class WrongExpression(ValueError):
    """The text is no metric math, or uses an id that nothing has."""


class NotEvaluated(ValueError):
    """The expression uses a part of the language that is not evaluated here."""


def evaluate(expression: str, values: Mapping[str, Value], periods: Sequence[float]) -> Value:
    """The value of an expression.

    Evaluated are numbers, ids, lists, `+ - * /`, comparisons, `AND`, `OR`, `IF`, `FILL` with a number or `REPEAT`, and
    `AVG`, `MAX`, `MIN`, `SUM`, `ABS`, `METRICS()`. A period that an operand has no data for has no result; in a list
    of series the ones with data count; a division by zero gives no data.

    Args:
        expression: E.g. `IF(m1 > 0, m2 / m1, 0)`.
        values: By the id that the expression may use.
        periods: The starts of all periods, oldest first: those that `FILL` fills.

    Raises:
        WrongExpression: It is no metric math.
        NotEvaluated: It uses a function or operator that is not evaluated here.

    Example:
        >>> evaluate("IF(m1 > 1, m1 * 10, FILL(m2, 0))", {"m1": {0: 1, 60: 2}, "m2": {}}, [0, 60])
        {0: 0, 60: 20}
    """
    return _Evaluation(values, periods).of(parse(expression))


def parse(expression: str) -> ast.expr:
    """The expression as a tree.

    Raises:
        WrongExpression: It is no metric math.
    """
    text = re.sub(r"&&|\|\||\b(?:AND|OR)\b", lambda found: _WORDS[found[0]], expression)
    try:
        return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError) as wrong:
        raise WrongExpression(f"{expression!r} is no metric math expression") from wrong


def as_series(value: Value, periods: Sequence[float]) -> Series:
    """What is drawn of a value: a number holds in every period.

    Raises:
        WrongExpression: It is a list of series.
    """
    if isinstance(value, list):
        raise WrongExpression("the expression gives several time series where one is needed")
    return value if isinstance(value, dict) else dict.fromkeys(periods, value)


class _Evaluation:
    def __init__(self, values: Mapping[str, Value], periods: Sequence[float]) -> None:
        self._values = values
        self._periods = periods

    def of(self, node: ast.expr) -> Value:
        match node:
            case ast.Constant(value=bool()):
                raise WrongExpression("True and False are no metric math")
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
                return self._call(name, arguments)
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
                return [value for name, value in self._values.items() if isinstance(value, dict) and name[0] == "m"]
            case "ABS", [operand]:
                return self._for_each_series(
                    self.of(operand), lambda series: {at: abs(value) for at, value in series.items()}
                )
            case _, [operand] if name in _AGGREGATES:
                return self._aggregate(_AGGREGATES[name], self.of(operand))
            case _:
                raise NotEvaluated(name)

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
            # Of one series the functions give one number, which holds in every period.
            values = list(as_series(value, self._periods).values())
            return apply(values) if values else {}
        at_each = {at: [series[at] for series in value if at in series] for at in self._periods}
        return {at: apply(values) for at, values in at_each.items() if values}
