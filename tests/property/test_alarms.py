"""Alarms and metric math, for any datapoints."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some

from aws_semantics.metric_math import evaluate
from local.engine.alarms.evaluation import EXTRA_PERIODS, judge

PERIODS = [60.0 * index for index in range(5)]
SERIES = some.dictionaries(some.sampled_from(PERIODS), some.integers(-1000, 1000).map(float))
TREATMENTS = some.sampled_from(["missing", "ignore", "breaching", "notBreaching"])
STATES = some.sampled_from(["OK", "ALARM", "INSUFFICIENT_DATA"])


@some.composite
def alarms(draw, datapoint):
    count = draw(some.integers(1, 6))
    length = count + EXTRA_PERIODS
    return {
        "breaching": draw(some.lists(datapoint, min_size=length, max_size=length)),
        "count": count,
        "needed": draw(some.integers(1, count)),
        "missing": draw(TREATMENTS),
        "before": draw(STATES),
    }


@given(alarms(some.booleans()))
def test_without_missing_datapoints_the_state_is_a_count_of_breaches(alarm):
    breaches = sum(alarm["breaching"][-alarm["count"] :])
    assert judge(**alarm) == ("ALARM" if breaches >= alarm["needed"] else "OK")


@given(alarms(some.sampled_from([True, False, None])))
def test_one_more_breach_never_ends_an_alarm(alarm):
    if judge(**alarm) != "ALARM":
        return
    for index, each in enumerate(alarm["breaching"]):
        if each is False:
            worse = [*alarm["breaching"][:index], True, *alarm["breaching"][index + 1 :]]
            state = judge(**{**alarm, "breaching": worse})
            assert state == "ALARM" or (alarm["missing"] == "ignore" and state == alarm["before"])


@given(alarms(some.sampled_from([True, False, None])))
def test_missing_data_is_insufficient_only_when_there_is_none_at_all(alarm):
    if any(each is not None for each in alarm["breaching"]) and alarm["before"] != "INSUFFICIENT_DATA":
        assert judge(**alarm) != "INSUFFICIENT_DATA"


@given(SERIES, SERIES)
def test_arithmetic_has_data_where_both_operands_have(first, second):
    result = evaluate("m1 + m2", {"m1": first, "m2": second}, PERIODS)
    assert result == {at: first[at] + second[at] for at in first.keys() & second.keys()}


@given(SERIES, some.integers(-9, 9))
def test_filling_leaves_data_alone_and_no_gap(series, number):
    filled = evaluate(f"FILL(m1, {abs(number)})", {"m1": series}, PERIODS)
    assert filled == {at: series.get(at, abs(number)) for at in PERIODS}


@given(SERIES, SERIES)
def test_the_maximum_of_a_list_is_at_least_each_of_it(first, second):
    result = evaluate("MAX([m1, m2])", {"m1": first, "m2": second}, PERIODS)
    assert isinstance(result, dict)
    assert all(result[at] >= value for series in (first, second) for at, value in series.items())
