"""Random histories of a mapping: whatever happens, no record is lost silently, repeated out of order or left behind.

A history is a stream (shards with parents, records with keys, times and delays), settings, and what the function does
in each of its invocations.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, pairwise, repeat
from typing import Any

from hypothesis import event, given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from local.engine.actions import GiveUp, Invoke, Lose
from local.engine.clock import VirtualClock
from local.engine.outcomes import Failed, Outcome, Partial, Succeeded, Throttled
from local.engine.streams.batches import StreamBatches
from local.engine.streams.lane import back_off
from local.engine.streams.records import StreamRecord
from local.engine.streams.settings import MappingSettings
from local.simulation.report import Identifiers, Report, mapping_documents
from local.simulation.stream_run import Feed, Simulation

DESTINATION = "arn:aws:sqs:us-east-1:111122223333:failures"
STREAM = "arn:aws:dynamodb:us-east-1:111122223333:table/T/stream/2026-01-01T00:00:00.000"
#: What the function does in one invocation, and how long it takes.
Step = tuple[str, int, float]


@dataclass(frozen=True)
class Written:
    """A record: its shard, its item, when it was written and how much later it was seen."""

    shard: int
    item: int
    at: int
    delay: int
    kept: bool


@dataclass(frozen=True)
class History:
    """Everything that a run depends on."""

    settings: MappingSettings
    parents: tuple[tuple[int, ...], ...]
    records: tuple[Written, ...]
    steps: tuple[Step, ...]
    poison: frozenset[int]
    destination_fails: bool
    until: int

    def feeds(self) -> list[Feed]:
        feeds: list[Feed] = []
        ends = {parent for parents in self.parents for parent in parents}
        for shard, parents in enumerate(self.parents):
            seen = 0.0
            records: list[StreamRecord] = []
            for number, each in enumerate(self.records):
                if each.shard == shard:
                    seen = max(seen, float(each.at + each.delay))
                    records.append(_record(number, each, seen))
            feeds.append(Feed(f"s{shard}", records, parents=[f"s{parent}" for parent in parents], ends=shard in ends))
        return feeds


class Recorder(Report):
    """A report that also keeps its entries as they were added."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.calls: list[tuple[Invoke, Outcome, float]] = []
        self.ended: list[tuple[str, str]] = []

    def invoked(self, invoke: Invoke, outcome: Outcome, now: float) -> None:
        super().invoked(invoke, outcome, now)
        self.calls.append((invoke, outcome, now))

    def gave_up(self, given_up: GiveUp, delivered: bool | None, now: float) -> None:
        super().gave_up(given_up, delivered, now)
        self.ended += [(each.identifier, "dead letter" if delivered else "dropped") for each in given_up.records]

    def lost(self, lose: Lose, now: float) -> None:
        super().lost(lose, now)
        self.ended += [(each.identifier, "lost") for each in lose.records]

    def filtered_out(self, records: Iterable[StreamRecord]) -> None:
        super().filtered_out(records)
        self.ended += [(each.identifier, "filtered") for each in records]


@st.composite
def histories(draw: st.DrawFn) -> History:
    window = draw(st.sampled_from([0, 0, 0, 10]))
    settings = MappingSettings(
        batch_size=draw(st.integers(1, 6)),
        batching_window=draw(st.sampled_from([0, 0, 1, 7])),
        parallelization_factor=1 if window else draw(st.integers(1, 3)),
        maximum_retry_attempts=draw(st.sampled_from([-1, 0, 1, 3])),
        maximum_record_age=draw(st.sampled_from([-1, 60, 90])),
        bisect=draw(st.booleans()),
        report_batch_item_failures=draw(st.booleans()),
        tumbling_window=window,
        filters=() if window else draw(st.sampled_from([(), ('{"eventName": ["MODIFY"]}',)])),
        destination=draw(st.sampled_from([None, DESTINATION])),
        retention=draw(st.sampled_from([None, 120])),
    )
    parents = draw(st.sampled_from([((),), ((), (0,)), ((), (0,), (0,)), ((), ()), ((), (0,), (1,)), ((), (), (0, 1))]))
    records = draw(
        st.lists(
            st.builds(
                Written,
                shard=st.integers(0, len(parents) - 1),
                item=st.integers(0, 3),
                at=st.integers(0, 30),
                delay=st.sampled_from([0, 0, 0, 5, 100]),
                kept=st.booleans(),
            ),
            max_size=24,
        )
    )
    steps = draw(
        st.lists(
            st.tuples(
                st.sampled_from(["succeed", "succeed", "fail", "malformed", "partial", "throttle"]),
                st.integers(0, 5),
                st.sampled_from([0.0, 0.0, 0.3, 2.0]),
            ),
            max_size=30,
        )
    )
    return History(
        settings,
        parents,
        tuple(sorted(records, key=lambda each: each.at)),
        tuple(steps),
        draw(st.frozensets(st.integers(0, 23), max_size=2)),
        draw(st.booleans()),
        draw(st.sampled_from([15, 2000, 2000])),
    )


