"""Evaluation of metric alarms: a pure function of an alarm, its metric's datapoints and the time.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from local.metrics import Datapoint

State = Literal["OK", "ALARM", "INSUFFICIENT_DATA"]

_STATISTICS: Mapping[str, Callable[[Sequence[float]], float]] = {
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


def evaluate(alarm: Mapping[str, Any], datapoints: Sequence[Datapoint], *, now: float) -> tuple[State, str]:
    """The state of an alarm and the reason for it.

    The last EvaluationPeriods periods that are over count, aligned to the clock; DatapointsToAlarm of them must be
    breaching. A period without data is what TreatMissingData says.

    Args:
        alarm: As DescribeAlarms answers it.
        datapoints: Of the alarm's metric with its dimensions.
        now: Seconds since 1970.
    """
    period, count = alarm["Period"], alarm["EvaluationPeriods"]
    needed = alarm.get("DatapointsToAlarm", count)
    threshold, breaches = alarm["Threshold"], _COMPARISONS[alarm["ComparisonOperator"]]
    end = now // period * period
    values: list[float | None] = []
    for start in (end - period * (count - index) for index in range(count)):
        within = [point.value for point in datapoints if start <= point.at < start + period]
        values.append(_STATISTICS[alarm["Statistic"]](within) if within else None)
    missing = alarm.get("TreatMissingData", "missing")
    if all(value is None for value in values):
        return _without_data(missing, alarm.get("StateValue", "INSUFFICIENT_DATA"))
    assumed = missing == "breaching"
    breaching = sum(assumed if value is None else breaches(value, threshold) for value in values)
    seen = ", ".join("none" if value is None else f"{value:g}" for value in values)
    if breaching >= needed:
        return "ALARM", f"{breaching} of {count} datapoints [{seen}] reached the threshold {threshold:g}"
    return "OK", f"{breaching} of {count} datapoints [{seen}] reached the threshold {threshold:g}, {needed} are needed"


def _without_data(missing: str, before: State) -> tuple[State, str]:
    match missing:
        case "breaching":
            return "ALARM", "no datapoints, which this alarm treats as breaching"
        case "notBreaching":
            return "OK", "no datapoints, which this alarm treats as not breaching"
        case "ignore":
            return before, "no datapoints, and the state is kept"
        case _:
            return "INSUFFICIENT_DATA", "no datapoints"
