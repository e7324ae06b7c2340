"""The dashboard: its body by CloudWatch's rules, the composite alarm, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pulumi
import pytest

from aws_semantics.alarm_rule import AlarmRule
from aws_semantics.dashboard import dashboard_problems
from components import (
    POLLING,
    STREAM_ALARMS,
    AlarmCannotFire,
    BusTarget,
    ChangeTable,
    FanOut,
    FunctionSettings,
    KinesisChanges,
    Refused,
    Stream,
    StreamDashboard,
    StreamDelivery,
    StreamPipe,
    StreamSource,
)
from components.testing import AwsMocks
from tests.reference import welcome_email

STREAM = "arn:aws:dynamodb:us-east-1:123456789012:table/orders/stream/2026-01-31T08:30:00.000"
BUS = "arn:aws:events:us-east-1:123456789012:event-bus/changes"


def deployed(mocks: AwsMocks, program: Callable[[], object]) -> AwsMocks:
    """Run a program under mocks to its end."""

    @pulumi.runtime.test
    def run() -> None:
        program()

    run()
    return mocks


def every_route() -> list[Any]:
    users = ChangeTable("users", hash_key="userId")
    fan_out = FanOut("fan-out", source=users.stream)
    fan_out.subscribe(welcome_email.handler, name="queued")
    fan_out.pipe("queued-pipe", target=BusTarget(arn=BUS), repeats="the bus does not mind")
    pipe = StreamPipe("direct-pipe", source=users.stream, target=BusTarget(arn=BUS))
    direct = Stream(
        "direct", source=StreamSource(arn=STREAM, table="orders"), delivery=StreamDelivery(on_failure="sqs")
    )
    direct.subscribe(welcome_email.handler, name="streamed")
    history = KinesisChanges("history", table=users)
    history.subscribe(welcome_email.handler, name="late")
    return [fan_out, pipe, direct, history]


def body_of(mocks: AwsMocks) -> dict[str, Any]:
    text = mocks.one("Dashboard").inputs["dashboardBody"]
    assert dashboard_problems(text) == []
    return json.loads(text)


def graph(body: dict[str, Any], title: str) -> dict[str, Any]:
    (found,) = [each["properties"] for each in body["widgets"] if each["properties"]["title"] == title]
    return found


def test_one_page_shows_every_consumer_and_pipe_of_every_route(mocks: AwsMocks) -> None:
    deployed(mocks, lambda: StreamDashboard("overview", routes=every_route()))
    body = body_of(mocks)
    shown = {
        title: {metric[-1]["label"] for metric in graph(body, title)["metrics"]}
        for title in ("Lag", "Batches", "Failures", "Dead letters")
    }
    # CloudWatch does not measure how far a pipe of a stream is behind.
    assert shown["Lag"] == {"fan-out-forwarder", "queued", "queued-pipe", "streamed", "history", "late"}
    assert shown["Batches"] == {
        f"{name} Invocations"
        for name in ("fan-out-forwarder", "queued", "queued-pipe", "direct-pipe", "streamed", "late")
    }
    assert {"queued FailedInvokeEventCount", "direct-pipe ExecutionFailed"} <= shown["Failures"]
    assert {"queued Discarded", "streamed DroppedEventCount", "history FailedToReplicateRecordCount"} <= shown[
        "Dead letters"
    ]


def test_lag_is_in_seconds_whatever_the_metric_is_in(mocks: AwsMocks) -> None:
    deployed(mocks, lambda: StreamDashboard("overview", routes=every_route()))
    lines = graph(body_of(mocks), "Lag")["metrics"]
    ages = [line for line in lines if line[:2] == ["AWS/Lambda", "IteratorAge"]]
    hidden = {line[-1]["id"] for line in ages if line[-1]["visible"] is False}
    divided = {line[0]["expression"] for line in lines if "expression" in line[0]}
    assert len(hidden) == len(ages) == 3
    assert {f"{key} / 1000" for key in hidden} <= divided
    (queue,) = [line for line in lines if line[-1]["label"] == "queued"]
    assert queue[:2] == ["AWS/SQS", "ApproximateAgeOfOldestMessage"]


def test_the_composite_alarm_watches_every_alarm_of_the_stack(mocks: AwsMocks) -> None:
    deployed(mocks, lambda: StreamDashboard("overview", routes=every_route(), actions=["arn:topic"]))
    composite = mocks.one("CompositeAlarm").inputs
    rule = AlarmRule.parse(composite["alarmRule"])
    assert set(rule.alarms) == {each.name for each in mocks.all("MetricAlarm")}
    assert rule.holds(lambda name: "ALARM" if name == "queued-undelivered" else "OK")
    assert not rule.holds(lambda name: "INSUFFICIENT_DATA")
    assert (composite["alarmActions"], composite["okActions"]) == (["arn:topic"], ["arn:topic"])
    assert composite["alarmName"] == "weir-test-overview"
    assert "First: weir status -s test" in composite["alarmDescription"]
    widgets = [each for each in body_of(mocks)["widgets"] if each["type"] == "alarm"]
    shown = [arn for each in widgets for arn in each["properties"]["alarms"]]
    assert len(shown) == len(mocks.all("MetricAlarm"))


def test_more_alarms_than_a_rule_names_are_watched_through_alarms_in_between(mocks: AwsMocks) -> None:
    def program() -> None:
        fan_out = FanOut("fan-out", source=ChangeTable("users", hash_key="userId").stream)
        for number in range(20):
            fan_out.subscribe(welcome_email.handler, name=f"consumer-{number}")
        StreamDashboard("overview", routes=[fan_out])

    composites = {each.name: each.inputs for each in deployed(mocks, program).all("CompositeAlarm")}
    parts = {name: AlarmRule.parse(each["alarmRule"]) for name, each in composites.items() if name != "overview"}
    assert all(len(part.alarms) <= 100 for part in parts.values())
    assert all(len(each["alarmRule"]) <= 10_240 for each in composites.values())
    watched = [alarm for part in parts.values() for alarm in part.alarms]
    assert sorted(watched) == sorted(each.name for each in mocks.all("MetricAlarm"))
    above = AlarmRule.parse(composites["overview"]["alarmRule"])
    assert set(above.alarms) == {composites[name]["alarmName"] for name in parts}


def test_a_dashboard_of_nothing_is_refused(mocks: AwsMocks) -> None:
    empty = Stream("changes", source=StreamSource(arn=STREAM, table="orders"))
    with pytest.raises(Refused, match=r"overview: no route has an alarm.*below the last subscribe"):
        StreamDashboard("overview", routes=[empty])


def test_a_consumer_below_the_dashboard_is_refused(mocks: AwsMocks) -> None:
    def program() -> None:
        changes = Stream("changes", source=StreamSource(arn=STREAM, table="orders"))
        changes.subscribe(welcome_email.handler)
        StreamDashboard("overview", routes=[changes])
        changes.subscribe(welcome_email.handler, name="second")

    with pytest.raises(Refused, match="overview: 1 consumers were added below the dashboard"):
        deployed(mocks, program)


def test_more_lines_than_a_graph_holds_are_refused(mocks: AwsMocks) -> None:
    class Many:
        def watched(self) -> list[Any]:
            return consumer.watched() * 251

    consumer = Stream("changes", source=StreamSource(arn=STREAM, table="orders")).subscribe(welcome_email.handler)
    with pytest.raises(Refused, match="502 metrics of lag are more than the 500 that a graph holds"):
        StreamDashboard("overview", routes=[Many()])


def test_an_alarm_fires_when_a_mapping_does_not_poll_at_all(mocks: AwsMocks) -> None:
    def program() -> None:
        changes = Stream("changes", source=StreamSource(arn=STREAM, table="orders"))
        changes.subscribe(welcome_email.handler, alarms=[*STREAM_ALARMS, POLLING])

    alarm = deployed(mocks, program).one("MetricAlarm", "welcome-email-not-polling").inputs
    assert (alarm["metricName"], alarm["statistic"], alarm["comparisonOperator"], alarm["threshold"]) == (
        "PolledEventCount",
        "SampleCount",
        "LessThanThreshold",
        1,
    )
    assert alarm["treatMissingData"] == "breaching"


def test_an_alarm_on_polls_without_the_metric_is_refused(mocks: AwsMocks) -> None:
    changes = Stream("changes", source=StreamSource(arn=STREAM, table="orders"))
    with pytest.raises(AlarmCannotFire, match="not-polling watches PolledEventCount, which is not recorded"):
        changes.subscribe(welcome_email.handler, alarms=[POLLING], delivery=StreamDelivery(event_count_metrics=False))


def test_metrics_can_be_switched_off_but_for_those_with_an_alarm(mocks: AwsMocks) -> None:
    def program() -> None:
        settings = FunctionSettings(metrics=False)
        fan_out = FanOut("fan-out", source=ChangeTable("users", hash_key="userId").stream, function=settings)
        fan_out.subscribe(welcome_email.handler)

    functions = deployed(mocks, program).all("Function")
    assert {each.name for each in functions} == {"welcome-email", "fan-out-forwarder"}
    assert all(each.inputs["environment"]["variables"]["WEIR_METRICS"] == "alarms" for each in functions)
