"""Datapoints that CloudWatch would have recorded, by metric."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Metric:
    """Metric: a name in a namespace, with its dimensions."""

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Datapoint:
    """Value at a time, in seconds since 1970."""

    at: float
    value: float


class Metrics:
    """Datapoints of every metric. Safe for threads."""

    def __init__(self) -> None:
        self._points: dict[Metric, list[Datapoint]] = defaultdict(list)
        self._lock = threading.Lock()

    def record(self, name: str, value: float, *, at: float, namespace: str = "AWS/Lambda", **dimensions: str) -> None:
        """Add a datapoint."""
        metric = metric_of(namespace, name, dimensions)
        with self._lock:
            self._points[metric].append(Datapoint(at, value))

    def record_embedded(self, log: str, *, at: float) -> None:
        """Add the datapoints of the lines in CloudWatch's embedded metric format among a function's output."""
        for document in embedded_documents(log):
            for directive in document["_aws"]["CloudWatchMetrics"]:
                for names in directive["Dimensions"]:
                    dimensions = {name: str(document[name]) for name in names}
                    for metric in directive["Metrics"]:
                        self.record(
                            metric["Name"],
                            document[metric["Name"]],
                            at=at,
                            namespace=directive["Namespace"],
                            **dimensions,
                        )

    def datapoints(self, metric: Metric) -> list[Datapoint]:
        """Return the datapoints of one metric, oldest first."""
        with self._lock:
            return sorted(self._points.get(metric, ()), key=lambda point: point.at)

    def summary(self) -> list[dict[str, Any]]:
        """Return every metric with the count, sum and maximum of its values."""
        with self._lock:
            return [
                {
                    "namespace": metric.namespace,
                    "name": metric.name,
                    "dimensions": dict(metric.dimensions),
                    "count": len(points),
                    "sum": sum(point.value for point in points),
                    "maximum": max(point.value for point in points),
                }
                for metric, points in self._points.items()
            ]


def metric_of(namespace: str, name: str, dimensions: Mapping[str, str]) -> Metric:
    """Return the metric with these dimensions, in any order."""
    return Metric(namespace, name, tuple(sorted(dimensions.items())))


def embedded_documents(log: str) -> Iterable[dict[str, Any]]:
    r"""Yield the embedded-metric documents in a log.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html

    >>> list(embedded_documents('START\n{"_aws": {"Timestamp": 0, "CloudWatchMetrics": []}}\n{"level": "INFO"}'))
    [{'_aws': {'Timestamp': 0, 'CloudWatchMetrics': []}}]
    """
    for line in log.splitlines():
        if not line.startswith("{"):
            continue
        try:
            document = json.loads(line)
        except ValueError:
            continue
        if isinstance(document, dict) and "CloudWatchMetrics" in document.get("_aws", {}):
            yield document
