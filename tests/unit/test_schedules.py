"""Schedule expressions, and the agenda of schedules."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from local.engine.schedules.agenda import Agenda, Plan
from local.engine.schedules.expressions import InvalidExpression, NotHonoured, Rate, parse


def moments(text: str, begin: str, count: int = 3) -> list[str]:
    """The first moments of an expression, as a schedule that begins then has them."""
    expression, start = parse(text), datetime.fromisoformat(begin).replace(tzinfo=UTC).timestamp()
    found: list[str] = []
    moment: float | None = None
    while len(found) < count:
        moment = expression.following(moment, start)
        if moment is None:
            break
        found.append(datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%S"))
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("at(2027-01-01T12:30:05)", ["2027-01-01 12:30:05"]),
        ("rate(1 hour)", ["2026-12-31 22:00:30", "2026-12-31 23:00:30", "2027-01-01 00:00:30"]),
        ("cron(0 3 * * ? *)", ["2027-01-01 03:00:00", "2027-01-02 03:00:00", "2027-01-03 03:00:00"]),
        ("cron(0/20 22-23 * * ? 2026)", ["2026-12-31 22:20:00", "2026-12-31 22:40:00", "2026-12-31 23:00:00"]),
        ("cron(15 10 ? * MON-FRI *)", ["2027-01-01 10:15:00", "2027-01-04 10:15:00", "2027-01-05 10:15:00"]),
        ("cron(0 0 29 2 ? *)", ["2028-02-29 00:00:00", "2032-02-29 00:00:00", "2036-02-29 00:00:00"]),
        ("cron(0 12 1,15 JAN,JUL ? 2027)", ["2027-01-01 12:00:00", "2027-01-15 12:00:00", "2027-07-01 12:00:00"]),
        ("cron(0 0 31 2 ? *)", []),
        ("cron(0 0 1 1 ? 2020)", []),
    ],
)
def test_an_expression_has_these_moments(text: str, expected: list[str]) -> None:
    assert moments(text, "2026-12-31T22:00:30") == expected


@pytest.mark.parametrize(
    "text",
    [
        *("", "every day", "at(tomorrow)", "at(2027-02-30T00:00:00)", "at(2027-01-01)", "rate(1)", "rate(-1 days)"),
        *("rate(1 week)", "cron(0 3 * * ?)", "cron(0 3 * * * *)", "cron(0 3 ? * ? *)", "cron(60 3 * * ? *)"),
        *("cron(5-1 3 * * ? *)", "cron(0/0 3 * * ? *)", "cron(*-5 3 * * ? *)", "cron(0 3 * FEB-JAN ? *)", "rate(1 day"),
    ],
)
def test_an_expression_that_aws_refuses_is_refused(text: str) -> None:
    with pytest.raises(InvalidExpression):
        parse(text)


@pytest.mark.parametrize("text", ["cron(0 3 L * ? *)", "cron(0 3 15W * ? *)", "cron(0 3 ? * 6#3 *)"])
def test_a_day_that_is_not_evaluated_is_named(text: str) -> None:
    with pytest.raises(NotHonoured, match=r"(L|15W|6#3) in a cron expression"):
        parse(text)


def test_an_agenda_is_empty_without_a_schedule_that_is_still_due() -> None:
    agenda = Agenda()
    assert not agenda.put("a", Plan(Rate(60), begin=100.0, end=100.0))
    assert agenda.put("a", Plan(Rate(60), begin=100.0))
    agenda.drop("a")
    assert (agenda.next_moment(), list(agenda.due(1e9))) == (float("inf"), [])


def test_a_schedule_that_is_entered_anew_has_its_new_moments_alone() -> None:
    agenda = Agenda()
    agenda.put("a", Plan(Rate(60), begin=100.0))
    agenda.put("a", Plan(Rate(60), begin=500.0, end=501.0))
    assert [(each.moment, each.last) for each in agenda.due(1_000.0)] == [(500.0, True)]
