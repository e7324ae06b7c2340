"""Properties of every pipe: entries that a batch API rejected, and input templates."""

from __future__ import annotations

import json
import string

from hypothesis import given
from hypothesis import strategies as st

from local.engine.actions import Invoke
from local.engine.outcomes import Failed, Rejected, Succeeded
from local.engine.pipes.answers import rejected
from local.engine.pipes.templates import InputTemplate, find, resolve
from local.engine.streams.lane import Lane
from local.engine.streams.records import StreamRecord
from local.engine.streams.settings import MappingSettings

NAMES = st.text(string.ascii_letters + "_-", min_size=1, max_size=8)
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(NAMES, children, max_size=3),
    max_leaves=12,
)
EVENTS = st.dictionaries(NAMES, DOCUMENTS, max_size=4)


def records(count: int) -> list[StreamRecord]:
    return [
        StreamRecord(
            {"eventID": str(number), "dynamodb": {"Keys": {}, "SequenceNumber": str(number), "SizeBytes": 1}},
            arrived=0.0,
            visible=0.0,
            identifier=str(number),
        )
        for number in range(count)
    ]


@given(st.integers(1, 12), st.integers(1, 5), st.data())
def test_an_entry_that_was_accepted_is_never_sent_again_and_every_entry_is_sent(count, size, data):
    lane = Lane(MappingSettings(batch_size=size))
    lane.add(records(count))
    accepted: list[str] = []
    now = 0.0
    while len(accepted) < count:
        action = lane.next(now)
        if not isinstance(action, Invoke):
            now += 60.0
            continue
        sent = [record.identifier for record in action.records]
        assert not set(sent) & set(accepted)
        refused = data.draw(st.sets(st.sampled_from(sent)), label="refused") if action.attempt < 3 else set()
        outcome = rejected(refused, sent)
        match outcome:
            case Succeeded():
                accepted += sent
            case Rejected(positions):
                accepted += [each for place, each in enumerate(sent) if place not in positions]
            case _:
                assert isinstance(outcome, Failed)
                assert refused == set(sent)
        lane.finished(outcome, now)
        done = {int(each) for each in accepted}
        prefix = next((number for number in range(count) if number not in done), count)
        assert lane.checkpoint == (str(prefix - 1) if prefix else None)
    assert sorted(accepted, key=int) == [str(number) for number in range(count)]
    assert lane.unfinished == ()


@given(EVENTS)
def test_an_event_passes_through_the_variable_that_stands_for_it(event):
    made = InputTemplate('{"all": <aws.pipes.event>}').render(event, {}, ingested="")
    assert made == {"all": event}


@given(EVENTS, NAMES)
def test_whatever_an_event_holds_a_template_of_json_makes_json(event, name):
    template = InputTemplate(f'{{"quoted": "is <$.{name}>!", "plain": <$.{name}>}}')
    made = template.render(event, {}, ingested="")
    found = event.get(name)
    assert made["plain"] == ("" if found is None else found)
    text = found if isinstance(found, str) else json.dumps(found, ensure_ascii=False).replace('"', "")
    text = "" if found is None else text
    assert made["quoted"] == f"is {text}!"


@given(EVENTS, st.lists(NAMES, min_size=1, max_size=4))
def test_a_path_finds_what_its_steps_lead_to(event, names):
    expected = event
    for name in names:
        expected = expected.get(name) if isinstance(expected, dict) else None
    path = "$" + "".join(f".{name}" for name in names)
    assert find(path, event) == expected
    assert resolve(path, event) == (
        "" if expected is None else expected if isinstance(expected, str) else json.dumps(expected)
    )
