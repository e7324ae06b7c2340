"""The demo's report: the same facts as tables for people and as JSON for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ops.demo.claims import DEAD_LETTER_ALARM, Verdict


@dataclass(frozen=True)
class Report:
    """The result of a run.

    Attributes:
        users: How many there were.
        without: The mechanism that was switched off, if one was.
        counts: What happened how often, by name.
        alarms: State of each alarm of the consumer.
        verdicts: The claims, each with what broke it.
        seconds: How long the run took.
    """

    users: int
    without: str | None
    counts: Mapping[str, int]
    alarms: Mapping[str, str]
    verdicts: Sequence[Verdict]
    seconds: float

    @property
    def holds(self) -> bool:
        """`True` if every claim holds."""
        return not self.broken

    @property
    def broken(self) -> list[Verdict]:
        """The claims that do not hold."""
        return [verdict for verdict in self.verdicts if verdict.broken is not None]

    def as_json(self) -> dict[str, Any]:
        """Return the report as a JSON document."""
        return {
            "version": 1,
            "users": self.users,
            "without": self.without,
            "holds": self.holds,
            "seconds": round(self.seconds, 1),
            "counts": dict(self.counts),
            "alarms": dict(self.alarms),
            "claims": [
                {"name": verdict.name, "text": verdict.text, "holds": verdict.broken is None, "broken": verdict.broken}
                for verdict in self.verdicts
            ],
        }


def print_report(report: Report, console: Console) -> None:
    """Print the tables, and each claim with a mark."""
    happened = Table(title="What happened", title_justify="left", show_header=False)
    happened.add_column("what")
    happened.add_column("how often", justify="right")
    for what, count in report.counts.items():
        happened.add_row(what, str(count))
    alarms = Table(title="Alarms of the consumer", title_justify="left")
    alarms.add_column("alarm")
    alarms.add_column("state")
    for name, state in report.alarms.items():
        alarms.add_row(name, Text(state, style=_alarm_style(name, state)))
    console.print(happened)
    console.print(alarms)
    for verdict in report.verdicts:
        mark = Text("✓ ", style="green") if verdict.broken is None else Text("✗ ", style="bold red")
        console.print(mark + Text(verdict.text), soft_wrap=True)
        if verdict.broken is not None:
            console.print(Text(f"    {verdict.broken}", style="red"), soft_wrap=True)


def _alarm_style(name: str, state: str) -> str:
    if state == "ALARM":
        return "bold yellow" if name == DEAD_LETTER_ALARM else "bold red"
    return "green" if state == "OK" else "dim"
