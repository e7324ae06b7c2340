"""Tumbling windows (docs/aws-semantics.md §2.9)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from local.engine.actions import Invoke
from local.engine.clock import VirtualClock
from local.engine.outcomes import Outcome, Succeeded
from local.engine.streams.documents import event_of
from local.engine.streams.records import StreamRecord
from local.engine.streams.settings import MappingSettings
from local.simulation.report import Identifiers
from local.simulation.stream_run import Feed, Handler, Simulation
from tests.conformance.simulated import BUCKET, QUEUE, batches, letters, outcomes, run, times

conforms = pytest.mark.conformance

TO_BUCKET = f"DestinationConfig: {{OnFailure: {{Destination: '{BUCKET}'}}}}"
COUNTS = "handler: [{then: {return: {state: {count: 1}}}}]"


#: Members of an event, in AWS's order.
EVENT = [
    "Records",
    "shardId",
    "eventSourceARN",
    "window",
    "state",
    "isFinalInvokeForWindow",
    "isWindowTerminatedEarly",
]


class Events:
    """A sink that only counts."""

    def invoked(self, invoke: Invoke, outcome: Outcome, now: float) -> None: ...
    def gave_up(self, given_up: Any, delivered: bool | None, now: float) -> None: ...
    def lost(self, lose: Any, now: float) -> None: ...
    def filtered_out(self, records: Sequence[StreamRecord]) -> None: ...


def events_of(answers: list[Any], *at: float, length: int = 10) -> list[dict[str, Any]]:
    """The events that a function got which answered with these states, of records written at these times."""
    seen: list[dict[str, Any]] = []

    def handler(invoke: Invoke, now: float) -> tuple[Outcome, float]:
        seen.append(event_of(invoke.records, invoke.window, stream_arn="stream", shard_id="shard"))
        return Succeeded(answers[len(seen) - 1]), 0.0

    play(handler, Feed("shard", written(*at)), length=length)
    return seen


def written(*at: float) -> list[StreamRecord]:
    """Records that were written, and seen, at these times."""
    return [
        StreamRecord({"dynamodb": {"SequenceNumber": str(number)}}, arrived=each, visible=each)
        for number, each in enumerate(at, 1)
    ]


def play(handler: Handler, *feeds: Feed, length: int = 10) -> None:
    """Run a mapping with a tumbling window and batches of one record."""
    Simulation(
        MappingSettings(tumbling_window=length, batch_size=1),
        feeds,
        handler,
        sink=Events(),
        clock=VirtualClock(0),
        until=1000,
        new_request_id=lambda: str(Identifiers().next()),
    ).run()


def windows(settings: str, *at: float, rest: str = "") -> dict[str, Any]:
    records = "\n".join(
        f'  - {{at: {each}, dynamodb: {{SequenceNumber: "{number}"}}}}' for number, each in enumerate(at, 1)
    )
    return run(f"""
