"""The retry horizon: the waits between retries, and the limits that end them."""

from __future__ import annotations

import pytest

from aws_semantics.retries import back_off, retry_horizon
from components.delivery import StreamDelivery
from local.engine.streams.admission import settings_of
from local.simulation.what_if import retry_horizon as of_what_if


@pytest.mark.parametrize("retries", [0, 1, 2, 8, 9, 10, 12, 100, 1_446, 10_000])
@pytest.mark.parametrize("age", [60, 3_600, 86_400])
def test_the_shortest_horizon_is_the_sum_of_the_waits_up_to_the_age(retries, age):
    waited = 0.0
    for number in range(1, retries + 1):
        waited = min(waited + back_off(number), age)
    assert retry_horizon(retries, age).shortest == waited


@pytest.mark.parametrize(
    ("retries", "longest"),
    [(0, 0), (1, 0.25), (3, 1.75), (10, 255.75), (18, 65_535.75), (19, 86_400), (10_000, 86_400)],
)
def test_the_longest_horizon_has_no_cap_but_the_retention(retries, longest):
    assert retry_horizon(retries, None).longest == longest


def test_no_record_is_retried_after_the_stream_has_forgotten_it():
    assert retry_horizon(-1, None).shortest == 86_400
    assert retry_horizon(-1, 604_800).shortest == 86_400
    assert retry_horizon(-1, -1, retention=604_800).shortest == 604_800


@pytest.mark.parametrize(("retries", "age"), [(0, -1), (3, -1), (12, 64_800), (100, 3_600), (-1, 3_600)])
def test_components_and_what_if_compute_the_same_horizon(retries, age):
    horizon = retry_horizon(retries, age)
    delivery = StreamDelivery(maximum_retry_attempts=retries, maximum_record_age_in_seconds=age)
    settings = settings_of(
        {"StartingPosition": "LATEST", "MaximumRetryAttempts": retries, "MaximumRecordAgeInSeconds": age}
    )
    assert delivery.retry_horizon() == horizon
    assert of_what_if(settings) == horizon.shortest
