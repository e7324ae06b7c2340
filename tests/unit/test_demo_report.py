"""The demo's tables fit into a terminal of 80 columns, with every consumer and with every column."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable

import pytest
from rich.console import Console

from ops.demo.claims import ConsumerEvidence
from ops.demo.mechanisms import Mechanism
from ops.demo.receivers import RECEIVERS
from ops.demo.report import Report, print_report

COUNTS = {"filtered": 2600, "invoked": 4320, "retries": 220, "dead letters": 3}


def printed(names: Iterable[str], *, without: Mechanism | None = None, bisections: int = 0) -> str:
    consumers = {
        name: ConsumerEvidence(
            claim="",
            changes=[],
            expected=Counter(),
            found=Counter({"x": 1500}),
            poison=frozenset(["u"]),
            processed=[],
            alarms={"dead-letters": "ALARM"},
            counts=COUNTS | {"bisections": bisections},
        )
        for name in names
    }
    output = io.StringIO()
    console = Console(file=output, width=80)
    print_report(Report(users=20, without=without, counts={}, consumers=consumers, verdicts=[], seconds=1), console)
    return output.getvalue()


@pytest.mark.parametrize(
    ("names", "bisections"),
    [([each.consumer for each in RECEIVERS], 0), (["welcome-email"], 7)],
    ids=["fan-out", "direct"],
)
def test_nothing_is_cut_off(names: list[str], bisections: int) -> None:
    table = printed(names, bisections=bisections)
    assert "…" not in table
    assert {name for name in names if f" {name} " in table} == {*names}
    assert ("bisections" in table) == (bisections > 0)
    assert max(map(len, table.splitlines())) <= 80


def test_what_was_switched_off_stands_on_one_line() -> None:
    table = printed(["onboarding"], without=Mechanism.COMPENSATION)
    assert "switched off: compensation, so a workflow that fails does not undo what it has done\n" in table
