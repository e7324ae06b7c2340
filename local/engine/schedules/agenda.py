"""`Agenda`: when each schedule is due, and when it has completed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from local.engine.schedules.expressions import Expression


@dataclass(frozen=True)
class Plan:
    """The times of a schedule.

    Attributes:
        expression: Its moments.
        begin: When it begins, in seconds since 1970.
        end: When it ends; it may be infinite.
        window: Seconds of its flexible time window; 0 without one.
    """

    expression: Expression
    begin: float
    end: float = float("inf")
    window: float = 0.0

    def following(self, moment: float | None) -> float | None:
        """Return the moment after another one, or the first one; `None` if there is none before the end."""
        found = self.expression.following(moment, self.begin)
        return found if found is not None and (found < self.end or not self.expression.recurs) else None


@dataclass(frozen=True)
class Due:
    """An invocation that is due.

    Attributes:
        schedule: The schedule's ARN.
        moment: The moment that the schedule names, which is before the flexible time window.
        last: Whether no other follows: the schedule has completed.
    """

    schedule: str
    moment: float
    last: bool


@dataclass
class _Entry:
    plan: Plan
    moment: float


class Agenda:
    """The plans of all schedules that are enabled, and the next moment of each.

    A moment comes once, however far the clock moves: what it has passed over is due at once, one after the other. AWS
    delays invocations and loses none.

    >>> from local.engine.schedules.expressions import Rate
    >>> agenda = Agenda()
    >>> agenda.put("a", Plan(Rate(60), begin=100.0, end=200.0))
    True
    >>> agenda.next_moment()
    100.0
    >>> [(each.moment, each.last) for each in agenda.due(1_000.0)]
    [(100.0, False), (160.0, True)]
    """

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}

    def put(self, schedule: str, plan: Plan) -> bool:
        """Enter a schedule, or enter it anew with another plan; return whether it has a moment at all."""
        self._entries.pop(schedule, None)
        moment = plan.following(None)
        if moment is None:
            return False
        self._entries[schedule] = _Entry(plan, moment)
        return True

    def drop(self, schedule: str) -> None:
        """Take a schedule out: it is disabled, has completed or is deleted."""
        self._entries.pop(schedule, None)

    def next_moment(self) -> float:
        """Return when something is due next; infinite if nothing ever is."""
        return min((_invoked(name, each) for name, each in self._entries.items()), default=float("inf"))

    def due(self, now: float) -> Iterator[Due]:
        """Take what is due, oldest first."""
        while self._entries:
            name, entry = min(self._entries.items(), key=lambda each: _invoked(*each))
            if _invoked(name, entry) > now:
                return
            moment, following = entry.moment, entry.plan.following(entry.moment)
            if following is None:
                del self._entries[name]
            else:
                entry.moment = following
            yield Due(name, moment, last=following is None)


def _invoked(schedule: str, entry: _Entry) -> float:
    """Return when the target is called: AWS chooses a moment in the window, and here it is always the same one."""
    if not entry.plan.window:
        return entry.moment
    drawn = hashlib.sha256(f"{schedule}@{entry.moment}".encode()).digest()
    return entry.moment + int.from_bytes(drawn[:4]) / 2**32 * entry.plan.window
