"""The rules of a dashboard's body, each with a body that breaks it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aws_semantics.dashboard import dashboard_problems

GRAPH: dict[str, Any] = {"region": "us-east-1", "metrics": [["AWS/Lambda", "Errors", "FunctionName", "f"]]}


def body(*widgets: Any) -> str:
    return json.dumps({"widgets": widgets})


def widget(kind: str = "metric", properties: Any = GRAPH, **place: Any) -> dict[str, Any]:
    return {"type": kind, "properties": properties, **place}


def test_a_body_that_cloudwatch_takes_has_no_problem() -> None:
    expression = [{"expression": "m1 / 1000", "id": "e1"}]
    named = ["AWS/Lambda", "Errors", "FunctionName", "f", {"id": "m1"}]
    alarms = widget("alarm", {"alarms": ["arn:aws:cloudwatch:us-east-1:1:alarm:a"]}, x=0, y=0, width=24, height=2)
    assert dashboard_problems(body(alarms, widget(properties={**GRAPH, "metrics": [named, expression]}))) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "/: it is not JSON"),
        ("[]", "/widgets: there must be a list of widgets"),
        (body(*[widget()] * 501), "/widgets: 501 are more than 500"),
        (body(7), "/widgets/0: it is not an object"),
        (body(widget("pie")), "/widgets/0/type: 'pie' is not one of alarm, metric, text"),
        (body(widget(properties=None)), "/widgets/0/properties: there must be an object"),
        (body(widget(x=24)), "/widgets/0/x: 24 is not 0 to 23"),
        (body(widget(height=1001)), "/widgets/0/height: 1001 is not 1 to 1000"),
        (body(widget(properties={"metrics": [["a", "b"]]})), "/widgets/0/properties/region: a graph needs the region"),
        (body(widget(properties={**GRAPH, "metrics": []})), "/widgets/0/properties/metrics: a graph needs metrics"),
        (body(widget(properties={**GRAPH, "period": 90})), "/widgets/0/properties/period: 90 is neither"),
        (
            body(widget(properties={**GRAPH, "metrics": [["a", "b", "c"]]})),
            "/widgets/0/properties/metrics/0: it must be",
        ),
        (
            body(widget(properties={**GRAPH, "metrics": [["a", "b"]] * 501})),
            "/widgets/0/properties/metrics: 501 are more than 500",
        ),
        (
            body(*[widget(properties={**GRAPH, "metrics": [["a", "b"]] * 500})] * 6),
            "/widgets: 3000 metrics are more than 2500",
        ),
        (body(widget("alarm", {"alarms": []})), "/widgets/0/properties/alarms: there must be ARNs"),
        (body(widget("alarm", {"alarms": ["x"]})), "/widgets/0/properties/alarms/0: 'x' is not the ARN of an alarm"),
        (
            body(widget("alarm", {"alarms": ["arn:aws:cloudwatch:r:1:alarm:a"] * 101})),
            "/widgets/0/properties/alarms: 101 are more than 100",
        ),
        (body(widget("text", {})), "/widgets/0/properties/markdown: there must be a text"),
    ],
)
def test_a_body_that_cloudwatch_refuses_is_named_with_its_path(text: str, problem: str) -> None:
    assert any(each.startswith(problem) for each in dashboard_problems(text)), dashboard_problems(text)
