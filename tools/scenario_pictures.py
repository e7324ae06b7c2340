"""Writes examples/scenarios/pictures: the picture that `weir simulate --picture` draws of each scenario."""

from __future__ import annotations

from pathlib import Path

from local.simulation.parsing import parse
from local.simulation.simulate import simulate
from ops.picture import picture
from tools import written_files

SCENARIOS = Path(__file__).parents[1] / "examples" / "scenarios"
PICTURES = SCENARIOS / "pictures"


def pictures() -> dict[Path, str]:
    """Draw every picture, by its file."""
    drawn: dict[Path, str] = {}
    for path in sorted(SCENARIOS.glob("*.yaml")):
        scenario = parse(path.read_text(encoding="utf-8"))
        drawn[PICTURES / f"{path.stem}.svg"] = picture(simulate(scenario), scenario.written(), title=path.stem)
    return drawn


def stale() -> list[Path]:
    """List the pictures that show another run than their scenario's, and those without a scenario."""
    return written_files.stale(pictures(), PICTURES.glob("*.svg"))


if __name__ == "__main__":
    written_files.write(pictures(), PICTURES.glob("*.svg"))
