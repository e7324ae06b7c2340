"""The demands on the alarms that watch something, and the demand that the nearest one misses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from policies.metric_alarms import Alarms, WatchedMetric, has_threshold
from policies.not_applicable import Awaited
from policies.resources import every, some


class Demand(NamedTuple):
    """One property that an alarm must have.

    Attributes:
        holds: Tests whether an alarm has it.
        lacking: What to report when the alarms that satisfy the demands before this one do not satisfy it: a text, or
            a function of the first of them.
    """

    holds: Callable[[WatchedMetric], bool]
    lacking: str | Callable[[WatchedMetric], str]


#: Demands a threshold: an anomaly detector has none that could be judged.
A_THRESHOLD = Demand(
    has_threshold,
    "the alarm compares with the band of an anomaly detector, which follows a slow change, instead of with a threshold",
)


def is_heard(alarms: Alarms) -> Demand:
    """Demand that somebody hears of the alarm."""
    return Demand(lambda watched: alarms.heard(watched.alarm), alarms.unheard)


def lacking(watching: Iterable[WatchedMetric], none: str, demands: Sequence[Demand]) -> str | None:
    """Tell what is missing for one alarm to satisfy every demand; `None` when one does.

    Args:
        watching: The alarms.
        none: The answer when there is none.
        demands: The demands, in the order in which they are reported.

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
        first = left[0]
        left = [watched for watched in left if _may(demand, watched)]
        said = demand.lacking if isinstance(demand.lacking, str) else demand.lacking(first)
    return said


def _may(demand: Demand, watched: WatchedMetric) -> bool:
    try:
        return demand.holds(watched)
    except Awaited:
        return True
