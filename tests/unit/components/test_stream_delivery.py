"""`StreamDelivery`: what it says of itself, and every combination that it refuses."""

from __future__ import annotations

import dataclasses
from typing import Any

import pulumi
import pytest

from components import InvalidDelivery, KinesisDelivery, StreamDelivery
from components.delivery import check_retention


def refusals(**settings: Any) -> list[str]:
    with pytest.raises(InvalidDelivery) as refused:
        StreamDelivery(**settings)
    return str(refused.value).splitlines()


@pytest.mark.parametrize(
    ("setting", "allowed", "refused"),
    [
        ("batch_size", (1, 10_000), (0, 10_001, 1.5, "100", True)),
        ("maximum_batching_window_in_seconds", (0, 300), (-1, 301)),
        ("parallelization_factor", (1, 10), (0, 11)),
        ("maximum_retry_attempts", (0, 10_000, -1), (-2, 10_001)),
        ("maximum_record_age_in_seconds", (60, 86_399), (0, 59, -2)),
        ("tumbling_window_in_seconds", (0, 900), (-1, 901)),
    ],
)
def test_a_value_is_within_the_range_of_aws(setting: str, allowed: tuple[Any, ...], refused: tuple[Any, ...]) -> None:
    for value in allowed:
        StreamDelivery(**{setting: value})
    for value in refused:
        assert refusals(**{setting: value})[0].startswith(f"{setting}={value!r} is not ")


@pytest.mark.parametrize(("age", "retention"), [(-1, 86_400), (86_399, 86_400), (604_799, 604_800)])
def test_a_record_age_may_have_no_end_or_one_within_the_source_s_retention(age: int, retention: int) -> None:
    check_retention("mails", age, retention)


@pytest.mark.parametrize(("age", "retention"), [(86_400, 86_400), (604_800, 86_400), (604_800, 604_800)])
def test_a_record_age_that_outlasts_the_source_is_refused(age: int, retention: int) -> None:
    with pytest.raises(InvalidDelivery) as refused:
        check_retention("mails", age, retention)
    assert str(refused.value) == (
        f"mails: maximum_record_age_in_seconds={age} is not below the {retention} s the stream keeps a record: it "
        "would vanish before it reaches the failure destination; choose less, the default is 64800"
    )


def test_records_without_an_age_are_retried_as_long_as_the_source_keeps_them() -> None:
    unbounded = StreamDelivery(maximum_retry_attempts=-1, maximum_record_age_in_seconds=-1)
    assert unbounded.retry_horizon(604_800) == (604_800, 604_800)


def test_a_starting_position_that_dynamodb_streams_lack_is_refused() -> None:
    (line,) = refusals(starting_position="AT_TIMESTAMP")
    assert line.startswith("starting_position='AT_TIMESTAMP' is not one of TRIM_HORIZON, LATEST: ")


def test_a_window_is_below_the_record_age() -> None:
    (line,) = refusals(maximum_batching_window_in_seconds=300, maximum_record_age_in_seconds=90)
    assert line == (
        "maximum_batching_window_in_seconds=300 is not below maximum_record_age_in_seconds=90: AWS refuses it, for "
        "records would expire while they wait; choose a shorter window, the default is 1, or a longer age"
    )
    assert StreamDelivery(maximum_batching_window_in_seconds=300, maximum_record_age_in_seconds=-1)
    assert StreamDelivery(maximum_batching_window_in_seconds=300, maximum_record_age_in_seconds=301)
    with pytest.raises(InvalidDelivery):
        KinesisDelivery(maximum_batching_window_in_seconds=60, maximum_record_age_in_seconds=60)


INSERTS = '{"eventName": ["INSERT"]}'


def test_a_tumbling_window_excludes_parallel_batches_and_filters() -> None:
    parallel, filtered = refusals(tumbling_window_in_seconds=60, parallelization_factor=2, filters=(INSERTS,))
    assert "a window's state is kept per shard; leave the factor at 1" in parallel
    assert "AWS refuses the mapping; filter inside the function" in filtered


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ((INSERTS,) * 6, "filters has 6 patterns and AWS takes 5: join some with $or, or filter inside the function"),
        (
            ('{"a": ["' + "x" * 4096 + '"]}',),
            "filters[0] has 4107 characters and AWS takes 4096: filter on fewer values",
        ),
        ((INSERTS, "{"), "filters[1]: not JSON: "),
        (("[]",), "filters[0]: a JSON object is needed"),
        (
            ('{"eventName": "INSERT"}',),
            'filters[0]: eventName: must be an object or an array; write ["INSERT"]; AWS refuses',
        ),
    ],
)
def test_filters_that_aws_refuses_are_refused(filters: tuple[str, ...], message: str) -> None:
    (line,) = refusals(filters=filters)
    assert message in line


