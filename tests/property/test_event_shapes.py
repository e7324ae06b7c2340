"""Whatever event arrives: a success means that every record in it was processed."""

import copy
import json
from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from handlers.cdc import Change, UnknownEventShape, consumer
from handlers.cdc.testing import (
    Invocation,
    kinesis_change,
    kinesis_event,
    pipe_event,
    queue_event,
    record,
    stream_event,
    window_event,
)
from handlers.cdc.windows import State, Window, windowed

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)

RECORDS = [record(old={"id": n, "v": 1}, new={"id": n, "v": 2}) for n in range(3)]
EVENTS: list[Any] = [
    stream_event(*RECORDS),
    pipe_event(*RECORDS),
    queue_event(*RECORDS),
    queue_event(*RECORDS, group="g"),
    kinesis_event(*RECORDS),
    kinesis_event(*(kinesis_change(new={"id": n, "photo": b"x"}) for n in range(3))),
    {"origin": "replay", "Records": RECORDS},
    {"requestContext": {}, "payload": json.dumps(stream_event(*RECORDS))},
]
WINDOWS: list[Any] = [window_event(*RECORDS, state={"count": 1}), window_event(state={"count": 1}, final=True)]


def outcome(event: Any) -> tuple[int, int] | None:
    """Count the records that were processed and reported; `None` for an unknown shape."""
    seen: list[str] = []

    @consumer
    def handler(change: Change) -> None:
        _ = (change.event_id, change.table_name, change.sequence_number, change.origin)
        seen.append(repr(change))

    try:
        answer = handler(event, Invocation())
    except UnknownEventShape:
        return None
    assert all(
        isinstance(item["itemIdentifier"], str) and item["itemIdentifier"] for item in answer["batchItemFailures"]
    )
    return len(seen), len(answer["batchItemFailures"])


def added(event: Any) -> int | None:
    """Count the records added to a window's state; `None` for an unknown shape."""
    seen: list[str] = []

    @windowed
    def handler(changes: Sequence[Change], state: State, window: Window) -> State:
        _ = (window.end - window.start, window.shard_id, window.is_final, window.is_terminated_early)
        seen.extend(change.event_id for change in changes)
        return {}

    try:
        answer = handler(event, Invocation())
    except UnknownEventShape:
        return None
    assert answer["batchItemFailures"] == []
    return len(seen)


def paths(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(path for key, member in members for path in paths(member, (*at, key)))]


def disturbed(event: Any, data: Any) -> Any:
    """A copy with anything, or nothing, in one place of it."""
    event = copy.deepcopy(event)
    *path, last = data.draw(st.sampled_from(paths(event)[1:]))
    place: Any = event
    for step in path:
        place = place[step]
    if data.draw(st.booleans()):
        del place[last]
    else:
        place[last] = data.draw(anything)
    return event


@given(st.sampled_from(EVENTS), st.data())
def test_an_event_with_anything_in_any_place_is_processed_whole_or_reported_or_refused(event: Any, data: Any) -> None:
    event = disturbed(event, data)
    records = event if isinstance(event, list) else event.get("Records")
    if "payload" in event and isinstance(event["payload"], str):
        records = RECORDS
    ended = outcome(event)
    if ended is not None and ended[1] == 0:
        assert isinstance(records, list)
        assert ended[0] == len(records)


@given(st.sampled_from(WINDOWS), st.data())
def test_a_window_with_anything_in_any_place_is_added_up_whole_or_refused(event: Any, data: Any) -> None:
    event = disturbed(event, data)
    assert added(event) in (None, len(event.get("Records") or ()))


@given(anything)
def test_an_event_that_is_anything_at_all_is_refused(event: Any) -> None:
    assert outcome(event) is None or event == {"Records": []}
    assert added(event) is None
