"""Metric math: what expressions come to for each period."""

from __future__ import annotations

import pytest

from aws_semantics.metric_math import NotEvaluated, WrongExpression, evaluate

PERIODS = [0, 60, 120]
VALUES = {"m1": {0: 1.0, 60: 4.0}, "m2": {60: 2.0, 120: 3.0}, "e1": {120: 9.0}}


def value(expression):
    return evaluate(expression, VALUES, PERIODS)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("m1", {0: 1, 60: 4}),
        ("m1 + m2", {60: 6}),
        ("m1 - 1", {0: 0, 60: 3}),
        ("2 * m1 / 4", {0: 0.5, 60: 2}),
        ("-m1", {0: -1, 60: -4}),
        ("ABS(-m1)", {0: 1, 60: 4}),
        ("FILL(m1, 0)", {0: 1, 60: 4, 120: 0}),
        ("FILL(m1, REPEAT)", {0: 1, 60: 4, 120: 4}),
        ("FILL(m2, REPEAT)", {60: 2, 120: 3}),
        ("MAX([m1, m2])", {0: 1, 60: 4, 120: 3}),
        ("MIN([m1, m2, 3])", {0: 1, 60: 2, 120: 3}),
        ("SUM([m1, m2])", {0: 1, 60: 6, 120: 3}),
        ("AVG(METRICS())", {0: 1, 60: 3, 120: 3}),
        ("SUM(m1)", 5),
        ("MAX(FILL(m1, 7))", 7),
        ("m1 > 2", {0: False, 60: True}),
        ("IF(m1 > 2, m1, 0)", {0: 0, 60: 4}),
        ("IF(m1 > 2, m1)", {60: 4}),
        ("IF(FILL(m1, 0) > 0 && m2 > 0, 1, 0)", {60: 1, 120: 0}),
        ("IF(m1 > 3 OR m1 < 2, 1, 0)", {0: 1, 60: 1}),
        ("IF(m1 > 3 AND m1 < 2, 1, 0)", {0: 0, 60: 0}),
        ("m1 / (m1 - 1)", {60: 4 / 3}),
        ("1 / 0", {}),
        ("e1 * 2", {120: 18}),
        ("m1 / 0", {}),
        ("CEIL(m1 / 3)", {0: 1, 60: 2}),
        ("FLOOR(m1 / 3)", {0: 0, 60: 1}),
        ('MAX(METRICS("2"))', {60: 2, 120: 3}),
        ('MAX(METRICS("m"))', {0: 1, 60: 4, 120: 3}),
        ("if(m1 > 2 and m1 < 5, max([m1, m2]), 0)", {0: 0, 60: 4}),
        ("If(m1 > 3 Or m1 < 2, 1, 0)", {0: 1, 60: 1}),
        ("fill(m1, REPEAT)", {0: 1, 60: 4, 120: 4}),
        ("-m1 + 2 * ceil(m1 / 3)", {0: 1, 60: 0}),
    ],
)
def test_an_expression_has_a_value_for_each_period_that_it_has_data_for(expression, expected):
    assert value(expression) == expected


def test_metrics_are_the_ids_that_are_said_to_be_metrics():
    assert evaluate("SUM(METRICS())", VALUES, PERIODS, metrics=["m2", "e1"]) == {60: 2, 120: 12}
    assert evaluate('SUM(METRICS("or"))', {"orders": {0: 1.0}}, [0], metrics=["orders"]) == {0: 1}


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("m1", 3000),
        ("m1 / 1000", 3),
        ("(m1 + m2) * 2 - 1", 6001),
        ("MAX([m1, m2])", 3000),
        ("MAX(METRICS())", 3000),
        ('MIN(METRICS("m"))', 1),
        ("AVG([m1, m2, 2])", 1001),
        ("IF(m1 > 1000, m1, 0)", 3000),
        ("IF(m1 > 1000 && m2 == 0, 1, 0)", 0),
        ("IF(m1 > 1000 AND m2 > 0, m1, 0)", 3000),
        ("FILL(m1, REPEAT)", 3000),
        ("FLOOR(m1)", 3000),
        ("-m2", -1),
    ],
)
def test_one_period_has_one_value(expression, value):
    assert evaluate(expression, {"m1": {0: 3000.0}, "m2": {0: 1.0}}, [0]) == {0: value}


@pytest.mark.parametrize(
    "expression", ["m1 +", "m3", "__import__('os')['x'", "(m1", "True", "", "m1[", "SELECT MAX(x) FROM y", "(" * 300]
)
def test_what_is_no_metric_math_is_wrong(expression):
    with pytest.raises(WrongExpression):
        value(expression)


@pytest.mark.parametrize(
    "expression",
    [
        "ANOMALY_DETECTION_BAND(m1)",
        "ANOMALY_DETECTION_BAND(m1, 2)",
        "__import__('os')",
        "METRICS(m1)",
        "-" * 1500 + "m1",
        "RATE(m1)",
        "FILL(m1, LINEAR)",
        "m1 ** 2",
        "SEARCH('x', 'Sum', 60)",
        "[m1, m2] * 2",
        "m1.real",
        "IF(m1)",
        "(lambda: m1)()",
        "'m1'",
    ],
)
def test_what_is_not_evaluated_says_so(expression):
    with pytest.raises(NotEvaluated):
        value(expression)