eventSourceMapping: {{StartingPosition: TRIM_HORIZON, TumblingWindowInSeconds: 10, {settings}}}
records:
{records}
{rest}
""")


@conforms("ESM-WINDOW-1", "recorded")
def test_esm_window_1_each_event_carries_its_window_and_the_state_returned_last():
    first, second, final = events_of([{"count": 1}, {"count": 2}, {"count": 2}], 1, 2)
    assert list(first) == EVENT
    assert first["window"] == {"start": "1970-01-01T00:00:00Z", "end": "1970-01-01T00:00:10Z"}
    assert [event["state"] for event in (first, second, final)] == [{}, {"count": 1}, {"count": 2}]
    assert (final["Records"], final["isFinalInvokeForWindow"], final["isWindowTerminatedEarly"]) == ([], True, False)


@conforms("ESM-WINDOW-1", "documented")
def test_esm_window_1_an_answer_without_a_state_is_a_failed_invocation():
    report = windows("MaximumRetryAttempts: 0", 1, rest="handler: [{then: {return: {batchItemFailures: []}}}]")
    assert outcomes(report) == ["error", "error"]
    assert report["metrics"]["Errors"] == 0


@conforms("ESM-WINDOW-2", "recorded")
def test_esm_window_2_a_window_ends_with_a_call_without_records_and_the_next_begins_with_no_state():
    events = events_of([{"count": n} for n in (1, 2, 2, 1, 1)], 1, 2, 11)
    assert [len(event["Records"]) for event in events] == [1, 1, 0, 1, 0]
    assert events[3]["state"] == {}
    assert events[3]["window"]["start"] == "1970-01-01T00:00:10Z"


@conforms("ESM-WINDOW-2", "recorded")
def test_esm_window_2_a_state_over_1_mb_ends_the_window_early():
    large = {"text": "X" * (1024 * 1024 + 64)}
    first, final, third, last = events_of([large, {}, {}, {}], 1, 2)
    assert final["Records"] == []
    assert final["state"] == large
    assert (final["isFinalInvokeForWindow"], final["isWindowTerminatedEarly"]) == (True, True)
    assert (third["state"], third["window"]) == ({}, first["window"])
    assert (last["isFinalInvokeForWindow"], last["isWindowTerminatedEarly"]) == (True, False)


@conforms("ESM-WINDOW-2", "recorded")
@pytest.mark.parametrize(("size", "early"), [(1024 * 1024, False), (1024 * 1024 + 1, True)])
def test_esm_window_2_a_state_may_have_1_mb(size: int, early: bool):
    state = {"text": "X" * (size - len('{"text":""}'))}
    _, second, *_ = events_of([state, {}, {}, {}], 1, 2)
    assert second["isWindowTerminatedEarly"] is early


@conforms("ESM-WINDOW-2", "recorded")
def test_esm_window_2_a_record_is_in_the_window_of_the_time_it_was_written():
    first, *_, last = events_of([{}] * 4, 9.9, 10.0)
    assert first["window"] == {"start": "1970-01-01T00:00:00Z", "end": "1970-01-01T00:00:10Z"}
    assert last["window"] == {"start": "1970-01-01T00:00:10Z", "end": "1970-01-01T00:00:20Z"}


@conforms("ESM-WINDOW-2", "documented")
def test_esm_window_2_each_shard_has_a_state_of_its_own():
    given: dict[str, list[Any]] = {"left": [], "right": []}

    def handler(invoke: Invoke, now: float) -> tuple[Outcome, float]:
        assert invoke.window is not None
        given[invoke.shard_id].append(invoke.window.state)
        return Succeeded({"of": invoke.shard_id}), 0.0

    play(handler, *(Feed(shard, written(1)) for shard in given))
    assert given == {shard: [{}, {"of": shard}] for shard in given}


@conforms("ESM-WINDOW-3", "documented")
def test_esm_window_3_a_final_call_that_fails_too_long_is_given_up_by_its_age():
    report = windows(
        f"MaximumRecordAgeInSeconds: 60, {TO_BUCKET}", 1, 100, rest="handler: [{when: {batch: []}, then: raise}]"
    )
    first, *_ = letters(report)
    assert first["requestContext"]["condition"] == "RecordAgeExceeded"
    assert first["timeWindowInfo"]["window"]["end"] == "2026-01-01T00:00:10Z"
    finals = [at for batch, at in zip(batches(report), times(report), strict=True) if batch == "-"]
    assert finals[:8] == [10, 10.25, 10.75, 11.75, 13.75, 17.75, 25.75, 41.75]
    assert finals[8] >= 100


@conforms("ESM-WINDOW-3", "documented")
def test_esm_window_3_a_final_call_that_succeeds_at_last_lets_the_shard_go_on():
    report = windows("", 1, 11, rest="handler: [{when: {batch: []}, times: 3, then: raise}]")
    assert list(zip(batches(report), times(report), strict=True))[1:6] == [
        ("-", 10),
        ("-", 10.25),
        ("-", 10.75),
        ("-", 11.75),
        ("2", 11.75),
    ]


@conforms("ESM-WINDOW-3", "documented")
def test_esm_window_3_a_failed_final_call_blocks_the_shard_until_its_retries_are_spent():
    report = windows("MaximumRetryAttempts: 2", 1, 11, rest="handler: [{when: {batch: []}, times: 3, then: raise}]")
    assert batches(report) == ["1", "-", "-", "-", "2", "-"]
    assert times(report) == [1, 10, 10.25, 10.75, 11, 20]
    assert report["dropped"] == []  # no record was given up


@conforms("ESM-WINDOW-2", "deduced")
def test_esm_window_2_a_window_of_which_the_function_saw_no_record_has_no_final_call():
    report = run(f"""
    start: "1970-01-01T00:00:00Z"
    eventSourceMapping:
      {{StartingPosition: TRIM_HORIZON, TumblingWindowInSeconds: 10, MaximumRecordAgeInSeconds: 60}}
    records:
      - {{at: 1, visibleAt: 85, dynamodb: {{SequenceNumber: "1"}}}}
      - {{at: 12, visibleAt: 85, dynamodb: {{SequenceNumber: "2"}}}}
      - {{at: 81, visibleAt: 85, dynamodb: {{SequenceNumber: "3"}}}}
    {COUNTS}
    """)
    assert [each["identifiers"] for each in report["dropped"]] == [["1"], ["2"]]
    assert list(zip(batches(report), times(report), strict=True)) == [("3", 85), ("-", 90)]


@conforms("ESM-WINDOW-3", "documented")
def test_esm_window_3_a_shards_end_closes_its_window_and_its_children_start_fresh():
    report = run(f"""
    eventSourceMapping: {{StartingPosition: TRIM_HORIZON, TumblingWindowInSeconds: 100}}
    stream: {{shards: [{{id: parent}}, {{id: child, parent: parent}}]}}
    records:
      - {{shard: parent, at: 1, dynamodb: {{SequenceNumber: "1"}}}}
      - {{shard: child, at: 2, dynamodb: {{SequenceNumber: "2"}}}}
    {COUNTS}
    """)
    assert list(zip(batches(report), times(report), strict=True)) == [("1", 1), ("-", 1), ("2", 2), ("-", 100)]


@conforms("ESM-WINDOW-4", "recorded")
def test_esm_window_4_the_document_of_a_final_call_that_was_given_up_names_the_window():
    report = run(f"""
    start: "2026-09-17T14:11:10Z"
    eventSourceMapping:
      StartingPosition: TRIM_HORIZON
      EventSourceArn: "arn:aws:dynamodb:us-east-1:000000000000:table/T/stream/2026-09-17T14:10:44.560"
      TumblingWindowInSeconds: 10
      BatchSize: 1
      MaximumRetryAttempts: 0
      DestinationConfig: {{OnFailure: {{Destination: "{BUCKET}"}}}}
    stream: {{shards: [{{id: shardId-00000001789654247890-85a74c59}}]}}
    records:
      - {{at: 6, visibleAt: 53.1, dynamodb: {{SequenceNumber: "2400001838000228527682"}}}}
      - {{at: 7, visibleAt: 53.147, dynamodb: {{SequenceNumber: "2500003077291036516106"}}}}
      - {{at: 121, dynamodb: {{SequenceNumber: "8700003963677536337796"}}}}
    handler:
      - {{when: {{contains: ["2400001838000228527682"]}}, then: {{return: {{state: {{count: 1}}}}}}}}
      - {{when: {{contains: ["2500003077291036516106"]}}, then: {{return: {{state: {{count: 2}}}}}}}}
      - {{when: {{batch: [], between: [0, 120]}}, then: raise}}
    """)
    assert [len(each["identifiers"]) for each in report["invocations"]] == [1, 1, 0, 1, 0]
    (letter,) = letters(report)
    assert list(letter)[-2:] == ["DDBStreamBatchInfo", "timeWindowInfo"]
    assert letter["requestContext"]["approximateInvokeCount"] == 1
    assert letter["DDBStreamBatchInfo"] == {
        "shardId": "shardId-00000001789654247890-85a74c59",
        "streamArn": "arn:aws:dynamodb:us-east-1:000000000000:table/T/stream/2026-09-17T14:10:44.560",
    }
    assert letter["timeWindowInfo"] == {
        "window": {"start": "2026-09-17T14:11:10Z", "end": "2026-09-17T14:11:20Z"},
        "isFinalInvokeForWindow": True,
        "isWindowTerminatedEarly": False,
    }
    payload = json.loads(letter["payload"])
    assert list(payload) == EVENT
    assert (payload["Records"], payload["state"]) == ([], {"count": 2})


@conforms("ESM-WINDOW-4", "recorded")
def test_esm_window_4_the_document_for_a_queue_names_the_window_too_and_not_the_state():
    destination = f"DestinationConfig: {{OnFailure: {{Destination: '{QUEUE}'}}}}"
    report = windows(f"MaximumRetryAttempts: 0, {destination}", 1, rest="handler: [{when: {batch: []}, then: raise}]")
    (letter,) = letters(report)
    assert list(letter)[-2:] == ["DDBStreamBatchInfo", "timeWindowInfo"]
    assert "payload" not in letter


@conforms("ESM-WINDOW-6", "recorded")
def test_esm_window_6_a_window_is_not_closed_while_records_of_it_have_not_been_seen():
    report = run(f"""
    eventSourceMapping: {{StartingPosition: TRIM_HORIZON, TumblingWindowInSeconds: 10, BatchSize: 1}}
    records:
      - {{at: 1, visibleAt: 50, dynamodb: {{SequenceNumber: "1"}}}}
      - {{at: 2, visibleAt: 70, dynamodb: {{SequenceNumber: "2"}}}}
      - {{at: 71, dynamodb: {{SequenceNumber: "3"}}}}
    {COUNTS}
    """)
    assert list(zip(batches(report), times(report), strict=True)) == [
        ("1", 50),
        ("2", 70),
        ("-", 70),
        ("3", 71),
        ("-", 80),
    ]


@conforms("ESM-WINDOW-6", "deduced")
def test_esm_window_6_windows_are_aligned_to_the_epoch_and_an_idle_one_ends_on_time():
    report = run(f"""
    start: "2026-01-01T00:00:03Z"
    eventSourceMapping: {{StartingPosition: TRIM_HORIZON, TumblingWindowInSeconds: 10}}
    records: [{{at: 0, dynamodb: {{SequenceNumber: "1"}}}}]
    {COUNTS}
    """)
    assert list(zip(batches(report), times(report), strict=True)) == [("1", 0), ("-", 7)]


@conforms("ESM-PARAM-8", "documented")
def test_esm_param_8_a_batch_never_mixes_windows():
    report = windows("BatchSize: 100, MaximumBatchingWindowInSeconds: 30", 1, 2, 11, 12, rest=COUNTS)
    assert batches(report) == ["12", "-", "34", "-"]
    at_once = run(f"""
    eventSourceMapping: {{StartingPosition: TRIM_HORIZON, TumblingWindowInSeconds: 10}}
    records:
      - {{at: 1, visibleAt: 50, dynamodb: {{SequenceNumber: "1"}}}}
      - {{at: 2, visibleAt: 50, dynamodb: {{SequenceNumber: "2"}}}}
      - {{at: 11, visibleAt: 50, dynamodb: {{SequenceNumber: "3"}}}}
    {COUNTS}
    """)
    assert batches(at_once) == ["12", "-", "3", "-"]
