"""Schedule expressions: `at(…)`, `rate(…)` and `cron(…)`, in UTC (docs/aws-semantics.md §10.3).

https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

_MINUTE = 60
_UNITS = {"minute": _MINUTE, "hour": 3600, "day": 86_400}
_LAST_YEAR = 2199


class InvalidExpression(ValueError):
    """An expression that AWS refuses."""


class NotHonoured(ValueError):
    """An expression that AWS takes and that is not evaluated here. The message names the part."""


class Expression(Protocol):
    """The moments of a schedule."""

    @property
    def recurs(self) -> bool:
        """`True` if there is more than one moment, so that StartDate and EndDate count."""
        ...

    def following(self, moment: float | None, begin: float) -> float | None:
        """Return the moment after another one; `None` if there is none.

        Args:
            moment: The moment, in seconds since 1970; `None` for the first one.
            begin: When the schedule begins.
        """
        ...


@dataclass(frozen=True)
class At:
    """One moment.

    Attributes:
        moment: The moment, in seconds since 1970.
    """

    moment: float
    recurs = False

    def following(self, moment: float | None, begin: float) -> float | None:  # noqa: ARG002 - a protocol's
        """Return the moment, and nothing after it."""
        return self.moment if moment is None else None


@dataclass(frozen=True)
class Rate:
    """Moments at a distance; the first is when the schedule begins.

    Attributes:
        seconds: The distance.
    """

    seconds: int
    recurs = True

    def following(self, moment: float | None, begin: float) -> float | None:
        """Return the moment at the distance."""
        return begin if moment is None else moment + self.seconds


@dataclass(frozen=True)
class Cron:
    """Minutes that six fields select.

    Attributes:
        minutes: Minutes of an hour.
        hours: Hours of a day.
        days: Days of a month; `None` if days of the week select.
        months: Months of a year.
        weekdays: Days of the week, Sunday as 1; `None` if days of the month select.
        years: Years.
    """

    minutes: Sequence[int]
    hours: Sequence[int]
    days: Sequence[int] | None
    months: Sequence[int]
    weekdays: Sequence[int] | None
    years: Sequence[int]
    recurs = True

    def following(self, moment: float | None, begin: float) -> float | None:
        """Return the first selected minute after a moment, or not before the beginning."""
        earliest = -(-begin // _MINUTE) * _MINUTE if moment is None else (moment // _MINUTE + 1) * _MINUTE
        start = datetime.fromtimestamp(earliest, UTC)
        for year in (each for each in self.years if each >= start.year):
            for month in (each for each in self.months if (year, each) >= (start.year, start.month)):
                for day in self._days_of(year, month):
                    found = self._first_in(datetime(year, month, day, tzinfo=UTC), start)
                    if found is not None:
                        return found.timestamp()
        return None

    def _days_of(self, year: int, month: int) -> Sequence[int]:
        days = range(1, calendar.monthrange(year, month)[1] + 1)
        if self.weekdays is None:
            return [each for each in days if self.days is None or each in self.days]
        # Python's week begins on Monday as 0, this one on Sunday as 1.
        return [each for each in days if (calendar.weekday(year, month, each) + 1) % 7 + 1 in self.weekdays]

    def _first_in(self, day: datetime, start: datetime) -> datetime | None:
        if day + timedelta(days=1) <= start:
            return None
        minutes = (day.replace(hour=hour, minute=minute) for hour in self.hours for minute in self.minutes)
        return next((each for each in minutes if each >= start), None)


def parse(text: str) -> Expression:
    """Read a schedule expression.

    >>> parse("rate(5 minutes)"), parse("at(1970-01-02T00:00:00)")
    (Rate(seconds=300), At(moment=86400.0))

    Raises:
        InvalidExpression: AWS refuses it.
        NotHonoured: It is not evaluated here.
    """
    kind, _, rest = text.partition("(")
    if not rest.endswith(")") or kind not in _KINDS:
        raise InvalidExpression(text)
    return _KINDS[kind](rest[:-1])


def _at(text: str) -> At:
    if re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", text) is None:
        raise InvalidExpression(text)
    try:
        return At(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())
    except ValueError as wrong:
        raise InvalidExpression(text) from wrong


def _rate(text: str) -> Rate:
    found = re.fullmatch(r"([1-9]\d*) (minute|hour|day)s?", text)
    if found is None:
        raise InvalidExpression(text)
    return Rate(int(found[1]) * _UNITS[found[2]])


def _cron(text: str) -> Cron:
    fields = text.split()
    if len(fields) != 6:
        raise InvalidExpression(text)
    minutes, hours, days, months, weekdays, years = fields
    # AWS wants a `?` in one of the two: a day is selected by the month or by the week.
    if (days == "?") == (weekdays == "?"):
        raise InvalidExpression(text)
    return Cron(
        minutes=_values(minutes, 0, 59),
        hours=_values(hours, 0, 23),
        days=None if days == "?" else _values(days, 1, 31),
        months=_values(months, 1, 12, _MONTHS),
        weekdays=None if weekdays == "?" else _values(weekdays, 1, 7, _WEEKDAYS),
        years=_values(years, 1970, _LAST_YEAR),
    )


_KINDS: dict[str, Callable[[str], Expression]] = {"at": _at, "rate": _rate, "cron": _cron}
_MONTHS = {name.upper(): number for number, name in enumerate(calendar.month_abbr) if name}
_WEEKDAYS = {name: number for number, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"), 1)}


def _values(field: str, first: int, last: int, names: dict[str, int] | None = None) -> list[int]:
    """Return the sorted values of a field: `*`, values, ranges and steps, separated by commas."""
    values: set[int] = set()
    for part in field.split(","):
        whole, slash, step = part.partition("/")
        low, dash, high = whole.partition("-")
        begin = first if low == "*" else _value(low, first, last, names or {})
        if low == "*" and dash:
            raise InvalidExpression(field)
        # `5/10` goes on to the end, as `5-59/10` does.
        end = _value(high, first, last, names or {}) if dash else last if low == "*" or slash else begin
        if end < begin or (slash and re.fullmatch(r"[1-9]\d*", step) is None):
            raise InvalidExpression(field)
        values.update(range(begin, end + 1, int(step or 1)))
    return sorted(values)


def _value(text: str, first: int, last: int, names: dict[str, int]) -> int:
    value = names.get(text.upper(), int(text) if text.isdecimal() else None)
    if value is not None and first <= value <= last:
        return value
    if value is None and re.fullmatch(r"L|LW|\d+[LW]|[A-Z]{3}L|\w+#\d", text.upper()):
        raise NotHonoured(f"{text} in a cron expression")
    raise InvalidExpression(text)
