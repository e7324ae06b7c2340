"""Metric alarms: the metrics they watch, when they fire, and whether anybody hears of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from aws_semantics.alarm_rule import AlarmRule, State, WrongRule
from aws_semantics.metric_math import NotEvaluated, Series, WrongExpression, as_series, evaluate_all
from policies.alarm_actions import unheard
from policies.aws_types import COMPOSITE_ALARM, METRIC_ALARM
from policies.graph import Stack, name_of, name_to_come
from policies.names import physical_name
from policies.not_applicable import Awaited
from policies.regions import Region, apart, region_of
from policies.resources import Block, Resource, every, some


@dataclass(frozen=True, eq=False)
class WatchedMetric:
    """One metric that an alarm watches, directly or inside metric math.

    Attributes:
        alarm: The alarm.
        metric: The block that names it: the alarm itself, or one of its metric queries.
        query: The query's id; `None` when the alarm watches the metric directly.
    """

    alarm: Resource
    metric: Block
    query: str | None

    @property
    def property(self) -> str:
        """The alarm's property that holds the dimensions."""
        return "dimensions" if self.query is None else "metricQueries"

    def statistic(self) -> str | None:
        """Return the statistic: `Maximum`, `Sum`, `p99`."""
        if self.query is not None:
            return self.metric.text("stat")
        return self.metric.text("statistic") or self.metric.text("extendedStatistic")

    def dimensions(self) -> dict[str, str | None]:
        """Return the dimensions by name; a value is `None` while it is not known.

        Raises:
            Awaited: Not even the names are known.
        """
        block = self.metric.block("dimensions")
        found: dict[str, str | None] = {}
        for key in block.keys():  # noqa: SIM118 - a block is no mapping
            try:
                found[key] = block.text(key)
            except Awaited:
                found[key] = None
        return found


@dataclass(frozen=True)
class Target:
    """The resource that a dimension should name.

    Attributes:
        name: The dimension's value, when it is known.
        urns: The resources whose attribute it would be: a function, and the alias of it.
        region: The region that its metrics are in.
        begins: While the value is not known, how it will begin; `None` when nobody can write it down in advance.
    """

    name: str | None
    urns: Sequence[str]
    region: Region
    begins: str | None = None

    @classmethod
    def of(cls, resource: Resource) -> Target:
        """Make the target of metrics that a resource's name is the dimension of."""
        return cls(name_of(resource), [resource.urn], region_of(resource), name_to_come(resource))

    def may_be(self, value: str) -> bool:
        """Test whether a value may turn out to be the one that is not known yet."""
        return self.name is None and self.begins is not None and value.startswith(self.begins)


