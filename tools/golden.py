"""Writes tests/unit/components/golden: the resources of each stack, with their parents and dependencies.

`python -m tools.golden` writes the lists; `make golden` does the same. A test compares them with the program, so that a
change of a name, a parent or an order of creation is seen in a review before it replaces somebody's resources.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path

from local.deploy.program import Registration
from local.deploy.stack_files import read_stack_files
from ops.mocked_program import run_mocked
from tools import written_files

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "tests" / "unit" / "components" / "golden"
STACKS = sorted(path.name.split(".")[1] for path in ROOT.glob("Pulumi.*.yaml"))


def listed(registrations: list[Registration]) -> str:
    """Write resources as a tree: type and name, each below its parent, and the resources it waits for."""
    named = {each.urn: f"{each.type} {each.name}" for each in registrations}
    children: dict[str, list[Registration]] = {}
    for each in sorted(registrations, key=lambda each: (each.name, each.type)):
        children.setdefault(each.parent if each.parent in named else "", []).append(each)

    def lines(parent: str, depth: int) -> Iterator[str]:
        for each in children.get(parent, []):
            yield f"{'  ' * depth}{named[each.urn]}"
            # One inside another's component is there before everything that waits for the component.
            waits = sorted(named.get(urn, urn) for urn in each.dependencies)
            yield from (f"{'  ' * depth}    after {other}" for other in waits)
            yield from lines(each.urn, depth + 1)

    return "\n".join(lines("", 0)) + "\n"


@functools.cache
def lists() -> Mapping[Path, str]:
    """Return the content of each list."""
    wanted: dict[Path, str] = {}
    for stack in STACKS:
        files = read_stack_files(ROOT, stack)
        run = run_mocked(ROOT, project=files.project, stack=stack, config=files.config)
        wanted[FOLDER / f"{stack}.txt"] = listed(run.registrations)
    return wanted


if __name__ == "__main__":
    logging.disable()
    written_files.write(lists(), FOLDER.glob("*.txt"))