def play(history: History) -> tuple[Recorder, Simulation]:
    identifiers = Identifiers()
    settings = history.settings
    document = mapping_documents(
        function_arn="arn:aws:lambda:us-east-1:111122223333:function:F",
        stream_arn=STREAM,
        destination=settings.destination,
        identifiers=identifiers,
    )
    recorder = Recorder(starts_at=0.0, document=document)
    simulation = Simulation(
        settings,
        history.feeds(),
        _function(history),
        sink=recorder,
        clock=VirtualClock(0.0),
        until=float(history.until),
        destination_fails=history.destination_fails,
        new_request_id=lambda: str(identifiers.next()),
        record=lambda name, value, _: recorder.count(name, value),
    )
    simulation.run()
    recorder.finish(
        checkpoints=simulation.mapping.checkpoints,
        unfinished=[
            record.identifier
            for feed in simulation.feeds
            for record in (*simulation.mapping.unfinished(feed.shard_id), *feed.rest())
        ],
    )
    return recorder, simulation


@given(histories())
def test_every_record_ends_in_exactly_one_way(history: History):
    recorder, _ = play(history)
    ended = list(recorder.ended)
    for (invoke, outcome, now), takes in zip(recorder.calls, _takes(history), strict=False):
        if now + takes <= history.until:
            ended += [(each, "done") for each in _done(invoke, outcome)]
    ended += [(each, "unfinished") for each in recorder.document["unfinished"]]
    for _, way in ended:
        event(way)
    assert sorted(each for each, _ in ended) == sorted(_identifier(number) for number in range(len(history.records)))


@given(histories())
def test_the_records_of_an_item_are_first_done_in_the_order_they_were_written(history: History):
    recorder, _ = play(history)
    latest: dict[tuple[int, int], int] = {}
    for invoke, outcome, _ in recorder.calls:
        for identifier in _done(invoke, outcome):
            written = history.records[int(identifier) - 1000]
            item = (written.shard, written.item)
            assert latest.get(item, -1) < int(identifier)
            latest[item] = int(identifier)


