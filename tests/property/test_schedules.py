"""Schedules: however the clock moves, each moment comes once, in order, and not before its time."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as some

from local.engine.schedules.agenda import Agenda, Due, Plan
from local.engine.schedules.expressions import At, Rate

HORIZON = 3_000

plans = some.one_of(
    some.builds(Plan, some.builds(At, some.integers(0, HORIZON).map(float)), begin=some.just(0.0)),
    some.builds(
        Plan,
        some.builds(Rate, some.integers(60, 900)),
        begin=some.integers(0, 1_000).map(float),
        end=some.integers(0, HORIZON).map(float),
        window=some.sampled_from([0.0, 60.0, 300.0]),
    ),
)
books = some.dictionaries(some.sampled_from("abcd"), plans, max_size=4)
steps = some.lists(some.integers(0, 1_200), max_size=8)


def expected(plan: Plan) -> list[float]:
    moments, moment = list[float](), plan.following(None)
    while moment is not None:
        moments.append(moment)
        moment = plan.following(moment)
    return moments


def run(book: dict[str, Plan], moves: Sequence[float]) -> list[tuple[float, Due]]:
    """What is due at each stop of the clock, and at last at the end of all windows."""
    agenda, now, found = Agenda(), 0.0, list[tuple[float, Due]]()
    for name, plan in book.items():
        agenda.put(name, plan)
    for move in [*moves, 10 * HORIZON]:
        now += move
        found += [(now, due) for due in agenda.due(now)]
        assert agenda.next_moment() > now
    return found


@given(books, steps)
def test_each_moment_of_each_schedule_comes_once_and_in_order(book: dict[str, Plan], moves: list[float]) -> None:
    found = run(book, moves)
    for name, plan in book.items():
        assert [due.moment for _, due in found if due.schedule == name] == expected(plan)


@given(books, steps)
def test_nothing_comes_before_its_time_and_nothing_waits_longer_than_its_window(
    book: dict[str, Plan], moves: list[float]
) -> None:
    stops = [float(sum(moves[: index + 1])) for index in range(len(moves))]
    for now, due in run(book, moves):
        assert due.moment <= now
        latest = due.moment + book[due.schedule].window
        # Of the stops of the clock, the first one after the window at the latest.
        assert now <= next((stop for stop in stops if stop >= latest), float("inf"))


@given(books, steps)
def test_the_last_moment_of_a_schedule_is_marked(book: dict[str, Plan], moves: list[float]) -> None:
    found = run(book, moves)
    for name in book:
        marks = [due.last for _, due in found if due.schedule == name]
        assert marks == [False] * (len(marks) - 1) + [True] * bool(marks)
