"""What a CloudWatch metric math expression comes to: enough of the language to tell when an alarm on it fires.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_AGGREGATE: dict[str, Callable[[list[float]], float]] = {
    "MAX": max,
    "MIN": min,
    "SUM": sum,
    "AVG": lambda values: sum(values) / len(values),
}
_OPERATORS = {"&&": " and ", "||": " or "}


class NotEvaluated(ValueError):
    """The expression uses what is not evaluated here."""


def evaluate(expression: str, values: Mapping[str, float]) -> float:
    """The value of an expression.

    Args:
        expression: Metric math, e.g. `MAX([m1, m2]) / 1000`.
        values: The value of each metric or expression it may use, by id.

    Raises:
        NotEvaluated: It is not metric math, or uses a function that is not evaluated here.

    Example:
        >>> evaluate("IF(m1 > 1000 && m2 > 0, m1 / 1000, 0)", {"m1": 3000, "m2": 1})
        3.0
    """
    text = re.sub(r"&&|\|\|", lambda match: _OPERATORS[match[0]], expression)
    try:
        tree = ast.parse(text.strip(), mode="eval").body
        return float(_value(tree, values))
    except NotEvaluated:
        raise
    except (SyntaxError, TypeError, ValueError, ZeroDivisionError, KeyError, RecursionError) as error:
        raise NotEvaluated(f"not evaluated: {type(error).__name__}") from error


def _value(node: ast.expr, values: Mapping[str, float]) -> Any:
    match node:
        case ast.Constant(value=int() | float() as number):
            return number
        case ast.Name(id=name):
            return values[name]
        case ast.List(elts=elements) | ast.Tuple(elts=elements):
            return [_value(element, values) for element in elements]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, values)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return not _value(operand, values)
        case ast.BinOp(left=left, op=sign, right=right) if type(sign) in _BINARY:
            return _BINARY[type(sign)](_value(left, values), _value(right, values))
        case ast.Compare(left=left, ops=[sign], comparators=[right]):
            return _COMPARE[type(sign)](_value(left, values), _value(right, values))
        case ast.BoolOp(op=sign, values=operands):
            answers = [bool(_value(operand, values)) for operand in operands]
            return all(answers) if isinstance(sign, ast.And) else any(answers)
        case ast.Call(func=ast.Name(id=name), args=arguments):
            return _call(name.upper(), arguments, values)
        case _:
            raise NotEvaluated(f"not evaluated: {type(node).__name__}")


def _call(name: str, arguments: list[ast.expr], values: Mapping[str, float]) -> Any:
    if name == "METRICS":
        part = arguments[0].value if arguments and isinstance(arguments[0], ast.Constant) else ""
        return [value for key, value in values.items() if str(part) in key]
    if name == "IF" and len(arguments) in (2, 3):
        chosen = arguments[1] if _value(arguments[0], values) else (arguments[2] if len(arguments) == 3 else None)
        return 0.0 if chosen is None else _value(chosen, values)
    if name in ("FILL", "ABS", "CEIL", "FLOOR"):
        # FILL speaks about missing data; rounding moves an age by a millisecond.
        return _value(arguments[0], values)
    if name in _AGGREGATE:
        operands = [_value(argument, values) for argument in arguments]
        flat = operands[0] if len(operands) == 1 and isinstance(operands[0], list) else operands
        return _AGGREGATE[name](flat)
    raise NotEvaluated(f"not evaluated: {name}")