@given(histories())
def test_a_batch_is_of_one_shard_in_order_and_no_larger_than_its_size(history: History):
    recorder, _ = play(history)
    for invoke, _, _ in recorder.calls:
        numbers = [int(each.identifier) - 1000 for each in invoke.records]
        assert numbers == sorted(numbers)
        assert len(numbers) <= history.settings.batch_size
        assert {f"s{history.records[number].shard}" for number in numbers} <= {invoke.shard_id}
        if history.settings.tumbling_window:
            assert len({history.records[number].at // 10 for number in numbers}) <= 1


@given(histories())
def test_a_lane_has_one_invocation_at_a_time_and_a_child_waits_for_its_parents(history: History):
    recorder, _ = play(history)
    busy: dict[tuple[str, int], float] = {}
    last: dict[str, float] = {}
    first: dict[str, float] = {}
    for (invoke, _, now), takes in zip(recorder.calls, _takes(history), strict=False):
        lane = (invoke.shard_id, invoke.lane)
        assert busy.get(lane, 0.0) <= now
        end = round(now + takes, 6)  # as the simulation keeps time
        busy[lane] = end
        first.setdefault(invoke.shard_id, now)
        last[invoke.shard_id] = max(last.get(invoke.shard_id, 0.0), end)
    for child, parents in enumerate(history.parents):
        for parent in parents:
            if f"s{child}" in first and f"s{parent}" in last:
                assert last[f"s{parent}"] <= first[f"s{child}"]


@given(histories())
def test_invocations_are_bounded_by_retries_and_splits(history: History):
    """The bound of docs/simulate.md: attempts of each batch, and at most 2n - 1 batches of n records."""
    recorder, _ = play(history)
    retries = history.settings.maximum_retry_attempts
    counted: dict[str, int] = {}
    throttled: dict[str, int] = {}
    for invoke, outcome, _ in recorder.calls:
        which = throttled if isinstance(outcome, Throttled) else counted
        which[invoke.request_id] = which.get(invoke.request_id, 0) + 1
    if retries != -1:
        assert all(count <= retries + 1 for count in counted.values())
        final = len(history.records) if history.settings.tumbling_window else 0
        batches = 2 * len(history.records) + final
        partials = sum(isinstance(outcome, Partial) for _, outcome, _ in recorder.calls)
        assert len(counted) <= batches + partials


@given(histories())
def test_retries_wait_as_long_as_the_back_off_and_keep_their_request_id(history: History):
    recorder, _ = play(history)
    by_request: dict[str, list[tuple[Invoke, Outcome, float]]] = {}
    for call in recorder.calls:
        by_request.setdefault(call[0].request_id, []).append(call)
    for calls in by_request.values():
        assert [invoke.attempt for invoke, _, _ in calls] == list(range(1, len(calls) + 1))
        for (_, _, before), (_, _, after) in pairwise(calls):
            assert round(after - before, 6) >= back_off(1)


@given(histories())
def test_the_checkpoint_is_the_end_of_the_finished_prefix(history: History):
    recorder, _ = play(history)
    unfinished = set(recorder.document["unfinished"])
    for shard in range(len(history.parents)):
        numbers = [_identifier(n) for n, each in enumerate(history.records) if each.shard == shard]
        prefix: str | None = None
        for identifier in numbers:
            if identifier in unfinished:
                break
            prefix = identifier
        assert recorder.document["checkpoints"][f"s{shard}"] == prefix


@given(histories())
def test_the_metrics_add_up(history: History):
    recorder, _ = play(history)
    document = recorder.document
    metrics = document["metrics"]
    ways = [way for _, way in recorder.ended]
    assert metrics["FilteredOutEventCount"] == ways.count("filtered") == len(document["filteredOut"])
    assert metrics["OnFailureDestinationDeliveredEventCount"] == ways.count("dead letter")
    assert metrics["DroppedEventCount"] == ways.count("dropped")
    assert metrics["PolledEventCount"] <= len(history.records)
    assert metrics["Throttles"] + metrics["Errors"] <= len(document["invocations"])


@given(histories())
def test_the_same_history_gives_the_same_report(history: History):
    first, _ = play(history)
    second, _ = play(history)
    assert json.dumps(first.document) == json.dumps(second.document)


@given(histories())
def test_a_run_ends_with_nothing_left_to_do_or_with_its_time(history: History):
    _, simulation = play(history)
    wake_at = simulation.mapping.wake_at
    assert wake_at is None or wake_at > history.until


def _record(number: int, written: Written, seen: float) -> StreamRecord:
    image = {
        "eventID": f"{number:032x}",
        "eventName": "MODIFY" if written.kept else "INSERT",
        "dynamodb": {
            "Keys": {"pk": {"S": f"{written.shard}-{written.item}"}},
            "SequenceNumber": _identifier(number),
            "SizeBytes": 5,
        },
        "eventSourceARN": STREAM,
    }
    return StreamRecord(image, arrived=float(written.at), visible=seen)


def _identifier(number: int) -> str:
    return str(1000 + number)


def _function(history: History) -> Callable[[Invoke, float], tuple[Outcome, float]]:
    steps = iter(history.steps)

    def call(invoke: Invoke, now: float) -> tuple[Outcome, float]:
        kind, place, takes = next(steps, ("succeed", 0, 0.0))
        count = len(invoke.records)
        if history.poison & {int(each.identifier) - 1000 for each in invoke.records}:
            return Failed("Unhandled"), takes
        match kind:
            case "fail":
                return Failed("Unhandled"), takes
            case "malformed":
                return Failed(None), takes
            case "throttle":
                return Throttled(), takes
            case "partial" if count > 1 and history.settings.report_batch_item_failures:
                return Partial(1 + place % (count - 1), {"n": place}), takes
            case _:
                return Succeeded({"n": place}), takes

    return call


def _done(invoke: Invoke, outcome: Outcome) -> list[str]:
    match outcome:
        case Succeeded():
            return [each.identifier for each in invoke.records]
        case Partial(accepted):
            return [each.identifier for each in invoke.records[:accepted]]
        case _:
            return []


def _takes(history: History) -> Iterator[float]:
    """Seconds that each invocation takes, in the order they are made."""
    return chain((takes for _, _, takes in history.steps), repeat(0.0))


class OneMapping(RuleBasedStateMachine):
    """A mapping that is driven by hand: clocks jump, answers come late, somebody switches it off and on."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.number = 0
        self.running: list[Invoke] = []
        self.written: list[StreamRecord] = []
        self.ended: dict[str, str] = {}

    @initialize(
        factor=st.integers(1, 3), bisect=st.booleans(), retries=st.sampled_from([-1, 0, 2]), size=st.integers(1, 5)
    )
    def create(self, factor: int, bisect: bool, retries: int, size: int) -> None:
        self.factor = factor
        self.settings = MappingSettings(
            batch_size=size,
            parallelization_factor=factor,
            bisect=bisect,
            maximum_retry_attempts=retries,
            maximum_record_age=600,
            report_batch_item_failures=True,
        )
        self.mapping = StreamBatches(self.settings)
        self.mapping.open("s0", (), self.now)

    @rule(items=st.lists(st.integers(0, 3), min_size=1, max_size=6))
    def write(self, items: list[int]) -> None:
        records: list[StreamRecord] = []
        for item in items:
            records.append(_record(self.number, Written(0, item, int(self.now), 0, True), self.now))
            self.number += 1
        self.written += records
        self.mapping.add("s0", records, self.now)
        self._act()

    @rule(seconds=st.sampled_from([0.1, 0.25, 1, 30, 700, 100_000]))
    def let_time_pass(self, seconds: float) -> None:
        self.now += seconds
        self._act()

    @precondition(lambda self: self.running)
    @rule(which=st.integers(0, 2), kind=st.sampled_from(["succeed", "fail", "throttle", "partial"]))
    def answer(self, which: int, kind: str) -> None:
        invoke = self.running.pop(which % len(self.running))
        outcome: Outcome = Succeeded()
        if kind == "fail":
            outcome = Failed("Unhandled")
        elif kind == "throttle":
            outcome = Throttled()
        elif kind == "partial" and len(invoke.records) > 1:
            outcome = Partial(1)
        for identifier in _done(invoke, outcome):
            assert identifier not in self.ended
            self.ended[identifier] = "done"
        self.mapping.finished(invoke, outcome, self.now)
        self._act()

    @precondition(lambda self: not self.running)
    @rule()
    def switch_off_and_on(self) -> None:
        checkpoint = self.mapping.checkpoints["s0"]
        behind = [each for each in self.written if checkpoint is None or each.sequence_number > int(checkpoint)]
        # What other lanes have done there comes again.
        self.ended = {each: how for each, how in self.ended.items() if each not in {one.identifier for one in behind}}
        self.mapping = StreamBatches(self.settings)
        self.mapping.open("s0", (), self.now)
        self.mapping.add("s0", behind, self.now)
        self._act()

    @invariant()
    def nothing_is_lost(self) -> None:
        left = [each.identifier for each in self.mapping.unfinished("s0")]
        assert sorted([*left, *self.ended]) == sorted(_identifier(number) for number in range(self.number))

    @invariant()
    def no_lane_runs_twice(self) -> None:
        lanes = [invoke.lane for invoke in self.running]
        assert len(lanes) == len(set(lanes)) <= self.factor

    def _act(self) -> None:
        for action in self.mapping.next(self.now):
            assert self.mapping.enabled
            match action:
                case Invoke():
                    self.running.append(action)
                case GiveUp():
                    for each in action.records:
                        assert each.identifier not in self.ended
                        self.ended[each.identifier] = "given up"
                    self.mapping.sent(action, delivered=None, now=self.now)
                case Lose():
                    raise AssertionError("no retention was set")


test_a_mapping_that_is_driven_by_hand = OneMapping.TestCase
