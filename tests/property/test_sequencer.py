"""Sequencers: however deliveries repeat, interleave and crash, the effect happens once when all parts are there.

With time-outs, either the effect happens or that of the time-out, and never both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from hypothesis import example, given
from hypothesis import strategies as st

from handlers.cdc import EffectLedger
from handlers.cdc.sequencer import Sequencer
from handlers.cdc.testing import InMemoryLedger, InMemorySequences, change

PARTS = ("user", "account")
#: What stands for a part in the call of a time-out.
TIME_OUT = "time-out"


class Crash(Exception):
    """A worker's end, before its record was done."""


class Delivery(NamedTuple):
    """A delivery of a part, the place where its worker dies, and the deliveries between its write and its effect."""

    part: str
    version: int
    dies: str | None = None
    meanwhile: tuple[Delivery, ...] = ()


class World:
    """A table, a ledger, and workers that die."""

    def __init__(self) -> None:
        self.emitted: list[Mapping[str, Mapping[str, Any]]] = []
        self.reminded: list[Mapping[str, Mapping[str, Any]]] = []
        self.failed: list[Delivery] = []
        self.table = InMemorySequences()
        self.between: Callable[[], None] = lambda: None
        self.sequencer = Sequencer(
            "ready",
            parts=PARTS,
            ledger=EffectLedger(namespace="ready", store=InMemoryLedger(), keep=None),
            store=self,
        )

    def put(
        self, key: str, part: str, version: int, document: Mapping[str, Any], *, expires_at: int | None
    ) -> Mapping[str, Mapping[str, Any]]:
        between, self.between = self.between, lambda: None
        documents = self.table.put(key, part, version, document, expires_at=expires_at)
        between()
        return documents

    def get(self, key: str) -> Mapping[str, Mapping[str, Any]]:
        between, self.between = self.between, lambda: None
        documents = self.table.get(key)
        between()
        return documents

    def deliver(self, delivery: Delivery) -> None:
        """Deliver a part, or call a time-out; a worker that dies leaves its delivery to be repeated."""

        def between() -> None:
            for each in delivery.meanwhile:
                self.deliver(each)
            if delivery.dies == "after the write":
                raise Crash

        def emit(parts: Mapping[str, Mapping[str, Any]]) -> None:
            if delivery.dies == "in the effect":
                raise Crash
            self.emitted.append(parts)

        def remind(key: str, parts: Mapping[str, Mapping[str, Any]]) -> None:
            if delivery.dies == "in the effect":
                raise Crash
            self.reminded.append(parts)

        item = {"id": delivery.part, "version": delivery.version}
        try:
            if delivery.dies == "before the write":
                between()
                raise Crash
            self.between = between
            if delivery.part == TIME_OUT:
                self.sequencer.end_wait("u1", remind)
                return
            self.sequencer.arrived(change(new=item), delivery.part, "u1", item, then=emit)
        except Crash:
            self.failed.append(delivery)


places = st.sampled_from([None, "before the write", "after the write", "in the effect"])


def histories_of(*parts: str) -> st.SearchStrategy[list[Delivery]]:
    deliveries = st.tuples(st.sampled_from(parts), st.integers(1, 3), places)
    return st.lists(
        st.tuples(deliveries, st.lists(deliveries, max_size=2)).map(
            lambda drawn: Delivery(*drawn[0], tuple(Delivery(*inner) for inner in drawn[1]))
        ),
        max_size=4,
    )


histories = histories_of(*PARTS)


def all_of(deliveries: Sequence[Delivery]) -> list[Delivery]:
    return [each for outer in deliveries for each in (outer, *outer.meanwhile)]


def after(deliveries: Sequence[Delivery]) -> World:
    """Deliver everything, and what failed once more."""
    world = World()
    for delivery in deliveries:
        world.deliver(delivery)
    for failed in list(world.failed):
        world.deliver(Delivery(failed.part, failed.version))
    return world


@given(histories)
# No repeat that could make up for a part that was overlooked.
@example([Delivery("user", 1), Delivery("account", 1)])
@example([Delivery("account", 1), Delivery("user", 1)])
@example([Delivery("user", 1, None, (Delivery("account", 1),))])
@example([Delivery("user", 1), Delivery("account", 1, "after the write")])
def test_the_effect_happens_once_if_all_parts_were_delivered_and_else_never(history: list[Delivery]) -> None:
    world = after(history)
    complete = {each.part for each in all_of(history)} == {*PARTS}
    assert [set(parts) for parts in world.emitted] == ([{*PARTS}] if complete else [])


@given(histories)
def test_each_part_ends_with_its_newest_document(history: list[Delivery]) -> None:
    newest = {
        part: max(each.version for each in all_of(history) if each.part == part)
        for part in {each.part for each in all_of(history)}
    }
    stored = after(history).table.items.get("ready#u1", {})
    assert {part: version for part, (version, _) in stored.items()} == newest


@given(histories_of(*PARTS, TIME_OUT))
@example([Delivery("user", 1), Delivery(TIME_OUT, 1), Delivery("account", 1)])
@example([Delivery("user", 1), Delivery(TIME_OUT, 1, None, (Delivery("account", 1),))])
@example([Delivery("user", 1), Delivery("account", 1, None, (Delivery(TIME_OUT, 1),))])
@example([Delivery("user", 1), Delivery("account", 1, "after the write"), Delivery(TIME_OUT, 1)])
def test_either_the_effect_happens_or_the_time_outs_and_never_both(history: list[Delivery]) -> None:
    world = after(history)
    brought = {each.part for each in all_of(history)}
    happened = len(world.emitted) + len(world.reminded)
    assert happened <= 1
    assert happened == 1 or not brought >= {*PARTS}
    assert all(set(parts) < {*PARTS} for parts in world.reminded)
    assert TIME_OUT in brought or not world.reminded
