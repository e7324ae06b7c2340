"""A batch of a stream: order, partial failures and the time budget, as Lambda sees them."""

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest

from handlers.cdc import Change, OutOfTime, UnknownEventShape
from handlers.cdc.consumer import consumer
from handlers.cdc.testing import Invocation, record, stream_event

SECRET = "ada@example.com"


def batch(size: int) -> dict[str, Any]:
    return stream_event(*(record(old={"id": n, "v": 1}, new={"id": n, "v": 2, "email": SECRET}) for n in range(size)))


def numbers(event: dict[str, Any]) -> list[str]:
    return [each["dynamodb"]["SequenceNumber"] for each in event["Records"]]


class Worker:
    """A consumer's function that notes its changes and fails at the chosen ones."""

    def __init__(self, *, fail: Callable[[Change], bool] = lambda _: False) -> None:
        self.seen: list[int] = []
        self.fail = fail

    def __call__(self, change: Change) -> None:
        self.seen.append(int(change.keys["id"]))
        if self.fail(change):
            raise RuntimeError("the mail server is down")


def run(function: Callable[[Change], object], event: Any, context: Any = None) -> list[str]:
    def handler(change: Change) -> None:
        function(change)

    answer = consumer(handler)(event, context or Invocation())
    assert list(answer) == ["batchItemFailures"]
    return [item["itemIdentifier"] for item in answer["batchItemFailures"]]


class Clock:
    """A Lambda context whose time stands still until a test moves it."""

    def __init__(self, seconds: float) -> None:
        self.now = 1000.0
        self.ends = self.now + seconds

    def get_remaining_time_in_millis(self) -> int:
        return int((self.ends - self.now) * 1000)


def test_all_records_are_processed_in_stream_order() -> None:
    worker = Worker()
    assert run(worker, batch(5)) == []
    assert worker.seen == [0, 1, 2, 3, 4]


def test_an_empty_batch_is_a_success() -> None:
    assert run(Worker(), stream_event()) == []


@pytest.mark.parametrize("bad", [0, 1, 4])
def test_processing_stops_at_the_first_failure_and_reports_that_record_alone(bad: int) -> None:
    worker = Worker(fail=lambda change: change.keys["id"] == bad)
    event = batch(5)
    assert run(worker, event) == [numbers(event)[bad]]
    assert worker.seen == list(range(bad + 1))


def test_a_later_failure_is_never_reached() -> None:
    worker = Worker(fail=lambda change: change.keys["id"] in (1, 3))
    event = batch(5)
    assert run(worker, event) == [numbers(event)[1]]


def test_the_sequence_number_is_echoed_as_it_came() -> None:
    event = batch(1)
    event["Records"][0]["dynamodb"]["SequenceNumber"] = "000000001795000000000000000001"
    assert run(Worker(fail=lambda _: True), event) == ["000000001795000000000000000001"]


def test_a_batch_whose_sequence_numbers_grow_a_digit_keeps_its_order() -> None:
    event = batch(3)
    given = ["9" * 23, "1" + "0" * 23, "1" + "0" * 22 + "1"]  # as text, the second one is the smallest
    for each, number in zip(event["Records"], given, strict=True):
        each["dynamodb"]["SequenceNumber"] = number
    worker = Worker(fail=lambda change: change.keys["id"] == 1)
    assert run(worker, event) == [given[1]]
    assert worker.seen == [0, 1]


def test_a_record_is_not_started_with_less_time_than_the_longest_one_took() -> None:
    clock = Clock(10.0)
    seen: list[int] = []

    def slow(change: Change) -> None:
        seen.append(int(change.keys["id"]))
        clock.now += 4.0

    event = batch(5)
    assert run(slow, event, clock) == [numbers(event)[2]]
    assert seen == [0, 1]


def test_a_quick_batch_still_keeps_a_second_in_reserve() -> None:
    clock = Clock(1.25)
    seen: list[int] = []

    def quick(change: Change) -> None:
        seen.append(int(change.keys["id"]))
        clock.now += 0.25

    event = batch(5)
    assert run(quick, event, clock) == [numbers(event)[2]]
    assert seen == [0, 1]


def test_a_batch_of_which_nothing_can_be_started_fails_as_a_whole() -> None:
    worker = Worker()
    with pytest.raises(OutOfTime, match=r"0\.5 s are left and 1\.0 s are needed.*raise the function's timeout"):
        run(worker, batch(2), Clock(0.5))
    assert worker.seen == []


def test_a_failure_is_logged_with_its_traceback_and_its_identity_but_not_its_content(
    caplog: pytest.LogCaptureFixture,
) -> None:
    event = batch(2)
    run(Worker(fail=lambda change: change.keys["id"] == 1), event)
    (line,) = [line for line in caplog.records if line.levelno == logging.ERROR]
    assert line.exc_info is not None
    assert isinstance(line.exc_info[1], RuntimeError)
    failed = event["Records"][1]
    assert line.__dict__["eventId"] == failed["eventID"]
    assert line.__dict__["sequenceNumber"] == failed["dynamodb"]["SequenceNumber"]
    assert line.__dict__["table"] == "users"
    assert SECRET not in caplog.text + repr(line.__dict__)


def metrics(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    lines = capsys.readouterr().out.splitlines()
    return json.loads(lines[-1]) if lines else {}


def test_an_invocation_prints_one_line_of_metrics(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "welcome-email")
    run(Worker(fail=lambda change: change.keys["id"] == 2), batch(5))
    document = metrics(capsys)
    assert (document["Records"], document["Failures"], document["FunctionName"]) == (2, 1, "welcome-email")
    (declared,) = document["_aws"]["CloudWatchMetrics"]
    assert declared["Namespace"] == "Weir"
    assert declared["Dimensions"] == [["FunctionName"]]
    assert {metric["Name"] for metric in declared["Metrics"]} == {"Records", "Failures"}


def test_a_spent_time_budget_is_counted(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock(2.0)

    def slow(change: Change) -> None:
        clock.now += 1.5

    run(slow, batch(2), clock)
    assert metrics(capsys)["TimeBudgetHits"] == 1


@pytest.mark.parametrize(
    "event",
    [
        None,
        [],
        "Records",
        3,
        {},
        {"records": []},
        {"Records": None},
        {"Records": {}},
        {"Records": [None]},
        {"Records": [{}]},
    ],
)
def test_an_event_of_an_unknown_shape_is_never_a_success(event: Any) -> None:
    with pytest.raises(UnknownEventShape):
        run(Worker(), event)
