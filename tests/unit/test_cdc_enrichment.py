"""An enrichment's function: what it drops, what it passes on, and what it answers for each kind of pipe."""

from __future__ import annotations

import pytest

from handlers.cdc import Change, UnknownEventShape, on
from handlers.cdc.enrichment import enrichment
from handlers.cdc.testing import kinesis_change, kinesis_event, pipe_event, queue_event, record
from tests.reference.wanted_plans import handler

UPGRADE = record(old={"userId": "ada", "plan": "free"}, new={"userId": "ada", "plan": "pro"})
SAME = record(old={"userId": "bob", "plan": "pro"}, new={"userId": "bob", "plan": "pro", "n": 1})
MADE = {"user": "ada", "from": "free", "to": "pro"}


def test_only_the_changes_of_the_condition_reach_the_target_each_with_its_identifier() -> None:
    assert handler(pipe_event(UPGRADE, SAME), None) == [{"eventID": UPGRADE["eventID"], **MADE}]


def test_a_queue_s_events_are_named_by_their_message() -> None:
    events = queue_event(UPGRADE)["Records"]
    assert handler(pipe_event(*events), None) == [{"messageId": events[0]["messageId"], **MADE}]


def test_a_change_that_came_through_kinesis_is_decoded() -> None:
    change = kinesis_change(old={"userId": "ada", "plan": "free"}, new={"userId": "ada", "plan": "pro"})
    (event,) = pipe_event(*kinesis_event(change)["Records"])
    assert handler([event], None) == [{"eventID": event["eventID"], **MADE}]


def test_the_change_itself_passes_its_event_on_and_none_drops_it() -> None:
    @enrichment(when=on.modify)
    def choose(change: Change) -> object:
        return change if change.keys["userId"] == "ada" else None

    assert choose(pipe_event(UPGRADE, SAME), None) == [UPGRADE]


def test_an_empty_batch_is_answered_with_one() -> None:
    assert handler([], None) == []


def test_an_answer_that_no_target_takes_is_an_error_and_so_is_another_event() -> None:
    @enrichment(when=on.modify)
    def wrong(_: Change) -> object:
        return True

    with pytest.raises(TypeError, match="returned a bool: return the change to pass its event on, a mapping"):
        wrong(pipe_event(UPGRADE), None)
    with pytest.raises(UnknownEventShape):
        handler([{"a": 1}], None)
    with pytest.raises(TypeError):
        enrichment(when="plan")(lambda _: None)  # pyright: ignore[reportArgumentType]
