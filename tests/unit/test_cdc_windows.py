"""A consumer that keeps a state over a tumbling window."""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, TypedDict

import pytest

from handlers.cdc import Change, OutOfTime, UnknownEventShape, consumer, on
from handlers.cdc.testing import Invocation, change, pipe_event, record, stream_event, window_event
from handlers.cdc.windows import State, Window, windowed

SECRET = "ada@example.com"


@windowed
def counting(changes: Sequence[Change], state: State, window: Window) -> State:
    """Count the changes."""
    state["count"] = state.get("count", 0) + len(changes)
    return state


def records(size: int = 3) -> list[dict[str, Any]]:
    return [record(new={"id": n, "mail": SECRET}) for n in range(size)]


def answering(answer: Callable[[], Any]) -> Any:
    """A handler whose function returns or raises this."""

    @windowed
    def handler(changes: Sequence[Change], state: State, window: Window) -> State:
        state["touched"] = True
        return answer()

    return handler


def metrics(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_the_first_call_begins_with_no_state_and_the_next_with_what_was_returned() -> None:
    first = counting(window_event(*records(3)), Invocation())
    assert first == {"state": {"count": 3}, "batchItemFailures": []}
    second = counting(window_event(*records(2), state=first["state"]), Invocation())
    assert second == {"state": {"count": 5}, "batchItemFailures": []}


def test_the_function_is_told_its_window() -> None:
    seen: list[Window] = []

    @windowed
    def handler(changes: Sequence[Change], state: State, window: Window) -> State:
        seen.append(window)
        return state

    at = datetime(2026, 9, 17, 16, 11, 10, tzinfo=timezone(timedelta(hours=2)))
    handler(window_event(*records(), start=at, seconds=10, shard_id="shard-1"), Invocation())
    handler(window_event(start=at, seconds=10, shard_id="shard-1", final=True), Invocation())
    handler(window_event(start=at, seconds=10, shard_id="shard-1", terminated_early=True), Invocation())
    start, end = datetime(2026, 9, 17, 14, 11, 10, tzinfo=UTC), datetime(2026, 9, 17, 14, 11, 20, tzinfo=UTC)
    assert seen == [
        Window(start, end, "shard-1"),
        Window(start, end, "shard-1", is_final=True),
        Window(start, end, "shard-1", is_final=True, is_terminated_early=True),
    ]


def test_the_final_call_has_the_state_and_no_changes() -> None:
    answer = counting(window_event(state={"count": 7}, final=True), Invocation())
    assert answer == {"state": {"count": 7}, "batchItemFailures": []}


def test_a_condition_applies_to_the_changes(capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[list[str]] = []

    @windowed(when=on.insert, name="signups")
    def handler(changes: Sequence[Change], state: State, window: Window) -> State:
        seen.append([change.event_name for change in changes])
        return {"called": True}

    inserted, removed = record(new={"id": 1}), record(old={"id": 1})
    assert handler(window_event(inserted, removed), Invocation())["state"] == {"called": True}
    assert (metrics(capsys)["Records"], seen) == (2, [["INSERT"]])

    handler(window_event(removed, state={"count": 1}), Invocation())
    assert metrics(capsys)["Unwanted"] == 1
    handler(window_event(final=True), Invocation())
    assert seen == [["INSERT"], []]
    assert (handler.name, handler.condition) == ("signups", on.insert)


def test_a_batch_without_wanted_changes_leaves_the_state_as_it_was() -> None:
    @windowed(when=on.remove)
    def handler(changes: Sequence[Change], state: State, window: Window) -> State:
        raise AssertionError

    assert handler(window_event(*records(), state={"count": 1}), Invocation())["state"] == {"count": 1}
    assert handler(window_event(state={"count": 1}), Invocation())["state"] == {"count": 1}


def test_changes_are_read_by_a_model() -> None:
    class User(TypedDict):
        mail: str

    @windowed(model=User)
    def handler(changes: Sequence[Change[User]], state: State, window: Window) -> State:
        return {"mails": [change.new["mail"] for change in changes]}

    assert handler(window_event(*records(2)), Invocation())["state"] == {"mails": [SECRET, SECRET]}


def test_when_the_function_raises_the_invocation_fails(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> Any:
        raise RuntimeError("down")

    for event in (window_event(*records()), window_event(final=True)):
        with pytest.raises(RuntimeError, match="down"):
            answering(fail)(event, Invocation())
        counted = metrics(capsys)
        assert counted["Failures"] == 1
        assert "Records" not in counted


def test_a_record_without_a_change_in_it_fails_the_batch() -> None:
    given = records()
    del given[1]["eventName"]
    with pytest.raises(UnknownEventShape, match="record 1 of a DynamoDB stream holds no change") as raised:
        counting(window_event(*given), Invocation())
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize("state", [None, [], 7, "text"])
def test_a_function_that_returns_no_state_fails(state: Any) -> None:
    with pytest.raises(TypeError, match="returns the new state, a dict, and this one returned a "):
        answering(lambda: state)(window_event(*records()), Invocation())


@pytest.mark.parametrize(
    "member",
    [Decimal(3), {1, 2}, (1, 2), {1: "one"}, float("nan"), b"bytes", datetime(2026, 1, 1, tzinfo=UTC)],
    ids=lambda member: type(member).__name__,
)
def test_a_state_that_would_come_back_as_something_else_fails(member: Any) -> None:
    with pytest.raises(TypeError, match=r"would not come back as it is: .* of a Decimal keep the int or the str"):
        answering(lambda: {"member": member})(window_event(*records()), Invocation())


def test_any_json_is_a_state_however_large() -> None:
    state = {"text": "X" * 2_000_000, "list": [1, 2.5, None, True, {"a": {}}]}
    assert answering(lambda: state)(window_event(*records()), Invocation())["state"] == state


def test_a_batch_that_cannot_be_started_in_time_fails_as_a_whole() -> None:
    with pytest.raises(OutOfTime):
        counting(window_event(*records()), Invocation(seconds=0.5))


@pytest.mark.parametrize(
    "event",
    [
        stream_event(*records()),
        stream_event(),
        pipe_event(*records()),
        {"requestContext": {}, "payload": json.dumps(window_event(*records()))},
        None,
    ],
    ids=["stream", "empty", "pipe", "failure document", "nothing"],
)
def test_an_event_without_a_window_is_refused_with_what_to_do(event: Any) -> None:
    with pytest.raises(UnknownEventShape, match="tumbling_window_in_seconds, or make its function with @consumer"):
        counting(event, Invocation())


@pytest.mark.parametrize(
    "event",
    [window_event(*records()), {"requestContext": {}, "payload": json.dumps(window_event(*records()))}],
    ids=["event", "failure document"],
)
def test_an_ordinary_consumer_refuses_a_window_with_what_to_do(event: Any) -> None:
    @consumer
    def handler(change: Change) -> None:
        raise AssertionError

    with pytest.raises(UnknownEventShape, match=r"make its function with @windowed \(handlers.cdc.windows\)"):
        handler(event, Invocation())


@pytest.mark.parametrize(
    "wrong",
    [
        {"window": None},
        {"window": {"start": "2026-01-01T00:00:00Z"}},
        {"window": {"start": "soon", "end": "later"}},
        {"state": None},
        {"shardId": 7},
        {"isFinalInvokeForWindow": "false"},
        {"isWindowTerminatedEarly": None},
        {"Records": None},
    ],
    ids=str,
)
def test_a_window_that_lambda_does_not_send_is_refused_and_not_quoted(wrong: dict[str, Any]) -> None:
    with pytest.raises(UnknownEventShape) as raised:
        counting({**window_event(*records(), state={"mail": SECRET}), **wrong}, Invocation())
    assert SECRET not in str(raised.value)


def test_the_function_alone_is_tested_with_changes_a_state_and_a_window() -> None:
    window = Window(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 0, 1, tzinfo=UTC), "shard-1")
    assert counting.function([change(new={"id": 1})], {"count": 1}, window) == {"count": 2}
    assert counting.__doc__ == "Count the changes."


def test_a_windowed_consumer_takes_no_second_function() -> None:
    with pytest.raises(TypeError, match="has a function already"):
        counting.on(on.insert)


def test_a_batch_that_is_replayed_with_its_window_says_so() -> None:
    seen: list[str] = []

    @windowed
    def handler(changes: Sequence[Change], state: State, window: Window) -> State:
        seen.extend(change.origin for change in changes)
        return state

    handler({**window_event(*records(1)), "origin": "replay"}, Invocation())
    assert seen == ["replay"]
