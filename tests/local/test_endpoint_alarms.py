"""Alarms: how they are evaluated, and what a client of CloudWatch sees of it."""

from __future__ import annotations

import json

import pytest

from local.alarms import evaluate
from local.metrics import Datapoint

ALARM = {
    "Statistic": "Sum",
    "Period": 60,
    "EvaluationPeriods": 1,
    "Threshold": 1.0,
    "ComparisonOperator": "GreaterThanOrEqualToThreshold",
    "TreatMissingData": "notBreaching",
    "StateValue": "INSUFFICIENT_DATA",
}


def state(points, *, now=600.0, **changes):
    datapoints = [Datapoint(at, value) for at, value in points]
    return evaluate({**ALARM, **changes}, datapoints, now=now)[0]


def test_the_last_period_that_is_over_counts():
    assert state([(545, 1)]) == "ALARM"
    assert state([(545, 1)], now=659) == "ALARM"
    assert state([(545, 1)], now=660) == "OK"
    assert state([(605, 1)], now=650) == "OK"


@pytest.mark.parametrize(
    ("statistic", "threshold", "expected"),
    [
        ("Sum", 6, "ALARM"),
        ("Sum", 7, "OK"),
        ("Maximum", 3, "ALARM"),
        ("Maximum", 4, "OK"),
        ("Average", 2, "ALARM"),
        ("Average", 2.1, "OK"),
        ("Minimum", 1, "ALARM"),
        ("Minimum", 1.1, "OK"),
        ("SampleCount", 3, "ALARM"),
        ("SampleCount", 4, "OK"),
    ],
)
def test_the_statistic_makes_one_value_of_a_period(statistic, threshold, expected):
    assert state([(550, 1), (560, 2), (570, 3)], Statistic=statistic, Threshold=threshold) == expected


@pytest.mark.parametrize(
    ("comparison", "expected"),
    [
        ("GreaterThanOrEqualToThreshold", "ALARM"),
        ("GreaterThanThreshold", "OK"),
        ("LessThanOrEqualToThreshold", "ALARM"),
        ("LessThanThreshold", "OK"),
    ],
)
def test_the_comparison_decides_at_the_threshold(comparison, expected):
    assert state([(550, 1)], ComparisonOperator=comparison) == expected


def test_so_many_of_so_many_periods_must_breach():
    points = [(430, 5), (550, 5)]  # two of the last three minutes
    assert state(points, EvaluationPeriods=3, DatapointsToAlarm=2) == "ALARM"
    assert state(points, EvaluationPeriods=3, DatapointsToAlarm=3) == "OK"
    assert state(points, EvaluationPeriods=3) == "OK"


@pytest.mark.parametrize(
    ("treatment", "alone", "among"),
    [
        ("notBreaching", "OK", "OK"),
        ("breaching", "ALARM", "ALARM"),
        ("ignore", "INSUFFICIENT_DATA", "OK"),
        ("missing", "INSUFFICIENT_DATA", "OK"),
    ],
)
def test_periods_without_data_are_treated_as_the_alarm_says(treatment, alone, among):
    assert state([], TreatMissingData=treatment) == alone
    assert state([(550, 0)], EvaluationPeriods=3, DatapointsToAlarm=2, TreatMissingData=treatment) == among


@pytest.fixture
def alarm(world):
    """An alarm on failed batches of the test's function that tells a queue; the queue's URL."""
    queue = world.client("sqs").create_queue(QueueName=world.name)["QueueUrl"]
    arn = world.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"][
        "QueueArn"
    ]
    topic = world.client("sns").create_topic(Name=world.name)["TopicArn"]
    world.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    world.client("cloudwatch").put_metric_alarm(
        AlarmName=world.name,
        Namespace="AWS/Lambda",
        MetricName="Errors",
        Dimensions=[{"Name": "FunctionName", "Value": world.name}],
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        TreatMissingData="notBreaching",
        AlarmActions=[topic],
        OKActions=[topic],
    )
    return queue


def seen(world) -> str:
    (described,) = world.client("cloudwatch").describe_alarms(AlarmNames=[world.name])["MetricAlarms"]
    return described["StateValue"]


def told(world, queue) -> list[str]:
    messages = world.client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
    return [json.loads(json.loads(message["Body"])["Message"])["NewStateValue"] for message in messages]


def start_of_a_period(world) -> None:
    """Move the clock to where a minute has just begun, so that what follows is in one."""
    world.control.advance_clock(60 - world.control.advance_clock(0) % 60)


def test_an_alarm_fires_once_its_period_is_over_and_is_over_a_period_later(world, alarm):
    world.function()
    assert seen(world) == "INSUFFICIENT_DATA"
    start_of_a_period(world)
    world.client("lambda").invoke(FunctionName=world.name, Payload='{"no": "records"}')
    world.control.advance_clock(60)
    assert world.control.evaluate_alarms()[world.name] == "ALARM"
    assert seen(world) == "ALARM"
    world.control.advance_clock(60)
    assert world.control.evaluate_alarms()[world.name] == "OK"
    assert seen(world) == "OK"
    assert told(world, alarm) == ["ALARM", "OK"]


def test_a_state_that_stays_runs_no_action_again(world, alarm):
    world.function()
    start_of_a_period(world)
    world.client("lambda").invoke(FunctionName=world.name, Payload='{"no": "records"}')
    at = world.control.advance_clock(60)
    assert [world.control.evaluate_alarms(at)[world.name] for _ in range(2)] == ["ALARM", "ALARM"]
    assert told(world, alarm) == ["ALARM"]


def test_another_functions_errors_do_not_fire_it(world, alarm):
    world.function(name=f"{world.name}-other")
    start_of_a_period(world)
    world.client("lambda").invoke(FunctionName=f"{world.name}-other", Payload='{"no": "records"}')
    world.control.advance_clock(60)
    assert world.control.evaluate_alarms()[world.name] == "OK"
