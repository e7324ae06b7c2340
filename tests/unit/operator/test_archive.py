"""A fan-out's archive: where it begins, how it is replayed, and what a killed run has left behind."""

from __future__ import annotations

import json

import pytest

from ops.operator.archive import PREFIX, beginning_of, is_left, queue_attributes, replay_policy

NOW = 1_796_083_200.0  # 2026-12-01T00:00:00Z
DAY = 86_400
TOPIC = "arn:aws:sns:eu-central-1:111122223333:changes.fifo"
QUEUE = "arn:aws:sqs:eu-central-1:111122223333:weir-reread-1-a.fifo"


@pytest.mark.parametrize(
    ("attributes", "beginning"),
    [
        ({"ArchivePolicy": '{"MessageRetentionPeriod":"7"}'}, NOW - 7 * DAY),
        (
            {"ArchivePolicy": '{"MessageRetentionPeriod":"7"}', "BeginningArchiveTime": "2026-11-29T00:00:00.000Z"},
            NOW - 2 * DAY,
        ),
        ({"ArchivePolicy": "{}"}, NOW),
        ({}, NOW),
    ],
    ids=["by its days", "as the topic says", "ended", "none"],
)
def test_an_archive_begins_when_its_topic_says_else_as_many_days_ago_as_it_keeps(
    attributes: dict[str, str], beginning: float
) -> None:
    assert beginning_of(attributes, NOW) == beginning


def test_a_replay_has_a_beginning_and_no_end_which_would_pause_its_subscription() -> None:
    policy = json.loads(replay_policy(int(NOW)))
    assert policy == {"PointType": "Timestamp", "StartingPoint": "2026-12-01T00:00:00.000Z"}


def test_no_other_topic_may_send_to_the_queue_of_a_replay() -> None:
    (statement,) = json.loads(queue_attributes(QUEUE, TOPIC)["Policy"])["Statement"]
    assert (statement["Resource"], statement["Condition"]) == (QUEUE, {"ArnEquals": {"aws:SourceArn": TOPIC}})


@pytest.mark.parametrize(
    ("queue", "left"),
    [
        (f"{PREFIX}{int(NOW) - DAY - 1}-0a1b2c3d.fifo", True),
        (f"{PREFIX}{int(NOW) - DAY + 1}-0a1b2c3d.fifo", False),
        (f"{PREFIX}of-my-own.fifo", False),
        ("welcome-email.fifo", False),
    ],
    ids=["a day old", "maybe in use", "another's", "a consumer's"],
)
def test_only_a_queue_of_a_run_of_the_day_before_is_a_leftover(queue: str, left: bool) -> None:
    assert is_left(queue, NOW) is left
