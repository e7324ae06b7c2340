"""Bodies of CloudWatch dashboards, judged by their published structure.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

#: A dashboard is 24 units wide and as high as needed; a widget is 1 to 1,000 units high.
_WIDTH, _HEIGHT = 24, 1000
#: Widgets of one dashboard, metrics of one widget, metrics of all widgets.
_WIDGETS, _METRICS, _ALL_METRICS = 500, 500, 2500

_NEEDED: Mapping[str, tuple[str, ...]] = {
    "metric": ("region",),
    "text": ("markdown",),
    "log": ("query", "region"),
    "alarm": ("alarms",),
    "explorer": ("metrics", "labels", "widgetOptions"),
    "custom": ("endpoint",),
}


def problems(body: str) -> list[str]:
    """List what CloudWatch would refuse, or show as an empty or broken widget."""
    try:
        document = json.loads(body)
    except ValueError as error:
        return [f"the body is not JSON: {error}"]
    widgets = document.get("widgets", [])
    found = [f"{len(widgets)} widgets: a dashboard has {_WIDGETS}"] if len(widgets) > _WIDGETS else []
    if unknown := document.keys() - {"widgets", "start", "end", "periodOverride", "variables"}:
        found.append(f"unknown members: {', '.join(sorted(unknown))}")
    metrics = 0
    for number, widget in enumerate(widgets):
        found += [f"widget {number}: {problem}" for problem in _widget(widget)]
        metrics += len(widget.get("properties", {}).get("metrics", []))
    if metrics > _ALL_METRICS:
        found.append(f"{metrics} metrics: a dashboard has {_ALL_METRICS}")
    return found + list(_overlaps(widgets))


def _widget(widget: Mapping[str, Any]) -> Iterator[str]:
    kind, properties = widget.get("type"), widget.get("properties", {})
    if kind not in _NEEDED:
        yield f"type {kind!r} is not one of {', '.join(_NEEDED)}"
        return
    for name in _NEEDED[kind]:
        if name not in properties and not (name == "region" and "accountId" in properties):
            yield f"a {kind} widget without {name}"
    x, width, height = widget.get("x", 0), widget.get("width", 6), widget.get("height", 6)
    if not (0 <= x < _WIDTH and 1 <= width <= _WIDTH and x + width <= _WIDTH):
        yield f"x={x} and width={width} leave the {_WIDTH} columns"
    if not 1 <= height <= _HEIGHT:
        yield f"height={height} is not 1 to {_HEIGHT}"
    if kind == "metric" and not (properties.get("metrics") or properties.get("annotations", {}).get("alarms")):
        yield "a metric widget without metrics or an alarm"
    for metric in properties.get("metrics", []) if kind == "metric" else []:
        names = [each for each in metric if not isinstance(each, Mapping)]
        if names and (len(names) % 2 or len(names) > 2 + 2 * 30):
            yield f"{metric}: a namespace, a metric's name, and pairs of a dimension's name and value"
    if len(properties.get("metrics", [])) > _METRICS:
        yield f"{len(properties['metrics'])} metrics: a widget has {_METRICS}"


def _overlaps(widgets: list[Mapping[str, Any]]) -> Iterator[str]:
    taken: dict[tuple[int, int], int] = {}
    for number, widget in enumerate(widgets):
        if "x" not in widget or "y" not in widget:
            continue
        for column in range(widget["x"], widget["x"] + widget.get("width", 6)):
            for row in range(widget["y"], widget["y"] + widget.get("height", 6)):
                if (other := taken.setdefault((column, row), number)) != number:
                    yield f"widgets {other} and {number} lie over each other"
                    return
