"""Which of the alarms that watch something would call somebody, and what the nearest one lacks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from policies.metric_alarms import WatchedMetric
from policies.not_applicable import Awaited
from policies.resources import every, some


class Demand(NamedTuple):
    """What an alarm must satisfy.

    Attributes:
        holds: Whether it does.
        lacking: What to say when the alarms that satisfy the demands before this one do not.
    """

    holds: Callable[[WatchedMetric], bool]
    lacking: str


def lacking(watching: Iterable[WatchedMetric], none: str, demands: Sequence[Demand]) -> str | None:
    """What is missing for one alarm to satisfy every demand; `None` when one does.

    Args:
        watching: The alarms.
        none: What to say when there is none.
        demands: In the order in which they are told.

    Raises:
        Awaited: That depends on a value that is not known.
    """
    left, said = list(watching), none

    def satisfies(watched: WatchedMetric) -> bool:
        return every(*(lambda demand=demand: demand.holds(watched) for demand in demands))

    if some(left, satisfies):
        return None
    for demand in demands:
        if not left:
            break
        left, said = [watched for watched in left if _may(demand, watched)], demand.lacking
    return said


def _may(demand: Demand, watched: WatchedMetric) -> bool:
    try:
        return demand.holds(watched)
    except Awaited:
        return True
