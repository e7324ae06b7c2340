"""Writes examples/scenarios/pictures: what `weir simulate --picture` draws of each scenario."""

from __future__ import annotations

from pathlib import Path

from local.simulation.scenario import parse
from local.simulation.simulate import simulate
from ops.picture import picture
from tools import written_files

SCENARIOS = Path(__file__).parents[1] / "examples" / "scenarios"
PICTURES = SCENARIOS / "pictures"


def pictures() -> dict[Path, str]:
    """Every picture, by its file."""
    drawn: dict[Path, str] = {}
    for path in sorted(SCENARIOS.glob("*.yaml")):
        scenario = parse(path.read_text(encoding="utf-8"))
        drawn[PICTURES / f"{path.stem}.svg"] = picture(simulate(scenario), scenario.identifiers(), title=path.stem)
    return drawn


def stale() -> list[Path]:
    """Pictures that show another run than their scenario gives, and those of scenarios that are gone."""
    return written_files.stale(pictures(), PICTURES.glob("*.svg"))


if __name__ == "__main__":
    written_files.write(pictures(), PICTURES.glob("*.svg"))
