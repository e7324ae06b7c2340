"""`RetryAfter`: a message is hidden for as long as the other side asks, and a stream's record fails."""

import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from handlers.cdc import Change, Consumer, EffectLedger, NotDone, RetryAfter, consumer, on
from handlers.cdc.effect_ledger import Mode
from handlers.cdc.testing import (
    InMemoryLedger,
    Invocation,
    kinesis_event,
    pipe_event,
    queue_event,
    record,
    stream_event,
)

HOUR = 60 * 60


class Queue:
    """The pauses that the consumer sets, and what it parks."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pauses: list[int] = []
        self.parked: list[tuple[str, str]] = []
        monkeypatch.setenv("QUEUE_ATTEMPTS", "3")
        monkeypatch.setenv("FAILURE_DESTINATION", "arn:aws:sqs:us-east-1:111122223333:parked")
        monkeypatch.setattr("handlers.cdc.queue_batch.hide", lambda given: self.pauses.extend(s for _, s in given))
        monkeypatch.setattr("handlers.cdc.queue_batch.delete", lambda _: None)
        monkeypatch.setattr("handlers.cdc.attempt.park", lambda _, *rest: self.parked.append(rest[1:]))


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> Queue:
    return Queue(monkeypatch)


def putting_off(seconds: float | timedelta = 90, *ids: int) -> Consumer:
    @consumer
    def handler(change: Change) -> None:
        if not ids or change.keys["id"] in ids:
            raise RetryAfter(seconds)

    return handler


def failed(handler: Consumer, event: Any) -> list[str]:
    return [item["itemIdentifier"] for item in handler(event, Invocation())["batchItemFailures"]]


def records(size: int = 3, *, age: float = 0) -> list[dict[str, Any]]:
    return [record(new={"id": n}, created=time.time() - age) for n in range(size)]


@pytest.mark.parametrize("group", [None, "g"])
def test_a_message_is_hidden_for_as_long_as_was_asked(queue: Queue, group: str | None) -> None:
    event = queue_event(*records(1), group=group)
    assert failed(putting_off(), event) == [event["Records"][0]["messageId"]]
    assert queue.pauses == [90]


def test_its_fifo_group_waits_with_it_and_other_groups_go_on(queue: Queue) -> None:
    first, second, third = records()
    event = queue_event(first, second, group="g")
    event["Records"] += queue_event(third, group="h")["Records"]
    assert failed(putting_off(90, 0), event) == [message["messageId"] for message in event["Records"][:2]]
    assert queue.pauses == [90, 90]


def test_in_a_standard_queue_the_others_go_on(queue: Queue) -> None:
    event = queue_event(*records())
    assert failed(putting_off(90, 1), event) == [event["Records"][1]["messageId"]]


@pytest.mark.parametrize("receive_count", [1, 2, 3, 6, 50, 999])
def test_attempts_do_not_count_however_often_it_was_received(queue: Queue, receive_count: int) -> None:
    event = queue_event(*records(1), receive_count=receive_count)
    assert len(failed(putting_off(), event)) == 1
    assert (queue.pauses, queue.parked) == ([90], [])


def test_without_a_number_of_attempts_it_is_hidden_all_the_same(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QUEUE_ATTEMPTS")
    assert len(failed(putting_off(), queue_event(*records(2), group="g"))) == 2
    assert queue.pauses == [90, 90]


def test_twelve_hours_are_the_longest_and_count_from_the_receive(queue: Queue) -> None:
    failed(putting_off(24 * HOUR), queue_event(*records(1)))
    (pause,) = queue.pauses
    assert 12 * HOUR - 120 <= pause < 12 * HOUR


@pytest.mark.parametrize(("age", "parked"), [(17 * HOUR, False), (19 * HOUR, True)])
def test_a_record_that_is_too_old_is_parked(queue: Queue, age: float, parked: bool) -> None:
    event = queue_event(*records(2, age=age), group="g")
    assert len(failed(putting_off(90, 0), event)) == (0 if parked else 2)
    assert queue.parked == [("to be tried again after 90 s", "RecordAgeExceeded")] * parked


def test_a_change_of_long_ago_whose_message_is_new_is_not_too_old(queue: Queue) -> None:
    event = queue_event(*records(1, age=400 * 24 * HOUR))
    event["Records"][0]["attributes"]["SentTimestamp"] = str(int(time.time() * 1000))
    assert len(failed(putting_off(), event)) == 1
    assert queue.parked == []


def test_a_whole_batch_is_put_off_together(queue: Queue) -> None:
    @consumer(whole_batch=True)
    def handler(changes: Sequence[Change]) -> None:
        raise RetryAfter(90)

    assert len(failed(handler, queue_event(*records()))) == 3
    assert queue.pauses == [90] * 3


@pytest.mark.parametrize("deliver", [stream_event, kinesis_event, pipe_event], ids=lambda deliver: deliver.__name__)
def test_on_a_stream_the_record_fails_and_nothing_behind_it_is_done(queue: Queue, deliver: Any) -> None:
    assert len(failed(putting_off(90, 1), deliver(*records()))) == 1
    assert queue.pauses == []


def test_a_pipe_of_a_queue_does_as_the_queue(queue: Queue) -> None:
    assert len(failed(putting_off(), pipe_event(*queue_event(*records(1))["Records"]))) == 1
    assert queue.pauses == [90]


def test_a_replay_that_is_put_off_fails_its_invocation() -> None:
    with pytest.raises(NotDone):
        putting_off()({"origin": "replay", **stream_event(*records())}, Invocation())


def test_it_is_counted_and_logged_as_no_failure(
    queue: Queue, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    failed(putting_off(), stream_event(*records()))
    out = capsys.readouterr().out
    assert '"PutOff":1' in out
    assert "Failures" not in out
    (line,) = caplog.records
    assert (line.levelname, line.exc_info) == ("WARNING", None)
    assert line.getMessage().endswith("is put off: to be tried again after 90 s")


def test_of_several_functions_one_may_put_the_change_off(queue: Queue) -> None:
    seen: list[str] = []
    handler = Consumer(match="all")

    @handler.on(on.insert)
    def first(change: Change) -> None:
        raise RetryAfter(90)

    @handler.on(on.insert)
    def second(change: Change) -> None:
        seen.append("second")

    assert len(failed(handler, queue_event(*records(1)))) == 1
    assert (queue.pauses, seen) == ([90], [])  # both get it again


@pytest.mark.parametrize("mode", ["at_least_once", "at_most_once"])
def test_an_action_that_is_told_to_come_back_later_has_not_happened(mode: Mode) -> None:
    store = InMemoryLedger()
    ledger = EffectLedger(mode=mode, store=store)

    def busy() -> None:
        raise RetryAfter(90)

    with pytest.raises(RetryAfter):
        ledger.once("k", busy)
    assert ledger.once("k", lambda: "sent") == "sent"


@pytest.mark.parametrize(
    ("given", "seconds"), [(90, 90), (0, 0), (0.2, 1), (1.0, 1), (timedelta(minutes=2), 120)], ids=repr
)
def test_a_pause_is_a_number_of_seconds_or_a_timedelta(given: Any, seconds: int) -> None:
    assert RetryAfter(given).seconds == seconds


@pytest.mark.parametrize("given", [-1, float("nan"), float("inf"), timedelta(seconds=-1), "90", None], ids=repr)
def test_anything_else_is_refused(given: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        RetryAfter(given)
