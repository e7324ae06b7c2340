"""Writes examples/scenarios/pictures: what `weir simulate --picture` draws of each scenario."""

from __future__ import annotations

from pathlib import Path

from local.simulation.scenario import parse
from local.simulation.simulate import simulate
from ops.picture import picture

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
    wanted = pictures()
    changed = [path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    return [*changed, *sorted(set(PICTURES.glob("*.svg")) - wanted.keys())]


def write() -> None:
    """Write every picture, and remove those of scenarios that are gone."""
    wanted = pictures()
    PICTURES.mkdir(exist_ok=True)
    for path in set(PICTURES.glob("*.svg")) - wanted.keys():
        path.unlink()
    for path, text in wanted.items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
