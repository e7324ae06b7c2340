"""Counters beside the table that they count: also while it is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from handlers.cdc.counters import Counters
from handlers.cdc.recount import Difference, recount, repair
from handlers.cdc.testing import InMemoryCounters
from handlers.plan_counts import counted_by

PRO, FREE = "users#pro", "users#free"


class Users:
    """A table of users and their counters, which follow when `count` is called."""

    def __init__(self, **plans: str | None) -> None:
        self.plans = dict(plans)
        self.counters = Counters("plans", store=InMemoryCounters())
        self._events = 0

    def scan(self) -> Iterator[Mapping[str, Any]]:
        yield from [{"plan": plan} if plan else {} for plan in self.plans.values()]

    def count(self, **amounts: int) -> None:
        self._events += 1
        self.counters.add(f"event-{self._events}", {f"users#{plan}": amount for plan, amount in amounts.items()})

    def compare(self, between: Any = lambda: None) -> Any:
        return recount(self.counters, self.scan, counted_by, known=[PRO, FREE], between=between)


def test_counters_that_are_right_show_no_difference() -> None:
    users = Users(ada="pro", bob="free", eve=None)
    users.count(pro=1, free=1)
    result = users.compare()
    assert (result.differences, result.moving, result.expected) == ([], [], {PRO: 1, FREE: 1})


def test_differences_are_named_in_both_directions_and_repaired_once() -> None:
    users = Users(ada="pro", bob="pro")
    users.count(pro=1, free=3)
    result = users.compare()
    assert result.differences == [Difference(FREE, 3, 0), Difference(PRO, 1, 2)]
    assert [repair(users.counters, result.differences, "monday") for _ in range(2)] == [True, False]
    assert (users.counters.read(PRO), users.counters.read(FREE)) == (2, 0)
    assert users.compare().differences == []


def test_a_change_on_its_way_moves_and_is_no_difference() -> None:
    users = Users(ada="free")
    users.count(free=1)
    users.plans["ada"] = "pro"  # written, and not counted yet
    arrivals = iter([lambda: users.count(free=-1, pro=1), lambda: None])
    result = users.compare(lambda: next(arrivals)())
    assert (result.differences, result.moving) == ([], [FREE, PRO])
    assert users.compare().moving == []


def test_a_real_difference_is_found_while_another_counter_is_written() -> None:
    users = Users(ada="pro")
    users.count(pro=5)

    def write() -> None:
        users.plans[f"u{len(users.plans)}"] = "free"

    result = users.compare(write)
    assert (result.differences, result.moving) == ([Difference(PRO, 5, 1)], [FREE])


def test_changes_that_are_counted_between_the_comparison_and_the_repair_stay_counted() -> None:
    users = Users(ada="pro")
    result = users.compare()
    users.plans["bob"] = "pro"
    users.count(pro=1)
    repair(users.counters, result.differences, "monday")
    assert users.counters.read(PRO) == 2
    assert users.compare().differences == []


def test_a_counter_whose_last_item_is_deleted_between_passes_moves() -> None:
    users = Users(ada="beta")
    users.count(beta=1)
    result = users.compare(users.plans.clear)
    assert (result.differences, result.moving) == ([], ["users#beta"])


def test_one_pass_is_refused() -> None:
    with pytest.raises(ValueError, match="it takes two"):
        recount(Users().counters, list, counted_by, passes=1)
