"""Evaluation of metric alarms: a function of an alarm, the recorded datapoints and the time.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from aws_semantics.metric_math import NotEvaluated, Series, Value, as_series, evaluate_all
from local.engine.alarms.metrics import Datapoint, Metric, metric_of
from local.engine.alarms.notifications import reason

State = Literal["OK", "ALARM", "INSUFFICIENT_DATA"]

#: Returns a metric's datapoints.
Read = Callable[[Metric], Sequence[Datapoint]]

#: Periods before the evaluated ones whose datapoints stand in for missing ones. AWS says that there are some and shows
#: two for three periods; how many it takes otherwise is not documented.
EXTRA_PERIODS = 2

STATISTICS: Mapping[str, Callable[[Sequence[float]], float]] = {
    "Average": lambda values: sum(values) / len(values),
    "Maximum": max,
    "Minimum": min,
    "SampleCount": len,
    "Sum": sum,
}

_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "GreaterThanOrEqualToThreshold": lambda value, threshold: value >= threshold,
    "GreaterThanThreshold": lambda value, threshold: value > threshold,
    "LessThanOrEqualToThreshold": lambda value, threshold: value <= threshold,
    "LessThanThreshold": lambda value, threshold: value < threshold,
}


def evaluate(alarm: Mapping[str, Any], read: Read, *, now: float) -> tuple[State, str]:
    """Return the state of an alarm and the reason for it.

    The last EvaluationPeriods periods that are over count, aligned to the clock; DatapointsToAlarm of them must be
    breaching. A period without data is what TreatMissingData says, unless datapoints of the `EXTRA_PERIODS` before
    can stand in for it.
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html

    Args:
        alarm: The alarm as DescribeAlarms answers it.
        read: The recorded datapoints.
        now: Seconds since 1970.
    """
    period, count = period_of(alarm), alarm["EvaluationPeriods"]
    end = now // period * period
    starts = [end - period * back for back in range(count + EXTRA_PERIODS, 0, -1)]
    series = _alarmed(alarm, read, starts, period)
    threshold, breaches = alarm["Threshold"], _COMPARISONS[alarm["ComparisonOperator"]]
    breaching = [breaches(series[start], threshold) if start in series else None for start in starts]
    state = judge(
        breaching,
        count=count,
        needed=alarm.get("DatapointsToAlarm", count),
        missing=_treatment(alarm),
        before=alarm.get("StateValue", "INSUFFICIENT_DATA"),
    )
    known = [(start, series[start]) for start in starts if start in series][-count:]
    breaching_ones = sum(breaches(value, threshold) for _, value in known)
    return state, reason(alarm, state, known, breaching=breaching_ones)


def judge(breaching: Sequence[bool | None], *, count: int, needed: int, missing: str, before: State) -> State:
    """Return the state that periods lead to.

    Args:
        breaching: Whether each period breaches, oldest first; `None` without data. The last `count` are evaluated.
        count: EvaluationPeriods.
        needed: DatapointsToAlarm.
        missing: TreatMissingData.
        before: The state so far.

    Example:
        >>> judge([False, None, True, True, None], count=3, needed=2, missing="notBreaching", before="OK")
        'ALARM'
    """
    known = [each for each in breaching if each is not None][-count:]
    if not known:
        states: dict[str, State] = {"breaching": "ALARM", "notBreaching": "OK", "ignore": before}
        return states.get(missing, "INSUFFICIENT_DATA")
    filled = count - len(known)
    assumed = filled if missing == "breaching" else 0
    if sum(known) + assumed >= needed:
        return "ALARM"
    # Do not wait any longer for a breach that is old enough and was not followed by a good datapoint.
    age = len(breaching) - next(index for index, each in enumerate(breaching) if each is not None)
    if filled and all(known) and age >= needed and missing in ("missing", "ignore"):
        return "ALARM" if missing == "missing" else before
    return "OK"


def period_of(alarm: Mapping[str, Any]) -> int:
    """Return the length of an alarm's periods in seconds; the longest of its metrics if it is on an expression."""
    periods = [each["MetricStat"]["Period"] for each in alarm.get("Metrics") or [] if each.get("MetricStat")]
    return max(periods) if periods else alarm["Period"]


def metrics_of(alarm: Mapping[str, Any]) -> list[Metric]:
    """Return the metrics that an alarm watches: one, or those of its expression."""
    if not alarm.get("Metrics"):
        return [_metric(alarm)]
    return [_metric(each["MetricStat"]["Metric"]) for each in alarm["Metrics"] if each.get("MetricStat")]


def query(queries: Sequence[Mapping[str, Any]], read: Read, starts: Sequence[float], period: float) -> dict[str, Value]:
    """Return the values of metric data queries by their ids, an expression's from those that it names.

    Args:
        queries: As PutMetricAlarm and GetMetricData take them.
        read: The recorded datapoints.
        starts: The starts of the periods, oldest first.
        period: Length of one, in seconds.

    Raises:
        WrongExpression: An expression is not one, or expressions name each other in a circle.
        NotEvaluated: An expression uses a function that is not evaluated here.
    """
    metrics = {
        each["Id"]: aggregate(read(_metric(stat["Metric"])), stat["Stat"], starts, period)
        for each in queries
        if (stat := each.get("MetricStat"))
    }
    return evaluate_all({each["Id"]: each["Expression"] for each in queries if each.get("Expression")}, metrics, starts)


def aggregate(points: Sequence[Datapoint], statistic: str, starts: Sequence[float], period: float) -> Series:
    """Return a statistic of each period that has data.

    Raises:
        NotEvaluated: The statistic is not one of `STATISTICS`.
    """
    if statistic not in STATISTICS:
        raise NotEvaluated(f"the statistic {statistic}")
    within: dict[float, list[float]] = {}
    for point in points:
        start = point.at // period * period
        within.setdefault(start, []).append(point.value)
    return {start: STATISTICS[statistic](within[start]) for start in starts if start in within}


def _alarmed(alarm: Mapping[str, Any], read: Read, starts: Sequence[float], period: float) -> Series:
    if not alarm.get("Metrics"):
        return aggregate(read(_metric(alarm)), alarm["Statistic"], starts, period)
    watched = next(each["Id"] for each in alarm["Metrics"] if each.get("ReturnData", True))
    return as_series(query(alarm["Metrics"], read, starts, period)[watched], starts)


def _metric(described: Mapping[str, Any]) -> Metric:
    dimensions = {each["Name"]: each["Value"] for each in described.get("Dimensions") or []}
    return metric_of(described["Namespace"], described["MetricName"], dimensions)


def _treatment(alarm: Mapping[str, Any]) -> str:
    # Alarms on this namespace ignore missing data whatever they say.
    return "ignore" if alarm.get("Namespace") == "AWS/DynamoDB" else alarm.get("TreatMissingData", "missing")
