"""docs/guides/which-way.md and the prices that it is computed from."""

from __future__ import annotations

import pytest

from tools import which_way
from tools.list_prices import PRICES, Load, idle_per_month, per_million


def test_the_page_is_current_or_make_docs_must_be_run() -> None:
    assert which_way.PAGE.read_text(encoding="utf-8") == which_way.page()


def test_every_price_has_its_page_and_every_page_its_date() -> None:
    assert all(each.source.startswith("https://aws.amazon.com/") for each in PRICES.values())
    assert f"as of {which_way.AS_OF}" in which_way.page()


@pytest.mark.parametrize("route", ["fan-out", "kinesis"])
def test_each_further_consumer_costs_the_same(route: str) -> None:
    one, two, three = (per_million(route, Load(consumers=number)) for number in (1, 2, 3))
    assert three - two == pytest.approx(two - one)
    assert two > one


def test_a_fan_out_costs_its_topic_and_queues_more_than_reading_directly() -> None:
    load = Load(consumers=1, kilobytes=1, batch=10)
    beyond = per_million("fan-out", load) - per_million("direct", load)
    # 0.30 + 0.017 published, 0.01 + 0.001 delivered, 0.10 received and deleted, 0.0087 for the forwarder
    assert beyond == pytest.approx(0.4367, abs=0.001)


def test_what_costs_while_nothing_happens_is_summed_by_its_type() -> None:
    made = {
        "aws:cloudwatch/metricAlarm:MetricAlarm": 3,
        "aws:kinesis/stream:Stream": 1,
        "aws:sqs/queue:Queue": 2,
        "weir:index:Stream": 1,
    }
    assert idle_per_month(made) == 29.5
