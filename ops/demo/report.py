"""The demo's report: the same facts as tables for people and as JSON for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ops.demo.claims import DEAD_LETTER_ALARM, ConsumerEvidence, Verdict
from ops.demo.mechanisms import Mechanism


@dataclass(frozen=True)
class Report:
    """The result of a run.

    Attributes:
        users: How many there were.
        without: The mechanism that was switched off, if one was.
        counts: What happened how often, by name.
        consumers: The consumers that were shown, by name.
        verdicts: The claims, each with what broke it.
        seconds: How long the run took.
    """

    users: int
    without: Mechanism | None
    counts: Mapping[str, int]
    consumers: Mapping[str, ConsumerEvidence]
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
            "version": 2,
            "users": self.users,
            "without": self.without,
            "holds": self.holds,
            "seconds": round(self.seconds, 1),
            "counts": dict(self.counts),
            "consumers": {
                name: {
                    "effects": consumer.found.total(),
                    "expectedEffects": consumer.expected.total(),
                    "counts": dict(consumer.counts),
                    "alarms": dict(consumer.alarms),
                }
                for name, consumer in self.consumers.items()
            },
            "claims": [
                {"name": verdict.name, "text": verdict.text, "holds": verdict.broken is None, "broken": verdict.broken}
                for verdict in self.verdicts
            ],
        }


def print_report(report: Report, console: Console) -> None:
    """Print the tables, and each claim with a mark."""
    console.print(", ".join(f"{count} {what}" for what, count in report.counts.items()), soft_wrap=True)
    happened = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=0)
    happened.add_column("consumer", no_wrap=True)
    columns = [what for what in next(iter(report.consumers.values())).counts if _happened(report, what)]
    for heading in ("effects", *columns):
        happened.add_column(heading.replace(" ", "\n"), justify="right", no_wrap=True)
    happened.add_column("alarms", no_wrap=True)
    for name, consumer in report.consumers.items():
        counts = [str(consumer.counts[what]) for what in columns]
        happened.add_row(name, str(consumer.found.total()), *counts, _alarms(consumer))
    console.print(happened)
    if report.without is not None:
        switched_off = Text(f"switched off: {report.without}, so {report.without.switched_off}", style="yellow")
        console.print(switched_off, soft_wrap=True)
    for verdict in report.verdicts:
        mark = Text("✓ ", style="green") if verdict.broken is None else Text("✗ ", style="bold red")
        console.print(mark + Text(verdict.text), soft_wrap=True)
        if verdict.broken is not None:
            console.print(Text(f"    {verdict.broken}", style="red"), soft_wrap=True)


def _happened(report: Report, what: str) -> bool:
    return any(consumer.counts[what] for consumer in report.consumers.values())


def _alarms(consumer: ConsumerEvidence) -> Text:
    fired = [name for name, state in consumer.alarms.items() if state == "ALARM"]
    expected = [DEAD_LETTER_ALARM] if consumer.poison else []
    return Text(", ".join(fired), style="yellow" if fired == expected else "bold red")
