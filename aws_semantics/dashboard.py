"""The body of a CloudWatch dashboard: the rules that PutDashboard holds it against.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from aws_semantics.limits import Range

#: Widgets of a dashboard, its columns, and the height of a widget.
WIDGETS = 500
COLUMNS = 24
HEIGHTS = Range(1, 1_000)

#: Metrics of one graph, metrics of all graphs of a dashboard, and alarms of an alarm widget
#: (https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_limits.html).
METRICS_OF_WIDGET = 500
METRICS_OF_DASHBOARD = 2_500
ALARMS_OF_WIDGET = 100

_PERIODS = (1, 5, 10, 30)


def dashboard_problems(body: str) -> list[str]:
    """List what is wrong with a dashboard's body, each with its path; empty if nothing is.

    >>> dashboard_problems('{"widgets": [{"type": "text", "width": 25, "properties": {"markdown": "hello"}}]}')
    ['/widgets/0/width: 25 is not 1 to 24']

    Args:
        body: The body as JSON text.
    """
    try:
        document = json.loads(body)
    except ValueError as wrong:
        return [f"/: it is not JSON: {wrong}"]
    if not isinstance(document, dict) or not isinstance(document.get("widgets"), list):
        return ["/widgets: there must be a list of widgets"]
    widgets: list[Any] = document["widgets"]
    problems = [f"/widgets: {len(widgets)} are more than {WIDGETS}"] if len(widgets) > WIDGETS else []
    problems += [
        f"/widgets/{index}{problem}" for index, widget in enumerate(widgets) for problem in _widget_problems(widget)
    ]
    metrics = sum(len(_metrics(widget)) for widget in widgets)
    if metrics > METRICS_OF_DASHBOARD:
        problems.append(f"/widgets: {metrics} metrics are more than {METRICS_OF_DASHBOARD}")
    return problems


def _widget_problems(widget: Any) -> Iterator[str]:
    if not isinstance(widget, Mapping):
        yield ": it is not an object"
        return
    for name, allowed in (
        ("width", Range(1, COLUMNS)),
        ("height", HEIGHTS),
        ("x", Range(0, COLUMNS - 1)),
        ("y", Range(0, 2**31)),
    ):
        if name in widget and widget[name] not in allowed:
            yield f"/{name}: {widget[name]} is not {allowed}"
    check, properties = _KINDS.get(str(widget.get("type"))), widget.get("properties")
    if check is None:
        yield f"/type: {widget.get('type')!r} is not one of {', '.join(_KINDS)}"
    elif not isinstance(properties, Mapping):
        yield "/properties: there must be an object"
    else:
        yield from (f"/properties{problem}" for problem in check(properties))


def _metric_problems(properties: Mapping[str, Any]) -> Iterator[str]:
    metrics = properties.get("metrics", ())
    if not isinstance(properties.get("region"), str):
        yield "/region: a graph needs the region of its metrics"
    if not metrics:
        yield "/metrics: a graph needs metrics"
    if len(metrics) > METRICS_OF_WIDGET:
        yield f"/metrics: {len(metrics)} are more than {METRICS_OF_WIDGET}"
    period = properties.get("period", 60)
    if period not in _PERIODS and (not isinstance(period, int) or period <= 0 or period % 60):
        yield f"/period: {period} is neither 1, 5, 10, 30 nor a multiple of 60"
    for index, metric in enumerate(metrics):
        named = [each for each in metric if not isinstance(each, Mapping)]
        is_expression = not named and isinstance(metric, Sequence) and "expression" in metric[0]
        if not is_expression and (len(named) < 2 or len(named) % 2 or not all(isinstance(each, str) for each in named)):
            yield f"/metrics/{index}: it must be a namespace, a metric, and names and values of dimensions"


def _alarm_problems(properties: Mapping[str, Any]) -> Iterator[str]:
    alarms = properties.get("alarms", ())
    if not alarms:
        yield "/alarms: there must be ARNs of alarms"
    if len(alarms) > ALARMS_OF_WIDGET:
        yield f"/alarms: {len(alarms)} are more than {ALARMS_OF_WIDGET}"
    for index, alarm in enumerate(alarms):
        if not str(alarm).startswith("arn:aws") or ":alarm:" not in str(alarm):
            yield f"/alarms/{index}: {alarm!r} is not the ARN of an alarm"


def _text_problems(properties: Mapping[str, Any]) -> Iterator[str]:
    if not isinstance(properties.get("markdown"), str):
        yield "/markdown: there must be a text"


def _metrics(widget: Any) -> Sequence[Any]:
    properties = widget.get("properties") if isinstance(widget, Mapping) else None
    return properties.get("metrics", ()) if isinstance(properties, Mapping) else ()


_KINDS: Mapping[str, Callable[[Mapping[str, Any]], Iterator[str]]] = {
    "alarm": _alarm_problems,
    "metric": _metric_problems,
    "text": _text_problems,
}
