"""`StreamDashboard`: one page with lag, batches, failures and dead letters of all consumers, and one alarm over all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

from aws_semantics.dashboard import ALARMS_OF_WIDGET, COLUMNS, METRICS_OF_WIDGET
from components.refusal import Refused
from components.watched import Line, Route, Watched

#: Alarms that the rule of a composite alarm names at most, and characters of a rule
#: (https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutCompositeAlarm.html).
_ALARMS_OF_RULE = 100
_RULE_CHARACTERS = 10_240

#: Characters of a rule beside an alarm's name: `ALARM("…") OR `, and what Pulumi adds to the name.
_AROUND_A_NAME = len('ALARM("") OR ') + 8

#: The graphs, by the attribute of `Watched` that each shows, with title and unit.
_GRAPHS = (
    ("lag", "Lag", "seconds behind"),
    ("batches", "Batches", "invocations"),
    ("failures", "Failures", "events, retries included"),
    ("dead_letters", "Dead letters", "events given up, messages waiting"),
)
_HEIGHT = 8
_ALARMS_HEIGHT = 4


class StreamDashboard(pulumi.ComponentResource):
    """A dashboard of every consumer of every route, and a composite alarm over all their alarms.

    Write it below the last `subscribe` and `pipe`: it shows the consumers that there are then, and refuses later ones.

    Args:
        routes: Streams, fan-outs, Kinesis routes, pipes or single consumers, in the order of the page.
        alarms: Further metric alarms that the composite alarm watches and the page shows.
        actions: ARNs that the composite alarm notifies, of topics that CloudWatch may publish to: unencrypted, or
            with a customer managed key whose policy lets `cloudwatch.amazonaws.com` use it. The alarms of consumers
            have actions of their own, which say what happened; this one says that the stack is in trouble, once.

    Attributes:
        dashboard: The `aws.cloudwatch.Dashboard`.
        alarm: The `aws.cloudwatch.CompositeAlarm` of the whole stack.
        parts: Composite alarms that `alarm` watches where there are more alarms than one rule holds.
        url: The page in the console.

    Raises:
        Refused: No route has an alarm, or more lines than a graph holds.

    Example:
        page = StreamDashboard("overview", routes=[fan_out], actions=[alarms.arn])
        pulumi.export("dashboard", page.url)
    """

    def __init__(
        self,
        name: str,
        *,
        routes: Sequence[Route],
        alarms: Sequence[aws.cloudwatch.MetricAlarm] = (),
        actions: Sequence[pulumi.Input[str]] = (),
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        watched = [each for route in routes for each in route.watched()]
        watching = [*(alarm for each in watched for alarm in each.alarms), *alarms]
        if not watching:
            raise Refused(
                f"{name}: no route has an alarm, so there is nothing to watch: write it below the last subscribe, and "
                "name every route, e.g. routes=[changes]"
            )
        lines = {graph: [line for each in watched for line in getattr(each, graph)] for graph, _, _ in _GRAPHS}
        for graph, found in lines.items():
            # A scaled line is a metric and an expression.
            metrics = sum(1 + (line.scale != 1) for line in found)
            if metrics > METRICS_OF_WIDGET:
                raise Refused(
                    f"{name}: {metrics} metrics of {graph} are more than the {METRICS_OF_WIDGET} that a graph holds: "
                    "make a dashboard for each route"
                )
        super().__init__("weir:index:StreamDashboard", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        region = aws.get_region_output().region
        self.dashboard = aws.cloudwatch.Dashboard(
            name,
            # CloudWatch generates no name, and two stacks of one account must not share it.
            dashboard_name=f"{pulumi.get_project()}-{pulumi.get_stack()}-{name}",
            dashboard_body=pulumi.Output.json_dumps({"widgets": list(_widgets(watched, watching, region))}),
            opts=child,
        )
        self.url = pulumi.Output.concat(
            "https://",
            region,
            ".console.aws.amazon.com/cloudwatch/home#dashboards:name=",
            self.dashboard.dashboard_name,
        )
        groups = list(_groups(watching))
        self.parts: list[aws.cloudwatch.CompositeAlarm] = []
        rule = _rule([alarm.name for alarm in watching])
        if len(groups) > 1:
            self.parts = [
                aws.cloudwatch.CompositeAlarm(
                    f"{name}-{number}",
                    alarm_name=_alarm_name(f"{name}-{number}"),
                    alarm_description=f"Part {number} of {name}: one of its alarms is in state ALARM.",
                    alarm_rule=_rule([alarm.name for alarm in group]),
                    opts=child,
                )
                for number, group in enumerate(groups, 1)
            ]
            rule = _rule([part.alarm_name for part in self.parts])
        self.alarm = aws.cloudwatch.CompositeAlarm(
            name,
            alarm_name=_alarm_name(name),
            alarm_description=pulumi.Output.concat(
                f"{name}: one of the stack's {len(watching)} alarms is in state ALARM; its own description says which "
                f"command to type. First: weir status -s {pulumi.get_stack()}. All consumers: ",
                self.url,
            ),
            alarm_rule=rule,
            alarm_actions=list(actions),
            ok_actions=list(actions),
            opts=child,
        )
        self._refuse_later(name, routes, len(watched))
        self.register_outputs({"dashboardName": self.dashboard.dashboard_name, "alarmName": self.alarm.alarm_name})

    @staticmethod
    def _refuse_later(name: str, routes: Sequence[Route], shown: int) -> None:
        """Refuse, when the program has ended, consumers that were added below the dashboard."""

        def check(_: int) -> None:
            missing = sum(len(route.watched()) for route in routes) - shown
            if missing:
                raise Refused(
                    f"{name}: {missing} consumers were added below the dashboard, which does not show them: move the "
                    "StreamDashboard below the last subscribe"
                )

        pulumi.Output.from_input(0).apply(check)


def _widgets(
    watched: Sequence[Watched], alarms: Sequence[aws.cloudwatch.MetricAlarm], region: pulumi.Output[str]
) -> Iterator[dict[str, Any]]:
    y = 0
    for first in range(0, len(alarms), ALARMS_OF_WIDGET):
        some = alarms[first : first + ALARMS_OF_WIDGET]
        yield _widget("alarm", 0, y, COLUMNS, _ALARMS_HEIGHT, title="Alarms", alarms=[alarm.arn for alarm in some])
        y += _ALARMS_HEIGHT
    for index, (graph, title, unit) in enumerate(_GRAPHS):
        lines = [(each.name, line) for each in watched for line in getattr(each, graph)]
        if not lines:
            continue
        half = COLUMNS // 2
        yield _widget(
            "metric",
            index % 2 * half,
            y + index // 2 * _HEIGHT,
            half,
            _HEIGHT,
            title=title,
            region=region,
            view="timeSeries",
            period=60,
            yAxis={"left": {"min": 0, "label": unit, "showUnits": False}},
            metrics=[each for number, (name, line) in enumerate(lines) for each in _metrics(graph, number, name, line)],
        )


def _metrics(graph: str, number: int, consumer: str, line: Line) -> Iterator[list[Any]]:
    dimensions = [part for name, value in line.dimensions.items() for part in (name, value)]
    label = consumer if graph == "lag" else f"{consumer} {line.metric}"
    shown: dict[str, Any] = {"stat": line.statistic, "label": label}
    if line.scale == 1:
        yield [line.namespace, line.metric, *dimensions, shown]
        return
    key = f"m{number}"
    yield [line.namespace, line.metric, *dimensions, {**shown, "id": key, "visible": False}]
    yield [{"expression": f"{key} / {line.scale}", "label": label, "id": f"e{number}"}]


def _widget(kind: str, x: int, y: int, width: int, height: int, **properties: Any) -> dict[str, Any]:
    return {"type": kind, "x": x, "y": y, "width": width, "height": height, "properties": properties}


def _groups(alarms: Sequence[aws.cloudwatch.MetricAlarm]) -> Iterator[list[aws.cloudwatch.MetricAlarm]]:
    """Split alarms into as many as one rule holds, by number and by characters."""
    group: list[aws.cloudwatch.MetricAlarm] = []
    characters = 0
    for alarm in alarms:
        needed = len(alarm.pulumi_resource_name) + _AROUND_A_NAME
        if group and (len(group) == _ALARMS_OF_RULE or characters + needed > _RULE_CHARACTERS):
            yield group
            group, characters = [], 0
        group.append(alarm)
        characters += needed
    yield group


def _rule(names: Sequence[pulumi.Input[str]]) -> pulumi.Output[str]:
    return pulumi.Output.all(*names).apply(lambda known: " OR ".join(f'ALARM("{name}")' for name in known))


def _alarm_name(name: str) -> str:
    return f"{pulumi.get_project()}-{pulumi.get_stack()}-{name}"
