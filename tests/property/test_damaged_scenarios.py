"""Damaged scenarios: each is refused with lines that say what is wrong, or runs; none ends in an error of ours."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from hypothesis import event, given
from hypothesis import strategies as st

from local.simulation.parsing import InvalidScenario, parse
from local.simulation.simulate import simulate

FOLDER = Path(__file__).parents[2] / "examples" / "scenarios"
SCENARIOS = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.yaml"))]
JUNK: list[Any] = [
    None, True, -1, 0, 1, 10**30, 1.5, "", "x", "100", [], {}, [None], [[1]], ["x"], {"a": 1}, {"S": 1},
    "arn:aws:sqs:us-east-1:111122223333:q", float("nan"),
]  # fmt: skip

Place = tuple[str | int, ...]


@st.composite
def damaged(draw: st.DrawFn) -> dict[str, Any]:
    scenario = copy.deepcopy(draw(st.sampled_from(SCENARIOS)))
    for _ in range(draw(st.integers(1, 2))):
        *way, last = draw(st.sampled_from([place for place in _places(scenario) if place]))
        inside = scenario
        for step in way:
            inside = inside[step]
        if draw(st.booleans()):
            inside[last] = copy.deepcopy(draw(st.sampled_from(JUNK)))
        else:
            del inside[last]
    scenario.setdefault("until", 300)
    return scenario


@given(damaged())
def test_a_damaged_scenario_is_refused_by_name_or_runs(scenario: dict[str, Any]):
    try:
        report = simulate(parse(json.dumps(scenario))).document
    except InvalidScenario as refused:
        said = str(refused)
    else:
        said = json.dumps(report, allow_nan=False)
    event("runs" if said.startswith("{") else "refused")
    assert all(line.strip() for line in said.splitlines())


def _places(value: Any, place: Place = ()) -> Iterator[Place]:
    yield place
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, content in members:
        yield from _places(content, (*place, name))
