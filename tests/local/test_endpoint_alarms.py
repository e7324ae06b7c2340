"""Alarms: how they are evaluated, and what a client of CloudWatch sees of it."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

import pytest
from botocore.exceptions import ClientError

from local.engine.alarms.evaluation import evaluate, judge
from local.engine.alarms.metrics import Datapoint

honours = pytest.mark.honours

ALARM = {
    "Namespace": "AWS/Lambda",
    "MetricName": "Errors",
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
    return evaluate({**ALARM, **changes}, lambda _: datapoints, now=now)[0]


def test_the_last_period_that_is_over_counts():
    assert state([(545, 1)]) == "ALARM"
    assert state([(545, 1)], now=659) == "ALARM"
    assert state([(605, 1)], now=650) == "OK"
    assert state([(545, 1), (605, 0)], now=660) == "OK"


def test_the_last_datapoint_stands_in_for_missing_ones_of_the_next_two_periods():
    assert state([(545, 1)], now=779) == "ALARM"
    assert state([(545, 1)], now=780) == "OK"


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
    points = [(250, 0), (430, 5), (550, 5)]  # two of the last three minutes
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


# The two tables of the guide: datapoints oldest first, X breaching and 0 not, the last three evaluated.
@pytest.mark.parametrize(
    ("datapoints", "needed", "missing", "ignore", "breaching", "not_breaching"),
    [
        ("0-X-X", 3, "OK", "OK", "OK", "OK"),
        ("0----", 3, "OK", "OK", "OK", "OK"),
        ("-----", 3, "INSUFFICIENT_DATA", "kept", "ALARM", "OK"),
        ("0XX-X", 3, "ALARM", "ALARM", "ALARM", "ALARM"),
        ("--X--", 3, "ALARM", "kept", "ALARM", "OK"),
        ("0-X-X", 2, "ALARM", "ALARM", "ALARM", "ALARM"),
        ("00X0X", 2, "ALARM", "ALARM", "ALARM", "ALARM"),
        ("0-X--", 2, "OK", "OK", "ALARM", "OK"),
        ("----0", 2, "OK", "OK", "ALARM", "OK"),
        ("---X-", 2, "ALARM", "kept", "ALARM", "OK"),
    ],
)
def test_missing_datapoints_are_judged_as_the_guides_tables_say(
    datapoints, needed, missing, ignore, breaching, not_breaching
):
    periods = [{"X": True, "0": False, "-": None}[each] for each in datapoints]
    expected = {"missing": missing, "ignore": ignore, "breaching": breaching, "notBreaching": not_breaching}
    for before in ("OK", "ALARM"):
        states = {
            treatment: judge(periods, count=3, needed=needed, missing=treatment, before=before)
            for treatment in expected
        }
        assert states == {name: before if state == "kept" else state for name, state in expected.items()}


@pytest.fixture
def alarm(world):
    """An alarm on failed batches of the test's function that tells a queue; the queue's URL."""
    queue = world.client("sqs").create_queue(QueueName=world.name)["QueueUrl"]
    arn = world.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"][
        "QueueArn"
    ]
    topic = world.client("sns").create_topic(Name=world.name)["TopicArn"]
    world.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    world.let_in(queue, "sns", topic)
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


def subjects(world, queue) -> list[dict]:
    """Take what an alarm has said out of its queue."""
    sqs = world.client("sqs")
    messages = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
    for message in messages:
        sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    return [json.loads(json.loads(message["Body"])["Message"]) for message in messages]


def told(world, queue) -> list[str]:
    return [message["NewStateValue"] for message in subjects(world, queue)]


def start_of_a_period(world, queue=None) -> None:
    """Move the clock to where a minute has just begun, so that what follows is in one.

    With a queue, what its alarm has said so far is forgotten: the endpoint evaluates alarms by itself too, and may just
    have done it.
    """
    world.control.advance_clock(60 - world.control.advance_clock(0) % 60)
    if queue is not None:
        world.control.evaluate_alarms()
        told(world, queue)


@honours(
    "cloudwatch:PutMetricAlarm",
    "AlarmName Namespace MetricName Dimensions Statistic Period EvaluationPeriods Threshold",
)
@honours("cloudwatch:PutMetricAlarm", "ComparisonOperator TreatMissingData AlarmActions OKActions")
def test_an_alarm_fires_once_its_period_is_over_and_is_over_when_its_datapoint_is_too_old(world, alarm):
    world.function()
    start_of_a_period(world, alarm)
    world.client("lambda").invoke(FunctionName=world.name, Payload='{"no": "records"}')
    world.control.advance_clock(60)
    assert world.control.evaluate_alarms()[world.name] == "ALARM"
    assert seen(world) == "ALARM"
    world.control.advance_clock(180)
    assert world.control.evaluate_alarms()[world.name] == "OK"
    assert seen(world) == "OK"
    assert told(world, alarm) == ["ALARM", "OK"]


@honours("cloudwatch:SetAlarmState", "AlarmName StateValue StateReason")
def test_alarms_are_evaluated_without_being_asked(world, alarm):
    world.client("cloudwatch").put_metric_alarm(
        AlarmName=f"{world.name}-fast",
        Namespace="AWS/Lambda",
        MetricName="Invocations",
        Dimensions=[{"Name": "FunctionName", "Value": world.name}],
        Statistic="Sum",
        Period=10,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="LessThanThreshold",
        TreatMissingData="breaching",
        AlarmActions=world.client("cloudwatch").describe_alarms(AlarmNames=[world.name])["MetricAlarms"][0][
            "OKActions"
        ],
    )
    # From here on the endpoint knows of a period of ten seconds, and half a second of one is left.
    world.control.advance_clock((9.5 - world.control.advance_clock(0)) % 10)
    world.control.evaluate_alarms(at=0)
    told(world, alarm)
    world.client("cloudwatch").set_alarm_state(
        AlarmName=f"{world.name}-fast", StateValue="OK", StateReason="set by the test"
    )
    world.wait_until(lambda: "ALARM" in told(world, alarm))
    world.client("cloudwatch").delete_alarms(AlarmNames=[f"{world.name}-fast"])


def test_a_state_that_stays_runs_no_action_again(world, alarm):
    world.function()
    start_of_a_period(world, alarm)
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


@honours("cloudwatch:PutMetricAlarm", "DatapointsToAlarm InsufficientDataActions ActionsEnabled AlarmDescription")
@honours("cloudwatch:DescribeAlarms", "AlarmNames StateValue AlarmTypes")
@honours("cloudwatch:DeleteAlarms", "AlarmNames")
def test_an_alarm_does_what_each_of_its_members_says(world, alarm):
    cloudwatch = world.client("cloudwatch")
    (described,) = cloudwatch.describe_alarms(AlarmNames=[world.name])["MetricAlarms"]
    put = {
        **{name: described[name] for name in ("Namespace", "MetricName", "Dimensions", "Statistic", "Period")},
        **{name: described[name] for name in ("Threshold", "ComparisonOperator")},
        "AlarmName": world.name,
        "AlarmDescription": "two of three",
        "EvaluationPeriods": 3,
        "DatapointsToAlarm": 2,
        "InsufficientDataActions": described["OKActions"],
    }
    cloudwatch.put_metric_alarm(**put, ActionsEnabled=False)
    cloudwatch.set_alarm_state(AlarmName=world.name, StateValue="OK", StateReason="set by the test")
    world.control.evaluate_alarms()
    assert (seen(world), told(world, alarm)) == ("INSUFFICIENT_DATA", [])
    cloudwatch.put_metric_alarm(**put)
    cloudwatch.set_alarm_state(AlarmName=world.name, StateValue="OK", StateReason="set by the test")
    world.control.evaluate_alarms()
    (message,) = subjects(world, alarm)
    assert (message["NewStateValue"], message["AlarmDescription"]) == ("INSUFFICIENT_DATA", "two of three")

    cloudwatch.put_metric_alarm(**put, TreatMissingData="notBreaching")
    world.function()
    start_of_a_period(world)
    states = []
    for event in ('{"no": "records"}', '{"Records": []}', '{"no": "records"}'):
        world.client("lambda").invoke(FunctionName=world.name, Payload=event)
        states.append(world.control.evaluate_alarms(world.control.advance_clock(60))[world.name])
    assert states == ["OK", "OK", "ALARM"]

    def found(**selected):
        return [each["AlarmName"] for each in cloudwatch.describe_alarms(**selected)["MetricAlarms"]]

    assert found(AlarmNames=[world.name], StateValue="ALARM") == [world.name]
    assert found(AlarmNames=[world.name], StateValue="OK") == []
    assert found(AlarmNames=[world.name], AlarmTypes=["CompositeAlarm"]) == []
    cloudwatch.delete_alarms(AlarmNames=[world.name])
    assert found(AlarmNames=[world.name]) == []


@honours(
    "cloudwatch:PutCompositeAlarm",
    "OKActions AlarmActions InsufficientDataActions AlarmDescription ActionsEnabled",
)
def test_a_composite_alarm_does_what_each_of_its_members_says(world, alarm):
    cloudwatch = world.client("cloudwatch")
    topic = cloudwatch.describe_alarms(AlarmNames=[world.name])["MetricAlarms"][0]["OKActions"]
    above = f"{world.name}-above"

    def put(**settings):
        cloudwatch.put_composite_alarm(
            AlarmName=above,
            AlarmRule=f'ALARM("{world.name}")',
            AlarmDescription="one below",
            **dict.fromkeys(("AlarmActions", "OKActions", "InsufficientDataActions"), topic),
            **settings,
        )

    def set_state(name, *states):
        for state in states:
            cloudwatch.set_alarm_state(AlarmName=name, StateValue=state, StateReason="set by the test")

    def heard():
        messages = [message for message in subjects(world, alarm) if message["AlarmName"] == above]
        assert all(message["AlarmDescription"] == "one below" for message in messages)
        return [message["NewStateValue"] for message in messages]

    put(ActionsEnabled=False)
    set_state(world.name, "ALARM", "OK")
    assert heard() == []
    put()
    set_state(world.name, "ALARM", "OK")
    set_state(above, "INSUFFICIENT_DATA")
    assert heard() == ["ALARM", "OK", "INSUFFICIENT_DATA"]


def function_metric(world, name, query_id, **settings):
    metric = {
        "Namespace": "AWS/Lambda",
        "MetricName": name,
        "Dimensions": [{"Name": "FunctionName", "Value": world.name}],
    }
    return {"Id": query_id, "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Sum"}, **settings}


def math_alarm(world, expression, *, threshold=50.0, name=None):
    world.client("cloudwatch").put_metric_alarm(
        AlarmName=name or f"{world.name}-rate",
        Metrics=[
            {"Id": "e1", "Expression": expression, "ReturnData": True},
            function_metric(world, "Errors", "m1", ReturnData=False),
            function_metric(world, "Invocations", "m2", ReturnData=False),
        ],
        EvaluationPeriods=1,
        Threshold=threshold,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="notBreaching",
    )


@honours("cloudwatch:PutMetricAlarm", "Metrics")
def test_an_alarm_on_metric_math_fires_by_the_values_of_its_expression(world):
    world.function()
    math_alarm(world, "IF(m2 > 1, 100 * FILL(m1, 0) / m2, 0)")
    start_of_a_period(world)
    for event in ('{"no": "records"}', '{"Records": []}'):
        world.client("lambda").invoke(FunctionName=world.name, Payload=event)
    at = world.control.advance_clock(60)
    assert world.control.evaluate_alarms(at)[f"{world.name}-rate"] == "OK"  # one of two failed: 50 is not above 50
    math_alarm(world, "IF(m2 > 1, 100 * FILL(m1, 0) / m2, 0)", threshold=49.0)
    assert world.control.evaluate_alarms(at)[f"{world.name}-rate"] == "ALARM"
    (described,) = world.client("cloudwatch").describe_alarms(AlarmNames=[f"{world.name}-rate"])["MetricAlarms"]
    assert [each["Id"] for each in described["Metrics"]] == ["e1", "m1", "m2"]
    assert "Period" not in described


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("ANOMALY_DETECTION_BAND(m1, 2)", "does not evaluate ANOMALY_DETECTION_BAND"),
        ("m1 +", "is not a metric math expression"),
        ("m1 + m9", "no metric or expression has the id m9"),
        ("METRICS()", "several time series"),
    ],
)
def test_an_expression_that_would_never_be_right_is_refused_when_the_alarm_is_put(world, expression, message):
    with pytest.raises(world.client("cloudwatch").exceptions.ClientError, match=re.escape(message)):
        math_alarm(world, expression)


@honours("cloudwatch:PutCompositeAlarm", "AlarmName AlarmRule AlarmActions")
def test_a_composite_alarm_follows_its_alarms_and_tells_its_topic(world, alarm):
    world.function()
    topic = world.client("cloudwatch").describe_alarms(AlarmNames=[world.name])["MetricAlarms"][0]["OKActions"]
    math_alarm(world, "FILL(m1, 0)", threshold=5.0, name=f"{world.name}-many")
    world.client("cloudwatch").put_composite_alarm(
        AlarmName=f"{world.name}-few",
        AlarmRule=f'ALARM("{world.name}") AND NOT ALARM("{world.name}-many")',
        AlarmActions=topic,
    )
    start_of_a_period(world)
    world.client("lambda").invoke(FunctionName=world.name, Payload='{"no": "records"}')
    states = world.control.evaluate_alarms(world.control.advance_clock(60))
    assert states[f"{world.name}-few"] == "ALARM"
    messages = [message for message in subjects(world, alarm) if message["AlarmName"] == f"{world.name}-few"]
    assert [message["NewStateValue"] for message in messages] == ["ALARM"]


def test_the_topic_gets_the_message_that_cloudwatch_sends(world, alarm):
    world.function()
    start_of_a_period(world)
    began = world.control.advance_clock(0) // 60 * 60
    world.client("lambda").invoke(FunctionName=world.name, Payload='{"no": "records"}')
    world.control.evaluate_alarms(world.control.advance_clock(60))
    (received,) = world.client("sqs").receive_message(QueueUrl=alarm)["Messages"]
    notification = json.loads(received["Body"])
    topic = notification["TopicArn"]
    assert notification["Subject"] == f'ALARM: "{world.name}" in US East (N. Virginia)'
    message = json.loads(notification["Message"])
    for changing in ("AlarmConfigurationUpdatedTimestamp", "StateChangeTime"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000", message.pop(changing))
    period = datetime.fromtimestamp(began, UTC).strftime("%d/%m/%y %H:%M:%S")
    assert message == {
        "AlarmName": world.name,
        "AlarmDescription": None,
        "AWSAccountId": "111122223333",
        "NewStateValue": "ALARM",
        "NewStateReason": (
            f"Threshold Crossed: 1 datapoint [1.0 ({period})] was greater than or equal to the threshold (1.0)."
        ),
        "Region": "US East (N. Virginia)",
        "AlarmArn": f"arn:aws:cloudwatch:us-east-1:111122223333:alarm:{world.name}",
        "OldStateValue": "INSUFFICIENT_DATA",
        "OKActions": [topic],
        "AlarmActions": [topic],
        "InsufficientDataActions": [],
        "Trigger": {
            "MetricName": "Errors",
            "Namespace": "AWS/Lambda",
            "StatisticType": "Statistic",
            "Statistic": "SUM",
            "Unit": None,
            "Dimensions": [{"value": world.name, "name": "FunctionName"}],
            "Period": 60,
            "EvaluationPeriods": 1,
            "ComparisonOperator": "GreaterThanOrEqualToThreshold",
            "Threshold": 1.0,
            "TreatMissingData": "notBreaching",
            "EvaluateLowSampleCountPercentile": "",
        },
    }


def test_the_topic_of_a_composite_alarm_is_told_which_alarm_triggered_it(world, alarm):
    cloudwatch = world.client("cloudwatch")
    topic = cloudwatch.describe_alarms(AlarmNames=[world.name])["MetricAlarms"][0]["OKActions"]
    above, rule = f"{world.name}-above", f'ALARM("{world.name}")'
    cloudwatch.put_composite_alarm(AlarmName=above, AlarmRule=rule, AlarmActions=topic)
    cloudwatch.set_alarm_state(AlarmName=world.name, StateValue="ALARM", StateReason="set by the test")
    (message,) = [each for each in subjects(world, alarm) if each["AlarmName"] == above]
    below = f"arn:aws:cloudwatch:us-east-1:111122223333:alarm:{world.name}"
    assert "Trigger" not in message
    assert (message["AlarmRule"], message["OldStateValue"]) == (rule, "OK")
    assert message["NewStateReason"].startswith(f"{below} transitioned to ALARM at ")
    (child,) = message["TriggeringChildren"]
    assert (child["Arn"], child["State"]["Value"]) == (below, "ALARM")


def parts(world) -> list[str]:
    """Three alarms without data, and the states in which they are put: `A` in ALARM, `O` OK, `I` INSUFFICIENT_DATA."""
    names = [f"{world.name}-{letter}" for letter in "abc"]
    for each in names:
        world.client("cloudwatch").put_metric_alarm(
            AlarmName=each,
            Namespace="AWS/Lambda",
            MetricName="Errors",
            Statistic="Sum",
            Period=3600,
            EvaluationPeriods=1,
            Threshold=1,
            ComparisonOperator="GreaterThanThreshold",
            TreatMissingData="ignore",
        )
    return names


STATES = {"A": "ALARM", "O": "OK", "I": "INSUFFICIENT_DATA"}

#: A rule over three alarms a, b and c, and what it comes to for their states.
RULES = {
    "ALARM(a) OR ALARM(b)": {"AOO": True, "OAO": True, "OOA": False, "III": False},
    "ALARM(a) AND ALARM(b) OR ALARM(c)": {"AAO": True, "AOO": False, "OOA": True, "AOA": True},
    "ALARM(a) AND (ALARM(b) OR ALARM(c))": {"AOO": False, "OOA": False, "AOA": True, "AAO": True},
    "NOT ALARM(a)": {"AOO": False, "OOO": True, "IOO": True},
    "NOT (OK(a) AND OK(b))": {"OOA": False, "OIO": True, "AAO": True},
    "NOT NOT OK(a)": {"OAA": True, "IOO": False},
    "OK(a)": {"OAA": True, "AOO": False, "IOO": False},
    "INSUFFICIENT_DATA(a) OR INSUFFICIENT_DATA(b)": {"IOO": True, "OIO": True, "OOI": False},
    "ALARM(a) AND NOT OK(b) AND INSUFFICIENT_DATA(c)": {"AAI": True, "AOI": False, "AAO": False},
    "(((ALARM(a))))": {"AOO": True, "OOO": False},
    "TRUE AND ALARM(a)": {"AOO": True, "OOO": False},
    "FALSE OR ALARM(a)": {"AOO": True, "OOO": False},
}


@pytest.mark.parametrize("rule", RULES)
def test_a_composite_alarm_is_in_alarm_when_its_rule_holds(world, rule):
    cloudwatch, names = world.client("cloudwatch"), parts(world)
    above = f"{world.name}-above"
    of = dict(zip("abc", names, strict=True))
    spelled = re.sub(r"\((\w)\)", lambda found: f'("{of[found[1]]}")' if found[1] in of else found[0], rule)
    cloudwatch.put_composite_alarm(AlarmName=above, AlarmRule=spelled)
    for states, holds in RULES[rule].items():
        for each, letter in zip(names, states, strict=True):
            cloudwatch.set_alarm_state(AlarmName=each, StateValue=STATES[letter], StateReason="set by the test")
        (described,) = cloudwatch.describe_alarms(AlarmNames=[above], AlarmTypes=["CompositeAlarm"])["CompositeAlarms"]
        assert described["StateValue"] == ("ALARM" if holds else "OK"), states
    cloudwatch.delete_alarms(AlarmNames=[above])
    cloudwatch.delete_alarms(AlarmNames=names)


def test_composite_alarms_stand_on_each_other_and_name_alarms_by_arn(world):
    cloudwatch, (one, two, _) = world.client("cloudwatch"), parts(world)
    middle, top = f"{world.name}-middle", f"{world.name}-top"
    arn = f"arn:aws:cloudwatch:us-east-1:111122223333:alarm:{one}"
    cloudwatch.put_composite_alarm(AlarmName=middle, AlarmRule=f"ALARM({arn}) OR ALARM({two})")
    cloudwatch.put_composite_alarm(AlarmName=top, AlarmRule=f"NOT OK({middle})")

    def states():
        found = cloudwatch.describe_alarms(AlarmNames=[middle, top], AlarmTypes=["CompositeAlarm"])["CompositeAlarms"]
        return {each["AlarmName"]: each["StateValue"] for each in found}

    assert states() == {middle: "OK", top: "OK"}
    cloudwatch.set_alarm_state(AlarmName=one, StateValue="ALARM", StateReason="set by the test")
    assert states() == {middle: "ALARM", top: "ALARM"}
    cloudwatch.set_alarm_state(AlarmName=one, StateValue="OK", StateReason="set by the test")
    assert states() == {middle: "OK", top: "OK"}


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("ALARM(", "Error in AlarmRule [Unsupported token '<EOF>' at char 6]"),
        ("ALARM(a) ALARM(a)", "Error in AlarmRule [Unsupported token 'ALARM' at char 9, must be: <EOF>, 'AND', 'OR']"),
        (
            "AND ALARM(a)",
            (
                "Error in AlarmRule [Unsupported token 'AND' at char 0, must be: '(', 'NOT', AT_LEAST, TRUE or FALSE, "
                "ALARM, OK, or INSUFFICIENT_DATA]"
            ),
        ),
        ("(ALARM(a)", "Error in AlarmRule [Unsupported token '<EOF>' at char 9]"),
        (
            "BROKEN(a)",
            (
                "Error in AlarmRule [Unsupported token 'BROKEN' at char 0, must be: '(', 'NOT', AT_LEAST, TRUE or "
                "FALSE, "
                "ALARM, OK, or INSUFFICIENT_DATA]"
            ),
        ),
    ],
)
def test_a_rule_that_is_none_is_refused_with_what_is_wrong_where(world, rule, message):
    with pytest.raises(ClientError) as refused:
        world.client("cloudwatch").put_composite_alarm(AlarmName=world.name, AlarmRule=rule)
    assert (refused.value.response["Error"]["Code"], refused.value.response["Error"]["Message"]) == (
        "ValidationError",
        message,
    )


def test_an_action_that_is_no_topic_is_refused_by_name(world):
    function = "arn:aws:lambda:us-east-1:111122223333:function:f"
    with pytest.raises(ClientError, match=re.escape(f"does not simulate AlarmActions=['{function}']")):
        world.client("cloudwatch").put_composite_alarm(AlarmName=world.name, AlarmRule="TRUE", AlarmActions=[function])


def test_percentiles_are_refused_by_name(world):
    cloudwatch = world.client("cloudwatch")
    duration = function_metric(world, "Duration", "m1")
    duration["MetricStat"]["Stat"] = "p90"
    judged = {"EvaluationPeriods": 15, "Threshold": 1000, "ComparisonOperator": "GreaterThanThreshold"}
    with pytest.raises(ClientError, match="the statistic p90"):
        cloudwatch.put_metric_alarm(AlarmName=world.name, Metrics=[duration], **judged)
    with pytest.raises(ClientError, match="the statistic p90"):
        cloudwatch.get_metric_data(MetricDataQueries=[duration], StartTime=0, EndTime=60)
    with pytest.raises(ClientError, match="does not honour ExtendedStatistic of cloudwatch:PutMetricAlarm"):
        cloudwatch.put_metric_alarm(
            AlarmName=world.name,
            Namespace="AWS/Lambda",
            MetricName="Duration",
            ExtendedStatistic="p90",
            Period=60,
            **judged,
        )


def test_a_composite_alarm_on_an_alarm_that_does_not_exist_is_refused(world):
    with pytest.raises(world.client("cloudwatch").exceptions.ClientError, match="do not exist"):
        world.client("cloudwatch").put_composite_alarm(AlarmName=world.name, AlarmRule='ALARM("nothing")')


@honours("cloudwatch:GetMetricStatistics", "Namespace MetricName Dimensions StartTime EndTime Period Statistics")
@honours("cloudwatch:GetMetricData", "MetricDataQueries StartTime EndTime ScanBy")
@honours("cloudwatch:ListMetrics", "Namespace MetricName Dimensions")
def test_recorded_metrics_are_read_through_cloudwatch(world):
    world.function()
    start_of_a_period(world)
    start = world.control.advance_clock(0) // 60 * 60
    for event in ('{"no": "records"}', '{"Records": []}'):
        world.client("lambda").invoke(FunctionName=world.name, Payload=event)
    read = world.client("cloudwatch")
    window = {"StartTime": start - 60, "EndTime": start + 60}
    dimensions = [{"Name": "FunctionName", "Value": world.name}]
    (point,) = read.get_metric_statistics(
        Namespace="AWS/Lambda",
        MetricName="Invocations",
        Dimensions=dimensions,
        Period=60,
        Statistics=["Sum", "Maximum"],
        **window,
    )["Datapoints"]
    assert (point["Timestamp"].timestamp(), point["Sum"], point["Maximum"]) == (start, 2, 1)
    results = read.get_metric_data(
        MetricDataQueries=[
            function_metric(world, "Errors", "m1", ReturnData=False),
            {"Id": "e1", "Expression": "FILL(m1, 0)", "Label": "errors"},
        ],
        ScanBy="TimestampAscending",
        **window,
    )["MetricDataResults"]
    assert [(each["Label"], each["Values"]) for each in results] == [("errors", [0, 1])]
    names = read.list_metrics(Namespace="AWS/Lambda", Dimensions=dimensions)["Metrics"]
    assert {"Invocations", "Errors"} <= {each["MetricName"] for each in names}
    (errors,) = read.list_metrics(Namespace="AWS/Lambda", MetricName="Errors", Dimensions=dimensions)["Metrics"]
    assert errors == {"Namespace": "AWS/Lambda", "MetricName": "Errors", "Dimensions": dimensions}


def test_a_success_is_a_point_of_errors_too(world):
    world.function()
    start_of_a_period(world)
    start = world.control.advance_clock(0) // 60 * 60
    for event in ('{"no": "records"}', '{"Records": []}', '{"Records": []}', '{"Records": []}'):
        world.client("lambda").invoke(FunctionName=world.name, Payload=event)
    (point,) = world.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/Lambda",
        MetricName="Errors",
        Dimensions=[{"Name": "FunctionName", "Value": world.name}],
        Period=60,
        Statistics=["Sum", "Average"],
        StartTime=start,
        EndTime=start + 60,
    )["Datapoints"]
    assert (point["Sum"], point["Average"]) == (1, 0.25)


def test_an_alarm_on_the_depth_of_a_queue_fires_while_messages_wait(world):
    url = world.client("sqs").create_queue(QueueName=world.name)["QueueUrl"]
    world.client("cloudwatch").put_metric_alarm(
        AlarmName=world.name,
        Namespace="AWS/SQS",
        MetricName="ApproximateNumberOfMessagesVisible",
        Dimensions=[{"Name": "QueueName", "Value": world.name}],
        Statistic="Maximum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        TreatMissingData="notBreaching",
    )

    def state_a_minute_later() -> str:
        start_of_a_period(world)
        world.control.evaluate_alarms()  # the depth of this minute is measured
        return world.control.evaluate_alarms(world.control.advance_clock(60))[world.name]

    assert state_a_minute_later() == "OK"
    world.client("sqs").send_message(QueueUrl=url, MessageBody="dead letter")
    assert state_a_minute_later() == "ALARM"
    (message,) = world.client("sqs").receive_message(QueueUrl=url)["Messages"]
    world.client("sqs").delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    assert state_a_minute_later() == "OK"


def test_an_alarm_on_a_queue_that_does_not_exist_has_no_data(world):
    world.client("cloudwatch").put_metric_alarm(
        AlarmName=world.name,
        Namespace="AWS/SQS",
        MetricName="ApproximateNumberOfMessagesVisible",
        Dimensions=[{"Name": "QueueName", "Value": world.name}],
        Statistic="Maximum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
    )
    assert world.control.evaluate_alarms()[world.name] == "INSUFFICIENT_DATA"


@pytest.mark.conformance("ESM-METRIC-2", "documented")
@pytest.mark.parametrize("kind", ["stream", "queue"])
def test_esm_metric_2_a_mapping_that_polls_nothing_counts_zero_in_every_minute(world, queues, kind):
    world.function("def handler(event, context):\n    pass\n")
    counted = {"MetricsConfig": {"Metrics": ["EventCount"]}}
    source = {"stream": lambda: world.mapping(world.table(), **counted)}
    source["queue"] = lambda: queues.mapping(queues.queue(), **counted)
    mapping = source[kind]()
    world.settle(mapping)
    world.client("cloudwatch").put_metric_alarm(
        AlarmName=f"{world.name}-polls",
        Namespace="AWS/Lambda",
        MetricName="PolledEventCount",
        Dimensions=[{"Name": "EventSourceMappingUUID", "Value": mapping}],
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=3,
        Threshold=0,
        ComparisonOperator="LessThanThreshold",
        TreatMissingData="breaching",
    )
    now = world.control.advance_clock(600)
    world.settle(mapping)
    assert world.control.evaluate_alarms(now)[f"{world.name}-polls"] == "OK"
    world.disable(mapping)
    later = world.control.advance_clock(600)
    assert world.control.evaluate_alarms(later)[f"{world.name}-polls"] == "ALARM"


@honours("cloudwatch:PutDashboard", "DashboardName DashboardBody")
@honours("cloudwatch:GetDashboard", "DashboardName")
@honours("cloudwatch:ListDashboards", "DashboardNamePrefix")
@honours("cloudwatch:DeleteDashboards", "DashboardNames")
def test_a_dashboard_is_kept_listed_and_deleted_and_a_body_that_cannot_be_shown_is_refused(world):
    cloudwatch = world.client("cloudwatch")
    body = json.dumps({"widgets": [{"type": "text", "properties": {"markdown": "hello"}}]})
    cloudwatch.put_dashboard(DashboardName=world.name, DashboardBody=body)
    assert cloudwatch.get_dashboard(DashboardName=world.name)["DashboardBody"] == body
    entries = cloudwatch.list_dashboards(DashboardNamePrefix=world.name)["DashboardEntries"]
    assert [each["DashboardName"] for each in entries] == [world.name]
    with pytest.raises(ClientError, match="/widgets/0/type: 'pie' is not one of alarm, metric, text"):
        cloudwatch.put_dashboard(DashboardName=world.name, DashboardBody=body.replace('"text"', '"pie"'))
    with pytest.raises(ClientError, match="must have 1 to 255 letters"):
        cloudwatch.put_dashboard(DashboardName="a b", DashboardBody=body)
    cloudwatch.delete_dashboards(DashboardNames=[world.name])
    with pytest.raises(ClientError, match="does not exist"):
        cloudwatch.get_dashboard(DashboardName=world.name)


def test_a_mapping_that_does_not_poll_is_noticed_by_the_data_that_is_missing(world):
    world.function()
    mapping = world.mapping(world.table())
    world.client("cloudwatch").put_metric_alarm(
        AlarmName=world.name,
        Namespace="AWS/Lambda",
        MetricName="PolledEventCount",
        Dimensions=[{"Name": "EventSourceMappingUUID", "Value": mapping}],
        Statistic="SampleCount",
        Period=300,
        EvaluationPeriods=3,
        Threshold=1.0,
        ComparisonOperator="LessThanThreshold",
        TreatMissingData="breaching",
    )
    world.client("lambda").update_event_source_mapping(UUID=mapping, MetricsConfig={"Metrics": ["EventCount"]})
    start_of_a_period(world)
    world.put("a")
    world.settle(mapping)
    assert world.control.evaluate_alarms(world.control.advance_clock(300))[world.name] == "OK"
    world.disable(mapping)
    assert world.control.evaluate_alarms(world.control.advance_clock(1800))[world.name] == "ALARM"
