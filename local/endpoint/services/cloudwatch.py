"""CloudWatch's metric API, answered from what was recorded, and its checks of alarms on metric math."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from aws_semantics.dashboard import dashboard_problems
from aws_semantics.metric_math import NotEvaluated, Value, WrongExpression, as_series
from local.endpoint.api.aws_call import AwsCall
from local.endpoint.api.errors import AwsError, NotSimulated
from local.endpoint.api.pages import page_of
from local.endpoint.routes import Routes
from local.engine.alarms.evaluation import STATISTICS, aggregate, query
from local.engine.alarms.metrics import Metrics, metric_of

Parameters = Mapping[str, Any]

#: Datapoints at most in one answer of GetMetricStatistics, and of GetMetricData.
MOST_STATISTICS = 1_440
MOST_DATAPOINTS = 100_800

#: Metrics at most on one page of ListMetrics.
MOST_METRICS = 500

_QUERY_MEMBERS = {"Id", "Expression", "MetricStat", "Label", "ReturnData"}
_STAT_MEMBERS = {"Metric", "Period", "Stat", "Unit"}


class CloudWatch:
    """The operations that read metrics, and PutMetricAlarm.

    Args:
        metrics: The recorded datapoints.
        keep_alarm_metrics: Keeps an alarm's metrics and expressions, by its name; ministack forgets them.
    """

    def __init__(self, metrics: Metrics, keep_alarm_metrics: Callable[[str, list[dict[str, Any]]], None]) -> None:
        self._metrics = metrics
        self._keep_alarm_metrics = keep_alarm_metrics

    @property
    def routes(self) -> Routes:
        """The operations."""
        answered = {
            "cloudwatch:GetMetricData": self.get_metric_data,
            "cloudwatch:GetMetricStatistics": self.get_metric_statistics,
            "cloudwatch:ListMetrics": self.list_metrics,
        }
        return Routes(
            answered=answered,
            checked={
                **{name: [_check_protocol] for name in answered},
                "cloudwatch:PutDashboard": [_check_dashboard],
                "cloudwatch:PutMetricAlarm": [check_alarm],
            },
            tells={"cloudwatch:PutMetricAlarm": [self._keep_metrics]},
        )

    def get_metric_data(self, parameters: Parameters) -> tuple[int, dict[str, Any]]:
        """Answer GetMetricData, for queries that share one period."""
        queries = parameters["MetricDataQueries"]
        period = check_queries(queries)
        starts = _starts(parameters, period, MOST_DATAPOINTS)
        values = _query(queries, self._metrics, starts, period)
        ascending = parameters.get("ScanBy") == "TimestampAscending"
        results = [
            _result(each, as_series(values[each["Id"]], starts), ascending)
            for each in queries
            if each.get("ReturnData", True)
        ]
        return 200, {"MetricDataResults": results, "Messages": []}

    def get_metric_statistics(self, parameters: Parameters) -> tuple[int, dict[str, Any]]:
        """Answer GetMetricStatistics."""
        period = parameters["Period"]
        starts = _starts(parameters, period, MOST_STATISTICS)
        dimensions = {each["Name"]: each["Value"] for each in parameters.get("Dimensions", [])}
        points = self._metrics.datapoints(metric_of(parameters["Namespace"], parameters["MetricName"], dimensions))
        if refused := sorted(set(parameters["Statistics"]) - set(STATISTICS)):
            raise NotSimulated(f"the local endpoint does not compute the statistics {refused}: ask AWS for them")
        series = {name: aggregate(points, name, starts, period) for name in parameters["Statistics"]}
        found = sorted({start for each in series.values() for start in each})
        return 200, {
            "Label": parameters["MetricName"],
            "Datapoints": [
                {"Timestamp": start, "Unit": "None", **{name: each[start] for name, each in series.items()}}
                for start in found
            ],
        }

    def list_metrics(self, parameters: Parameters) -> tuple[int, dict[str, Any]]:
        """Answer ListMetrics, at most 500 on a page."""
        wanted = [(each["Name"], each.get("Value")) for each in parameters.get("Dimensions", [])]
        found = [
            {
                "Namespace": each["namespace"],
                "MetricName": each["name"],
                "Dimensions": [{"Name": name, "Value": value} for name, value in each["dimensions"].items()],
            }
            for each in self._metrics.summary()
            if parameters.get("Namespace") in (None, each["namespace"])
            and parameters.get("MetricName") in (None, each["name"])
            and all(name in each["dimensions"] and value in (None, each["dimensions"][name]) for name, value in wanted)
        ]
        try:
            page, token = page_of(found, size=MOST_METRICS, token=parameters.get("NextToken"))
        except ValueError as wrong:
            raise AwsError("InvalidParameterValue", "Invalid nextToken") from wrong
        return 200, {"Metrics": page, **({} if token is None else {"NextToken": token})}

    def _keep_metrics(self, call: AwsCall) -> None:
        if call.parameters.get("Metrics"):
            self._keep_alarm_metrics(call.parameters["AlarmName"], call.parameters["Metrics"])


def _check_protocol(call: AwsCall) -> None:
    """Refuse to answer in a protocol that nothing here writes."""
    if call.protocol != "json":
        raise NotSimulated(
            f"the local endpoint answers {call} in CloudWatch's JSON protocol only, not in {call.protocol}: "
            "use a current SDK"
        )


def check_alarm(call: AwsCall) -> None:
    """Refuse a metric math alarm that AWS refuses, or that the endpoint does not evaluate.

    Raises:
        AwsError: The alarm is wrong, or uses what is not simulated.
    """
    queries = call.parameters.get("Metrics")
    if not queries:
        return
    _check_protocol(call)
    if "MetricName" in call.parameters:
        raise AwsError("ValidationError", "The parameters MetricName and Metrics cannot be used together.")
    if sum(bool(each.get("ReturnData", True)) for each in queries) != 1:
        raise AwsError("ValidationError", "Exactly one element of the metrics list should return data.")
    period = check_queries(queries)
    _query(queries, Metrics(), [0.0], period)


def _check_dashboard(call: AwsCall) -> None:
    """Refuse a body that CloudWatch could not show."""
    name = call.parameters.get("DashboardName", "")
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,255}", name):
        raise AwsError(
            "InvalidParameterInput",
            f"The dashboard name {name!r} must have 1 to 255 letters, digits, dashes and underscores",
        )
    if problems := dashboard_problems(call.parameters.get("DashboardBody", "")):
        raise AwsError("InvalidParameterInput", f"The dashboard body is invalid: {'; '.join(problems)}")


def check_queries(queries: Sequence[Mapping[str, Any]]) -> int:
    """Return the period that metric data queries share, in seconds.

    Raises:
        AwsError: The queries are wrong, have several periods, or use what is not simulated.
    """
    periods: set[int] = set()
    for each in queries:
        stat = each.get("MetricStat") or {}
        if refused := sorted((set(each) - _QUERY_MEMBERS) | (set(stat) - _STAT_MEMBERS)):
            raise NotSimulated(f"the local endpoint does not honour {', '.join(refused)} of a metric data query")
        if ("Expression" in each) == ("MetricStat" in each):
            raise AwsError("ValidationError", f"The query {each['Id']} needs either Expression or MetricStat.")
        if stat:
            periods.add(stat["Period"])
    if len(periods) != 1:
        raise NotSimulated(f"the local endpoint evaluates metrics of one period together, not of {sorted(periods)}")
    return periods.pop()


def _query(
    queries: Iterable[Mapping[str, Any]], metrics: Metrics, starts: Sequence[float], period: int
) -> dict[str, Value]:
    try:
        values = query(list(queries), metrics.datapoints, starts, period)
        for each in queries:
            if each.get("ReturnData", True):
                as_series(values[each["Id"]], starts)
    except WrongExpression as wrong:
        raise AwsError("ValidationError", f"Error in expression: {wrong}") from wrong
    except NotEvaluated as missing:
        raise NotSimulated(
            f"the local endpoint does not evaluate {missing} in metric math, and an alarm on it would never be right: "
            "write the expression with what aws_semantics/metric_math.py lists, or test it on an AWS account"
        ) from missing
    return values


def _starts(parameters: Parameters, period: int, most: int) -> list[float]:
    first, end = parameters["StartTime"] // period * period, parameters["EndTime"]
    count = int((end - first + period - 1) // period)
    if count <= 0:
        raise AwsError("InvalidParameterValue", "The parameter StartTime must be less than the parameter EndTime.")
    if count > most:
        raise AwsError(
            "InvalidParameterCombination",
            f"You have requested up to {count} datapoints, which exceeds the limit of {most}.",
        )
    return [first + index * period for index in range(count)]


def _result(asked: Mapping[str, Any], series: Mapping[float, float], ascending: bool) -> dict[str, Any]:
    points = sorted(series.items(), reverse=not ascending)
    stat = asked.get("MetricStat")
    label = asked.get("Label") or (stat["Metric"]["MetricName"] if stat else asked["Id"])
    return {
        "Id": asked["Id"],
        "Label": label,
        "Timestamps": [at for at, _ in points],
        "Values": [value for _, value in points],
        "StatusCode": "Complete",
    }
