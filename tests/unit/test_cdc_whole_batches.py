"""A consumer that is given a whole batch at once."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from handlers.cdc import Change, Discard, OutOfTime, RetryAfter, SomeFailed, consumer
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


def test_behind_a_message_that_holds_no_change_its_group_stops_and_others_go_on() -> None:
    first, second, third = records()
    event = queue_event(first, "not json", second, group="g")
    event["Records"] += queue_event(third, group="h")["Records"]
    calls, failed = run(event)
    assert calls == [[0, 2]]
    assert failed == [message["messageId"] for message in event["Records"][1:3]]


# Consumers that name what failed.


class Named:
    """A consumer that names some changes of its batch as failed, and where its records end."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, errors: dict[int, BaseException], *, raises: bool) -> None:
        self.parked: list[int] = []
        self.pauses: list[int] = []
        self.calls: list[list[int]] = []
        monkeypatch.setenv("FAILURE_DESTINATION", "arn:aws:s3:::parked")
        monkeypatch.setattr("handlers.cdc.attempt.park", lambda record, *_: self.parked.append(id_of(record)))
        monkeypatch.setattr(
            "handlers.cdc.queue_batch.hide", lambda pauses: self.pauses.extend(seconds for _, seconds in pauses)
        )

        @consumer(whole_batch=True)
        def handler(changes: Sequence[Change]) -> Any:
            self.calls.append([int(change.keys["id"]) for change in changes])
            pairs = [(change, errors[int(change.keys["id"])]) for change in changes if change.keys["id"] in errors]
            if raises:
                raise SomeFailed(pairs)
            return pairs

        self.handler = handler

    def failed(self, event: Any) -> list[str]:
        return [item["itemIdentifier"] for item in self.handler(event, Invocation())["batchItemFailures"]]


def id_of(record: dict[str, Any]) -> int:
    change = json.loads(record["body"]) if "body" in record else record
    return int(change["dynamodb"]["Keys"]["id"]["N"])


@pytest.fixture(params=[False, True], ids=["returns", "raises"])
def raises(request: pytest.FixtureRequest) -> bool:
    return request.param


def test_the_first_change_that_is_named_counts_on_a_stream(monkeypatch: pytest.MonkeyPatch, raises: bool) -> None:
    named = Named(monkeypatch, {3: RuntimeError("c"), 1: RuntimeError("a")}, raises=raises)
    given = records(5)
    assert named.failed(stream_event(*given)) == [given[1]["dynamodb"]["SequenceNumber"]]


def test_a_named_discard_parks_its_record(monkeypatch: pytest.MonkeyPatch, raises: bool) -> None:
    named = Named(monkeypatch, {0: Discard("a"), 2: RuntimeError("b"), 4: Discard("c")}, raises=raises)
    given = records(5)
    assert named.failed(stream_event(*given)) == [given[2]["dynamodb"]["SequenceNumber"]]
    assert named.parked == [0]  # the last one comes again
    event = queue_event(*given)
    assert named.failed(event) == [event["Records"][2]["messageId"]]
    assert named.parked == [0, 0, 4]


def test_a_named_message_of_a_queue_backs_off_alone_and_is_parked_at_its_last_attempt(
    monkeypatch: pytest.MonkeyPatch, raises: bool
) -> None:
    monkeypatch.setenv("QUEUE_ATTEMPTS", "3")
    named = Named(monkeypatch, {1: RuntimeError("down")}, raises=raises)
    for receive_count in (1, 2, 3):
        event = queue_event(*records(), receive_count=receive_count)
        failed = [event["Records"][1]["messageId"]] if receive_count < 3 else []
        assert named.failed(event) == failed
    assert (named.pauses, named.parked) == ([2, 4], [1])


def test_a_named_message_may_be_put_off(monkeypatch: pytest.MonkeyPatch, raises: bool) -> None:
    named = Named(monkeypatch, {1: RetryAfter(90)}, raises=raises)
    event = queue_event(*records())
    assert named.failed(event) == [event["Records"][1]["messageId"]]
    assert 90 in named.pauses


def test_messages_behind_a_named_one_of_their_fifo_group_come_again_after_it(
    monkeypatch: pytest.MonkeyPatch, raises: bool
) -> None:
    monkeypatch.setenv("QUEUE_ATTEMPTS", "3")
    named = Named(monkeypatch, {1: RuntimeError("down")}, raises=raises)
    event = queue_event(*records(), group="g")
    assert named.failed(event) == [message["messageId"] for message in event["Records"][1:]]


@pytest.mark.parametrize("result", [[1], [("u1", "error")], (5, ["error"]), [(None, RuntimeError())]])
def test_a_result_that_names_no_changes_fails_the_batch(result: object) -> None:
    @consumer(whole_batch=True)
    def handler(changes: Sequence[Change]) -> object:
        return result

    given = records()
    answer = handler(stream_event(*given), Invocation())
    assert answer == {"batchItemFailures": [{"itemIdentifier": given[0]["dynamodb"]["SequenceNumber"]}]}


@pytest.mark.parametrize("result", [None, [], (), [None, None], 3, {"indexed": 3}])
def test_any_other_result_says_that_all_are_done(result: object) -> None:
    @consumer(whole_batch=True)
    def handler(changes: Sequence[Change]) -> object:
        return result

    assert handler(stream_event(*records()), Invocation()) == {"batchItemFailures": []}


def test_a_call_for_one_change_alone_may_discard_it(monkeypatch: pytest.MonkeyPatch) -> None:
    parked: list[Any] = []
    monkeypatch.setattr("handlers.cdc.attempt.park", lambda record, *_: parked.append(id_of(record)))
    assert run(stream_event(*records(1)), error=Discard("bounced")) == ([[0]], [])
    assert parked == [0]
