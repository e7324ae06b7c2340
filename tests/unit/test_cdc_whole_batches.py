"""A consumer that is given a whole batch at once."""

from collections.abc import Sequence
from typing import Any

import pytest

from handlers.cdc import Change, OutOfTime, consumer
from handlers.cdc.testing import Invocation, queue_event, record, stream_event


def records(size: int = 3) -> list[dict[str, Any]]:
    return [record(new={"id": n}) for n in range(size)]


def run(event: Any, *, error: Exception | None = None, seconds: float = 30) -> tuple[list[list[int]], list[str]]:
    calls: list[list[int]] = []

    @consumer(whole_batch=True)
    def handler(changes: Sequence[Change]) -> None:
        calls.append([int(change.keys["id"]) for change in changes])
        if error is not None:
            raise error

    return calls, [item["itemIdentifier"] for item in handler(event, Invocation(seconds))["batchItemFailures"]]


def test_all_changes_arrive_in_one_call() -> None:
    assert run(stream_event(*records())) == ([[0, 1, 2]], [])


def test_an_empty_batch_is_no_call() -> None:
    assert run(stream_event()) == ([], [])


def test_a_stream_batch_that_fails_is_named_by_its_first_record() -> None:
    given = records()
    _, failed = run(stream_event(*given), error=RuntimeError("down"))
    assert failed == [given[0]["dynamodb"]["SequenceNumber"]]


def test_the_messages_of_a_queue_fail_together() -> None:
    event = queue_event(*records())
    _, failed = run(event, error=RuntimeError("down"))
    assert failed == [message["messageId"] for message in event["Records"]]


def test_a_record_without_a_change_is_reported_after_those_before_it_are_done() -> None:
    given = records()
    del given[1]["dynamodb"]["Keys"]
    assert run(stream_event(*given)) == ([[0]], [given[1]["dynamodb"]["SequenceNumber"]])
    assert run(stream_event(*given[1:])) == ([], [given[1]["dynamodb"]["SequenceNumber"]])


def test_a_failing_batch_before_a_record_without_a_change_is_still_named_by_its_first() -> None:
    given = records()
    del given[1]["dynamodb"]["Keys"]
    _, failed = run(stream_event(*given), error=RuntimeError("down"))
    assert failed == [given[0]["dynamodb"]["SequenceNumber"]]


def test_a_message_without_a_change_fails_beside_the_others() -> None:
    event = queue_event("not json", *records(2))
    calls, failed = run(event)
    assert (calls, failed) == ([[0, 1]], [event["Records"][0]["messageId"]])
    assert len(run(event, error=RuntimeError("down"))[1]) == 3


def test_a_batch_that_cannot_be_started_in_time_fails_as_a_whole() -> None:
    with pytest.raises(OutOfTime):
        run(stream_event(*records()), seconds=0.5)