class Alarms:
    """The metric alarms of a program, by the metrics they watch."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._watched: dict[tuple[str | None, str | None, str], dict[str, list[WatchedMetric]]] = {}
        self._awaited: list[Awaited] = []
        self._composites: dict[str, list[Resource]] = {}
        for alarm in stack.of_type(METRIC_ALARM):
            try:
                for watched in _metrics(alarm):
                    self._add(watched)
            except Awaited as awaited:
                self._awaited.append(awaited)
        for composite in stack.of_type(COMPOSITE_ALARM):
            for key in _children(composite):
                self._composites.setdefault(key, []).append(composite)

    def on(
        self, namespace: str, metric: str, dimension: str, target: Target, *, across: bool = False
    ) -> list[WatchedMetric]:
        """Find the alarms on a metric with a dimension that names the target.

        Args:
            namespace: The metric's namespace.
            metric: Its name.
            dimension: The name of the dimension.
            target: The resource that it should name.
            across: Whether the metric also exists without any dimension, over all resources of the region.

        Raises:
            Awaited: None is known to watch it, and one may.
        """
        named = self._watched.get((namespace, metric, dimension), {})
        whole = self._watched.get((namespace, metric, _ALL), {})
        keys = [target.name, *target.urns] if target.name else target.urns
        found = {id(watched): watched for key in keys for watched in (*named.get(key, ()), *whole.get(key, ()))}
        matching = [watched for watched in found.values() if _names(watched, dimension, target)]
        if across:
            matching += self._watched.get((namespace, metric, _NONE), {}).get("", ())
        matching = [watched for watched in matching if not apart(region_of(watched.alarm), target.region)]
        if not matching:
            if self._awaited:
                raise self._awaited[0]
            if any(map(target.may_be, named)):
                raise Awaited(f"the {dimension} that an alarm on {metric} should name")
        return matching

    def heard(self, alarm: Resource, seen: frozenset[str] = frozenset()) -> bool:
        """Test whether somebody hears of an alarm, by its own actions or those of a composite alarm that it sets off.

        Raises:
            Awaited: That is not known yet.
        """
        if alarm.urn in seen:
            return False
        own = name_of(alarm)
        keys = [alarm.urn, own] if own else [alarm.urn]
        composites = {found.urn: found for key in keys for found in self._composites.get(key, ())}.values()
        ways = [
            lambda: unheard(self._stack, alarm) is None,
            *(
                lambda composite=composite: every(
                    lambda: not apart(region_of(composite), region_of(alarm)),
                    lambda: _sets_off(composite, own),
                    lambda: self.heard(composite, seen | {alarm.urn}),
                )
                for composite in composites
            ),
        ]
        return some(ways, lambda way: way())

    def unheard(self, watched: WatchedMetric) -> str:
        """Tell why nobody hears of an alarm that `heard` answers `False` for."""
        return unheard(self._stack, watched.alarm) or "nobody hears of the alarm"

    def _add(self, watched: WatchedMetric) -> None:
        """Index a metric by the values of its dimensions, and by what they were computed from.

        Raises:
            Awaited: Neither is known.
        """
        namespace, metric, links = watched.metric.text("namespace"), watched.metric.text("metricName"), _links(watched)
        try:
            dimensions = watched.dimensions()
        except Awaited:
            if not links:
                raise
            dimensions = {_ALL: None}
        if not dimensions:
            self._watched.setdefault((namespace, metric, _NONE), {}).setdefault("", []).append(watched)
        for dimension, value in dimensions.items():
            named = self._watched.setdefault((namespace, metric, dimension), {})
            for key in [value, *links] if value else links:
                named.setdefault(key, []).append(watched)
            if value is None and not links:
                raise Awaited(f"{watched.metric.path}.dimensions.{dimension}")


#: Stands for the dimensions of a metric while not even their names are known.
_ALL = "*"
#: Stands for the dimension of a metric that has none.
_NONE = ""


def _links(watched: WatchedMetric) -> Sequence[str]:
    return watched.alarm.links.get(watched.property, ())


def _names(watched: WatchedMetric, dimension: str, target: Target) -> bool:
    # A value and a name that are both known decide; else what the value was computed from.
    try:
        value = watched.dimensions().get(dimension)
    except Awaited:
        return True
    return value == target.name if value and target.name else True


def alarms(stack: Stack) -> Alarms:
    """Read the alarms of a program."""
    return stack.derived(Alarms)


def reacts(watched: WatchedMetric, value: float) -> bool:
    """Test whether an alarm is in alarm when the metric it watches has a value and every other one is zero.

    An alarm without a threshold of its own (anomaly detection) never is; an expression that cannot be evaluated here
    gets the benefit of the doubt.

    Raises:
        Awaited: Its threshold or expression is not known yet.
    """
    props = watched.alarm.props
    threshold, comparison = props.number("threshold"), props.text("comparisonOperator") or ""
    if threshold is None:
        return False
    try:
        reached = value if watched.query is None else _math(watched.alarm, watched.query, value)
    except (NotEvaluated, WrongExpression):
        return True
    match comparison:
        case "GreaterThanThreshold":
            return reached > threshold
        case "LessThanOrEqualToThreshold":
            return reached <= threshold
        case _:
            return reached >= threshold if comparison.startswith("Greater") else reached < threshold


def seconds_to_react(watched: WatchedMetric) -> float:
    """Compute the seconds between a metric's passing the threshold and the alarm: period times datapoints to alarm.

    Raises:
        Awaited: They are not known yet.
    """
    period = watched.metric.number("period")
    props = watched.alarm.props
    return (period or 60) * (props.number("datapointsToAlarm") or props.number("evaluationPeriods") or 1)


def has_threshold(watched: WatchedMetric) -> bool:
    """Test whether an alarm compares with a threshold, and not with the band of an anomaly detector.

    Raises:
        Awaited: That is not known yet.
    """
    return watched.alarm.props.text("thresholdMetricId") is None


def _metrics(alarm: Resource) -> Iterator[WatchedMetric]:
    if alarm.props.given("metricName"):
        yield WatchedMetric(alarm, alarm.props, None)
    for query in alarm.props.blocks("metricQueries"):
        key = query.text("id") or ""
        if query.given("metric"):
            yield WatchedMetric(alarm, query.block("metric"), key)
        elif (selected := _selected(query)) is not None:
            yield WatchedMetric(alarm, selected, key)


#: A query of Metrics Insights over one metric, whole or for one value of one dimension.
_SELECT = re.compile(
    r"""\s*SELECT\s+(?P<function>MAX|MIN|AVG|SUM|COUNT)\(\s*"?(?P<metric>\w+)"?\s*\)
    \s+FROM\s+(?:SCHEMA\(\s*)?"?(?P<namespace>[\w./-]+)"?[^)]*\)?
    (?:\s+WHERE\s+"?(?P<dimension>\w+)"?\s*=\s*'(?P<value>[^']*)')?
    (?:\s+GROUP\s+BY\s+.*)?\s*""",
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
_STATISTICS = {"MAX": "Maximum", "MIN": "Minimum", "AVG": "Average", "SUM": "Sum", "COUNT": "SampleCount"}


def _selected(query: Block) -> Block | None:
    """Read the metric that a query of Metrics Insights selects; `None` for any other expression.

    Raises:
        Awaited: The expression is not known yet.
    """
    found = _SELECT.fullmatch(query.text("expression") or "")
    if found is None:
        return None
    dimensions = {found["dimension"]: found["value"]} if found["dimension"] else {}
    values = {
        "namespace": found["namespace"],
        "metricName": found["metric"],
        "stat": _STATISTICS[found["function"].upper()],
        "dimensions": dimensions,
        "period": query.number("period"),
    }
    return Block(values, query.path)


#: The one period for which an alarm's expressions are evaluated here.
_PERIOD = [0.0]


def _math(alarm: Resource, watched: str, value: float) -> float:
    """Evaluate what an alarm compares, when one query has a value and every other metric is zero.

    Raises:
        NotEvaluated, WrongExpression: The expressions cannot be evaluated here, or give no data.
    """
    metrics: dict[str, Series] = {}
    expressions: dict[str, str] = {}
    returned = watched
    for query in alarm.props.blocks("metricQueries"):
        key, expression = query.text("id") or "", query.text("expression")
        if expression is None or key == watched:
            metrics[key] = {0.0: value if key == watched else 0.0}
        else:
            expressions[key] = expression
        if query.flag("returnData"):
            returned = key
    series = as_series(evaluate_all(expressions, metrics, _PERIOD)[returned], _PERIOD)
    if not series:
        raise NotEvaluated("an expression without data")
    return series[0.0]


def _children(composite: Resource) -> Iterator[str]:
    """Yield the alarms that a composite alarm's rule names: by name, or by URN while the rule is not known."""
    try:
        rule = _rule(composite)
    except Awaited:
        yield from composite.links.get("alarmRule", ())
        return
    if rule is not None:
        yield from map(_alarm_name, rule.alarms)


def _sets_off(composite: Resource, child: str | None) -> bool:
    """Test whether a composite alarm fires when this child alone is in alarm and every other one is OK.

    Raises:
        Awaited: Its rule is not known yet.
    """
    rule = _rule(composite)

    def state(alarm: str) -> State:
        return "ALARM" if _alarm_name(alarm) == child else "OK"

    return rule is not None and rule.holds(state)


def _rule(composite: Resource) -> AlarmRule | None:
    """Parse the rule of a composite alarm; `None` when AWS would refuse it.

    Raises:
        Awaited: It is not known yet.
    """
    try:
        return AlarmRule.parse(composite.props.text("alarmRule") or "")
    except WrongRule:
        return None


def _alarm_name(text: str) -> str:
    return physical_name(METRIC_ALARM, text) or text
