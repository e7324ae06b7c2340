"""Sequencers: however deliveries repeat, interleave and crash, the effect happens once when all parts are there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from hypothesis import example, given
from hypothesis import strategies as st

from handlers.cdc import EffectLedger
from handlers.cdc.sequencer import Sequencer
from handlers.cdc.testing import InMemoryLedger, InMemorySequences, change

PARTS = ("user", "account")


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

    def deliver(self, delivery: Delivery) -> None:
        """Deliver a part; a worker that dies leaves its delivery to be repeated."""

        def between() -> None:
            for each in delivery.meanwhile:
                self.deliver(each)
            if delivery.dies == "after the write":
                raise Crash

        def emit(parts: Mapping[str, Mapping[str, Any]]) -> None:
            if delivery.dies == "in the effect":
                raise Crash
            self.emitted.append(parts)

        item = {"id": delivery.part, "version": delivery.version}
        try:
            if delivery.dies == "before the write":
                between()
                raise Crash
            self.between = between
            self.sequencer.arrived(change(new=item), delivery.part, "u1", item, then=emit)
        except Crash:
            self.failed.append(delivery)


places = st.sampled_from([None, "before the write", "after the write", "in the effect"])
arrivals = st.tuples(st.sampled_from(PARTS), st.integers(1, 3), places)
histories = st.lists(
    st.tuples(arrivals, st.lists(arrivals, max_size=2)).map(
        lambda drawn: Delivery(*drawn[0], tuple(Delivery(*inner) for inner in drawn[1]))
    ),
    max_size=4,
)


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
