"""Calls per second, on a virtual clock."""

from __future__ import annotations

from local.endpoint.readers.call_rate import CallRate


def test_any_second_takes_as_many_calls_as_the_rate_says():
    rate = CallRate(2)
    taken = [now for now in (0.0, 0.75, 0.875, 1.0, 1.5, 1.75, 2.0) if rate.admits(now)]
    assert taken == [0.0, 0.75, 1.0, 1.75, 2.0]


def test_calls_that_were_refused_do_not_count():
    rate = CallRate(1)
    assert rate.admits(0.0)
    assert not any(rate.admits(now / 10) for now in range(1, 10))
    assert rate.admits(1.0)
