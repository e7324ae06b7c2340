"""Notifications of alarms, compared with messages that were recorded on AWS."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from local.engine.alarms.notifications import message, reason, subject


def at(text: str) -> float:
    return datetime.strptime(text, "%d/%m/%y %H:%M:%S").replace(tzinfo=UTC).timestamp()


def judged(comparison: str, threshold: float, periods: int = 1, needed: int | None = 1) -> dict:
    alarm = {"ComparisonOperator": comparison, "Threshold": threshold, "EvaluationPeriods": periods}
    return alarm if needed is None else {**alarm, "DatapointsToAlarm": needed}


@pytest.mark.parametrize(
    ("alarm", "state", "points", "breaching", "recorded"),
    [
        (
            judged("GreaterThanOrEqualToThreshold", 1.0, 3, 3),
            "ALARM",
            [("06/12/21 14:10:00", 1.0), ("06/12/21 14:15:00", 1.0), ("06/12/21 14:20:00", 1.0)],
            3,
            (
                "Threshold Crossed: 3 out of the last 3 datapoints [1.0 (06/12/21 14:20:00), 1.0 (06/12/21 "
                "14:15:00), 1.0 "
                "(06/12/21 14:10:00)] were greater than or equal to the threshold (1.0) (minimum 3 datapoints for OK "
                "-> "
                "ALARM transition)."
            ),
        ),
        (
            judged("LessThanOrEqualToThreshold", 10.0, 2, 2),
            "ALARM",
            [("23/09/20 13:19:00", 0.0), ("23/09/20 14:19:00", 0.6832886416666666)],
            2,
            (
                "Threshold Crossed: 2 out of the last 2 datapoints [0.6832886416666666 (23/09/20 14:19:00), 0.0 "
                "(23/09/20 "
                "13:19:00)] were less than or equal to the threshold (10.0) (minimum 2 datapoints for OK -> ALARM "
                "transition)."
            ),
        ),
        (
            judged("GreaterThanThreshold", 50.0),
            "OK",
            [("10/06/21 04:23:00", 9.395)],
            0,
            (
                "Threshold Crossed: 1 out of the last 1 datapoints [9.395 (10/06/21 04:23:00)] was not greater than "
                "the "
                "threshold (50.0) (minimum 1 datapoint for ALARM -> OK transition)."
            ),
        ),
        (
            judged("GreaterThanThreshold", 3.0, needed=None),
            "ALARM",
            [("17/01/26 17:02:00", 63.0)],
            1,
            "Threshold Crossed: 1 datapoint [63.0 (17/01/26 17:02:00)] was greater than the threshold (3.0).",
        ),
        (
            judged("GreaterThanThreshold", 3.0),
            "OK",
            [],
            0,
            (
                "Threshold Crossed: no datapoints were received for 1 period and 1 missing datapoint was treated as "
                "[NonBreaching]."
            ),
        ),
        (
            judged("GreaterThanThreshold", 3.0),
            "ALARM",
            [],
            0,
            (
                "Threshold Crossed: no datapoints were received for 1 period and 1 missing datapoint was treated as "
                "[Breaching]."
            ),
        ),
        (judged("LessThanThreshold", 1.0), "INSUFFICIENT_DATA", [], 0, "Insufficient Data: 1 datapoint was unknown."),
    ],
)
def test_a_reason_is_worded_as_cloudwatch_words_it(alarm, state, points, breaching, recorded):
    assert reason(alarm, state, [(at(time), value) for time, value in points], breaching=breaching) == recorded


def test_of_m_out_of_n_the_reason_counts_what_agrees_with_the_state():
    points = [(60.0, 5.0), (120.0, 0.0), (180.0, 5.0)]
    alarm = judged("GreaterThanThreshold", 1.0, 3, 2)
    assert "2 out of the last 3 datapoints" in reason(alarm, "ALARM", points, breaching=2)
    assert "minimum 2 datapoints for OK -> ALARM" in reason(alarm, "ALARM", points, breaching=2)
    calm = reason(alarm, "OK", points, breaching=1)
    assert "2 out of the last 3 datapoints" in calm
    assert "were not greater than the threshold (1.0) (minimum 2 datapoints for ALARM -> OK transition)." in calm


TOPIC = "arn:aws:sns:us-east-2:999999999999:topic"

ALARM = {
    "AlarmName": "busy",
    "AlarmDescription": "too busy",
    "AlarmArn": "arn:aws:cloudwatch:us-east-2:999999999999:alarm:busy",
    "AlarmConfigurationUpdatedTimestamp": 1_692_282_552,
    "StateValue": "ALARM",
    "StateReason": "because",
    "OKActions": [],
    "AlarmActions": [TOPIC],
    "InsufficientDataActions": [],
}

METRIC = {
    "MetricName": "CPUUtilization",
    "Namespace": "AWS/EC2",
    "Dimensions": [{"Name": "InstanceId", "Value": "i-0"}],
}

JUDGED = {
    "EvaluationPeriods": 1,
    "DatapointsToAlarm": 1,
    "ComparisonOperator": "GreaterThanThreshold",
    "Threshold": 0,
    "TreatMissingData": "missing",
}


def published(alarm: dict) -> dict:
    return message(alarm, before="OK", at=1_695_039_981.408, account_id="999999999999", region="US East (Ohio)")


HEAD = {
    "AlarmName": "busy",
    "AlarmDescription": "too busy",
    "AWSAccountId": "999999999999",
    "AlarmConfigurationUpdatedTimestamp": "2023-08-17T14:29:12.000+0000",
    "NewStateValue": "ALARM",
    "NewStateReason": "because",
    "StateChangeTime": "2023-09-18T12:26:21.408+0000",
    "Region": "US East (Ohio)",
    "AlarmArn": "arn:aws:cloudwatch:us-east-2:999999999999:alarm:busy",
    "OldStateValue": "OK",
    "OKActions": [],
    "AlarmActions": [TOPIC],
    "InsufficientDataActions": [],
}


def test_the_message_of_a_metric_alarm_has_its_metric_as_the_trigger():
    document = published({**ALARM, **METRIC, **JUDGED, "Statistic": "SampleCount", "Period": 60})
    assert document == HEAD | {
        "Trigger": {
            "MetricName": "CPUUtilization",
            "Namespace": "AWS/EC2",
            "StatisticType": "Statistic",
            "Statistic": "SAMPLE_COUNT",
            "Unit": None,
            "Dimensions": [{"value": "i-0", "name": "InstanceId"}],
            "Period": 60,
            "EvaluationPeriods": 1,
            "DatapointsToAlarm": 1,
            "ComparisonOperator": "GreaterThanThreshold",
            "Threshold": 0.0,
            "TreatMissingData": "missing",
            "EvaluateLowSampleCountPercentile": "",
        }
    }
    assert isinstance(document["Trigger"]["Threshold"], float)


def test_the_message_of_an_alarm_on_metric_math_has_its_queries():
    queries = [
        {"Id": "e1", "Expression": "m1 * 2", "Label": "twice", "ReturnData": True},
        {"Id": "m1", "MetricStat": {"Metric": METRIC, "Period": 60, "Stat": "Sum"}, "ReturnData": False},
    ]
    trigger = published({**ALARM, **JUDGED, "Metrics": queries})["Trigger"]
    assert "MetricName" not in trigger
    assert "Period" not in trigger
    assert trigger["Metrics"] == [
        {"Expression": "m1 * 2", "Id": "e1", "Label": "twice", "ReturnData": True},
        {
            "Id": "m1",
            "MetricStat": {
                "Metric": {
                    "Dimensions": [{"value": "i-0", "name": "InstanceId"}],
                    "MetricName": "CPUUtilization",
                    "Namespace": "AWS/EC2",
                },
                "Period": 60,
                "Stat": "Sum",
            },
            "ReturnData": False,
        },
    ]


def test_the_message_of_a_composite_alarm_has_its_rule_and_what_triggered_it():
    below = f"{ALARM['AlarmArn']}-below"
    data = (
        '{"triggeringAlarms": [{"arn": "' + below + '", '
        '"state": {"value": "ALARM", "timestamp": "2021-11-10T02:45:55.640+0000"}}]}'
    )
    assert published({**ALARM, "AlarmRule": "ALARM(below)", "StateReasonData": data}) == HEAD | {
        "AlarmRule": "ALARM(below)",
        "TriggeringChildren": [
            {"Arn": below, "State": {"Value": "ALARM", "Timestamp": "2021-11-10T02:45:55.640+0000"}}
        ],
    }
    assert published({**ALARM, "AlarmRule": "ALARM(below)"})["TriggeringChildren"] == []


def test_an_alarm_without_a_description_has_none():
    assert published({**ALARM, "AlarmRule": "TRUE", "AlarmDescription": ""})["AlarmDescription"] is None


def test_the_subject_names_the_state_the_alarm_and_the_region():
    assert subject(ALARM, "US West (Oregon)") == 'ALARM: "busy" in US West (Oregon)'
