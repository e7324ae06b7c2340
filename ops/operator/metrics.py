"""Metrics of consumers and pipes, read from CloudWatch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from ops.operator.pipes import Pipe, Reader

#: Seconds of one datapoint.
PERIOD = 300
#: Seconds that `weir status` looks back.
HOUR = 3600
#: Queries that one GetMetricData takes.
_QUERIES = 500


@dataclass(frozen=True)
class Wanted:
    """A metric of a consumer or a pipe.

    Attributes:
        name: Name of the metric.
        statistic: How the values of a period become one.
        of: What it is recorded for.
    """

    name: str
    statistic: Literal["Maximum", "Sum"]
    of: Literal["function", "mapping", "queue"]


STREAM_AGE = Wanted("IteratorAge", "Maximum", "function")
QUEUE_AGE = Wanted("ApproximateAgeOfOldestMessage", "Maximum", "queue")
FAILED = Wanted("FailedInvokeEventCount", "Sum", "mapping")
INVOKED = Wanted("InvokedEventCount", "Sum", "mapping")
POLLED = Wanted("PolledEventCount", "Sum", "mapping")
FILTERED = Wanted("FilteredOutEventCount", "Sum", "mapping")
DROPPED = Wanted("DroppedEventCount", "Sum", "mapping")
ERRORS = Wanted("Errors", "Sum", "function")

Series = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Readings:
    """Datapoints of a reader's metrics in the last hour, oldest first: times (seconds since 1970) and values."""

    series: Mapping[Wanted, Series]

    def total(self, wanted: Wanted) -> int:
        """Return the sum over the hour."""
        return round(sum(value for _, value in self.series.get(wanted, ())))

    def latest(self, wanted: Wanted) -> float | None:
        """Return the last value; `None` without one."""
        return self.series[wanted][-1][1] if self.series.get(wanted) else None

    def earliest(self, wanted: Wanted) -> float | None:
        """Return the first value, which is about an hour old; `None` without one."""
        return self.series[wanted][0][1] if self.series.get(wanted) else None


def read(cloudwatch: Any, readers: Sequence[Reader], *, now: float) -> dict[str, Readings]:
    """Read the metrics of consumers and pipes, by their names.

    Args:
        cloudwatch: A boto3 client of CloudWatch.
        readers: The consumers and pipes.
        now: Seconds since 1970.
    """
    asked = [(reader, wanted) for reader in readers for wanted in _wanted(reader)]
    found: dict[str, dict[Wanted, Series]] = {reader.name: {} for reader in readers}
    for start in range(0, len(asked), _QUERIES):
        part = asked[start : start + _QUERIES]
        pages = cloudwatch.get_paginator("get_metric_data").paginate(
            MetricDataQueries=[_query(f"m{index}", *each) for index, each in enumerate(part)],
            StartTime=datetime.fromtimestamp(now - HOUR - PERIOD, UTC),
            EndTime=datetime.fromtimestamp(now + PERIOD, UTC),
            ScanBy="TimestampAscending",
        )
        for page in pages:
            for result in page["MetricDataResults"]:
                reader, wanted = part[int(result["Id"][1:])]
                points = zip((at.timestamp() for at in result["Timestamps"]), result["Values"], strict=True)
                found[reader.name][wanted] = [*found[reader.name].get(wanted, ()), *points]
    return {name: Readings(series) for name, series in found.items()}


def behind(readings: Readings, reader: Reader) -> tuple[float | None, float | None]:
    """Return the seconds behind the source now and an hour ago; `None` where nothing was recorded."""
    wanted, scale = (QUEUE_AGE, 1) if reader.reads_queue else (STREAM_AGE, 1000)
    now, before = readings.latest(wanted), readings.earliest(wanted)
    return (None if now is None else now / scale), (None if before is None else before / scale)


def _wanted(reader: Reader) -> Sequence[Wanted]:
    if isinstance(reader, Pipe):
        # How far a pipe is behind a stream is not measured.
        return (QUEUE_AGE,) if reader.reads_queue else ()
    if reader.reads_queue:
        return (QUEUE_AGE, ERRORS, FAILED, INVOKED, POLLED, FILTERED)
    return (STREAM_AGE, ERRORS, FAILED, INVOKED, POLLED, FILTERED, DROPPED)


def _query(name: str, reader: Reader, wanted: Wanted) -> dict[str, Any]:
    namespace, dimension, value = _place(reader, wanted)
    metric = {
        "Namespace": namespace,
        "MetricName": wanted.name,
        "Dimensions": [{"Name": dimension, "Value": value}],
    }
    return {"Id": name, "MetricStat": {"Metric": metric, "Period": PERIOD, "Stat": wanted.statistic}}


def _place(reader: Reader, wanted: Wanted) -> tuple[str, str, str]:
    if isinstance(reader, Pipe) or wanted.of == "queue":
        return "AWS/SQS", "QueueName", reader.source.rpartition(":")[2]
    if wanted.of == "function":
        return "AWS/Lambda", "FunctionName", reader.function_name
    return "AWS/Lambda", "EventSourceMappingUUID", reader.uuid
