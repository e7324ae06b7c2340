"""Messages that CloudWatch publishes when an alarm changes its state, their subjects, and the reasons in words.

AWS documents neither. The shapes are those of messages and alarms that were recorded in public: since 2021 with the
actions and the alarm's ARN, each field in this order.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

_STATISTICS = {"SampleCount": "SAMPLE_COUNT"}

_WORDS = {
    "GreaterThanOrEqualToThreshold": "greater than or equal to",
    "GreaterThanThreshold": "greater than",
    "LessThanOrEqualToThreshold": "less than or equal to",
    "LessThanThreshold": "less than",
}

#: AWS writes the same transitions when the alarm had too little data before.
_TRANSITIONS = {"ALARM": "OK -> ALARM", "OK": "ALARM -> OK"}

_TREATED_AS = {"ALARM": "Breaching", "OK": "NonBreaching"}


def message(alarm: Mapping[str, Any], *, before: str, at: float, account_id: str, region: str) -> dict[str, Any]:
    """Return the document that is published.

    Args:
        alarm: The alarm as DescribeAlarms answers it, in its new state.
        before: Its former state.
        at: When it changed, in seconds since 1970.
        account_id: The account.
        region: The region's name as CloudWatch writes it, such as `US East (N. Virginia)`.
    """
    document = {
        "AlarmName": alarm["AlarmName"],
        "AlarmDescription": alarm.get("AlarmDescription") or None,
        "AWSAccountId": account_id,
        "AlarmConfigurationUpdatedTimestamp": _time(alarm["AlarmConfigurationUpdatedTimestamp"]),
        "NewStateValue": alarm["StateValue"],
        "NewStateReason": alarm["StateReason"],
        "StateChangeTime": _time(at),
        "Region": region,
        "AlarmArn": alarm["AlarmArn"],
        "OldStateValue": before,
        "OKActions": alarm["OKActions"],
        "AlarmActions": alarm["AlarmActions"],
        "InsufficientDataActions": alarm["InsufficientDataActions"],
    }
    if "AlarmRule" in alarm:
        children = json.loads(alarm.get("StateReasonData") or "{}").get("triggeringAlarms", [])
        document |= {
            "AlarmRule": alarm["AlarmRule"],
            "TriggeringChildren": [
                {
                    "Arn": each["arn"],
                    "State": {"Value": each["state"]["value"], "Timestamp": each["state"]["timestamp"]},
                }
                for each in children
            ],
        }
        return document
    return document | {"Trigger": _trigger(alarm)}


def subject(alarm: Mapping[str, Any], region: str) -> str:
    """Return the subject of the message."""
    return f'{alarm["StateValue"]}: "{alarm["AlarmName"]}" in {region}'[:100]


def reason(alarm: Mapping[str, Any], state: str, points: Sequence[tuple[float, float]], *, breaching: int) -> str:
    """Return the reason for an alarm's state.

    Args:
        alarm: The alarm as DescribeAlarms answers it.
        state: Its new state.
        points: Start and value of the periods with data that were evaluated, oldest first.
        breaching: How many of them breach.
    """
    missing = alarm["EvaluationPeriods"] - len(points)
    if state == "INSUFFICIENT_DATA":
        return f"Insufficient Data: {_number(missing)} {_were(missing)} unknown."
    if not points:
        periods = f"{missing} period{'' if missing == 1 else 's'}"
        treated = f"{_number(missing, 'missing datapoint')} {_were(missing)} treated as [{_TREATED_AS[state]}]"
        return f"Threshold Crossed: no datapoints were received for {periods} and {treated}."
    values = ", ".join(
        f"{float(value)} ({datetime.fromtimestamp(at, UTC):%d/%m/%y %H:%M:%S})" for at, value in points[::-1]
    )
    threshold = (
        f"{'not ' * (state == 'OK')}{_WORDS[alarm['ComparisonOperator']]} the threshold ({float(alarm['Threshold'])})"
    )
    counted, needed = len(points), alarm.get("DatapointsToAlarm")
    if needed is None:
        return f"Threshold Crossed: {_number(counted)} [{values}] {_were(counted)} {threshold}."
    agreeing = breaching if state == "ALARM" else counted - breaching
    least = needed if state == "ALARM" else alarm["EvaluationPeriods"] - needed + 1
    return (
        f"Threshold Crossed: {agreeing} out of the last {counted} datapoints [{values}] {_were(agreeing)} {threshold} "
        f"(minimum {_number(least)} for {_TRANSITIONS[state]} transition)."
    )


def _trigger(alarm: Mapping[str, Any]) -> dict[str, Any]:
    judged = {
        "Period": alarm.get("Period"),
        "EvaluationPeriods": alarm["EvaluationPeriods"],
        "DatapointsToAlarm": alarm.get("DatapointsToAlarm"),
        "ComparisonOperator": alarm["ComparisonOperator"],
        "Threshold": float(alarm["Threshold"]),
        "TreatMissingData": alarm.get("TreatMissingData", ""),
        "EvaluateLowSampleCountPercentile": "",
    }
    judged = {name: value for name, value in judged.items() if value is not None}
    if alarm.get("Metrics"):
        return judged | {"Metrics": [_query(each) for each in alarm["Metrics"]]}
    return {
        "MetricName": alarm["MetricName"],
        "Namespace": alarm["Namespace"],
        "StatisticType": "Statistic",
        "Statistic": _STATISTICS.get(alarm["Statistic"], alarm["Statistic"].upper()),
        "Unit": None,
        "Dimensions": _dimensions(alarm),
        **judged,
    }


def _query(query: Mapping[str, Any]) -> dict[str, Any]:
    answer = {name: query[name] for name in ("Expression", "Id", "Label") if name in query}
    if stat := query.get("MetricStat"):
        metric = stat["Metric"]
        answer["MetricStat"] = {
            "Metric": {
                "Dimensions": _dimensions(metric),
                "MetricName": metric["MetricName"],
                "Namespace": metric["Namespace"],
            },
            "Period": stat["Period"],
            "Stat": stat["Stat"],
        }
    return answer | {"ReturnData": query.get("ReturnData", True)}


def _dimensions(described: Mapping[str, Any]) -> list[dict[str, str]]:
    return [{"value": each["Value"], "name": each["Name"]} for each in described.get("Dimensions") or []]


def _time(seconds: float) -> str:
    at = datetime.fromtimestamp(seconds, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}+0000"


def _number(count: int, what: str = "datapoint") -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _were(count: int) -> str:
    return "was" if count == 1 else "were"