@pytest.mark.parametrize(
    "bounded",
    [
        {},
        {"maximum_retry_attempts": -1},
        {"maximum_record_age_in_seconds": -1},
    ],
)
def test_records_that_are_given_up_need_a_destination(bounded: dict[str, int]) -> None:
    (line,) = refusals(on_failure=None, **bounded)
    assert line == (
        "on_failure=None with bounded retries: a record that is given up would be lost; "
        'choose on_failure="s3", "sqs" or "sns"'
    )


def test_a_destination_may_be_left_out_where_nothing_is_given_up() -> None:
    StreamDelivery(on_failure=None, maximum_retry_attempts=-1, maximum_record_age_in_seconds=-1)


@pytest.mark.parametrize(
    ("destination", "message"),
    [
        ("kafka://topic", "neither s3, sqs, sns nor the ARN of a bucket, queue or topic"),
        ("arn:aws:lambda:eu-west-1:123456789012:function:f", "neither s3, sqs, sns nor the ARN"),
        ("s3://bucket", "neither s3, sqs, sns nor the ARN"),
        (
            "arn:aws:sqs:eu-west-1:123456789012:q.fifo",
            "which is FIFO: Lambda delivers failed batches to standard queues",
        ),
        ("arn:aws:sns:eu-west-1:123456789012:t.fifo", "so each would be lost; choose a standard one"),
    ],
)
def test_a_destination_that_lambda_does_not_deliver_to_is_refused(destination: str, message: str) -> None:
    (line,) = refusals(on_failure=destination)
    assert message in line


@pytest.mark.parametrize("destination", [pulumi.ResourceOptions(), pulumi.Output.from_input("arn:aws:s3:::failures")])
def test_a_destination_without_a_kind_is_refused(destination: object) -> None:
    (line,) = refusals(on_failure=destination)
    assert line.startswith(f"on_failure is a {type(destination).__name__}: choose ")
    assert "pass the bucket, queue or topic itself" in line


@pytest.mark.parametrize("service", ["s3:::bucket", "sqs:eu-west-1:123456789012:q", "sns:eu-west-1:123456789012:t"])
def test_an_existing_bucket_queue_or_topic_is_a_destination(service: str) -> None:
    StreamDelivery(on_failure=f"arn:aws:{service}")


def test_every_mistake_is_a_line_of_its_own() -> None:
    mistakes = refusals(
        batch_size=0,
        parallelization_factor=0,
        starting_position="NOW",
        tumbling_window_in_seconds=60,
        filters=("{",) * 6,
        maximum_retry_attempts=10_000,
        maximum_record_age_in_seconds=-1,
        on_failure="kafka://topic",
    )
    begins = ("batch_size=", "parallelization_factor=", "starting_position=", "tumbling_window_in_seconds and para")
    begins += ("tumbling_window_in_seconds and filters", "filters has 6", *(f"filters[{index}]" for index in range(6)))
    begins += ("maximum_retry_attempts=10000", "on_failure is")
    assert len(mistakes) == len(begins)
    assert all(line.startswith(begin) for line, begin in zip(mistakes, begins, strict=True))


@pytest.mark.parametrize("retries", [1_447, 10_000])
def test_retries_that_outlast_the_stream_are_refused_without_an_age(retries: int) -> None:
    (line,) = refusals(maximum_retry_attempts=retries, maximum_record_age_in_seconds=-1)
    assert "would vanish from the stream before it reaches the failure destination" in line
    StreamDelivery(maximum_retry_attempts=retries)
    StreamDelivery(maximum_retry_attempts=1_446, maximum_record_age_in_seconds=-1)


def test_settings_do_not_change_after_they_were_checked() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        StreamDelivery().batch_size = 0  # pyright: ignore[reportAttributeAccessIssue] - that is the point


@pytest.mark.parametrize(
    ("settings", "shortest", "longest"),
    [
        ({"maximum_retry_attempts": 0}, 0, 0),
        ({"maximum_retry_attempts": 4}, 3.75, 3.75),
        ({"maximum_retry_attempts": 12}, 303.75, 1023.75),
        ({"maximum_retry_attempts": -1}, 64_800, 64_800),
        ({"maximum_retry_attempts": -1, "maximum_record_age_in_seconds": -1}, 86_400, 86_400),
        ({"maximum_retry_attempts": 10_000}, 64_800, 64_800),
        ({"maximum_record_age_in_seconds": 60}, 60, 60),
    ],
)
def test_the_retry_horizon_is_the_sum_of_the_waits_and_ends_with_the_record(
    settings: dict[str, int], shortest: float, longest: float
) -> None:
    assert StreamDelivery(**settings).retry_horizon() == (shortest, longest)
