"""Every program of this project: its own for each stack and configuration, and the examples of its documents."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

from components import python_layer
from local.deploy.program import ProgramRun, Registration
from local.deploy.stack_files import read_stack_files
from ops.mocked_program import run_mocked, with_physical_name
from tests.everything import EVERYTHING
from tests.unit.components.examples import (
    COMPONENTS,
    PROGRAM_GUIDES,
    example_of,
    examples_of,
    surroundings,
    write_locks,
)

ROOT = Path(__file__).parents[3]
STACKS = sorted(path.name.split(".")[1] for path in ROOT.glob("Pulumi.*.yaml"))


def _stack(stack: str, overrides: Mapping[str, str]) -> ProgramRun:
    files = read_stack_files(ROOT, stack, overrides)
    return run_mocked(ROOT, project=files.project, stack=stack, config=files.config)


def _every_component() -> ProgramRun:
    files = read_stack_files(ROOT, "prod")
    main = (ROOT / "tests" / "reference" / "every_component.py").read_text(encoding="utf-8")
    main = main.replace('requirements="packages.txt"', 'requirements="requirements/templates.txt"')
    # The engine's copy of the project has this file at its root.
    main = main.replace('"done.asl.json"', '"tests/reference/done.asl.json"')
    with _locks():
        return run_mocked(lambda: exec(main, {"__name__": "every"}), stack="prod", config=files.config)


def _example(code: str) -> ProgramRun:
    with _locks():
        return run_mocked(lambda: exec(code, surroundings()))


@contextmanager
def _locks() -> Iterator[None]:
    with tempfile.TemporaryDirectory() as directory:
        write_locks(Path(directory))
        cache = {"XDG_CACHE_HOME": str(Path(directory) / "cache")}
        with mock.patch.object(python_layer, "_PROJECT", Path(directory)), mock.patch.dict("os.environ", cache):
            yield


PROGRAMS: Mapping[str, Callable[[], ProgramRun]] = {
    **{stack: functools.partial(_stack, stack, {}) for stack in STACKS},
    "prod without a fan-out": functools.partial(_stack, "prod", {"weir:fanOut": "false"}),
    "prod with everything on": functools.partial(_stack, "prod", EVERYTHING),
    "every component": _every_component,
    **{f"example of {name}": functools.partial(_example, example_of(name)) for name in COMPONENTS},
    **{
        f"{guide}, example {number}": functools.partial(_example, code)
        for guide in PROGRAM_GUIDES
        for number, code in enumerate(examples_of(guide), 1)
    },
    **{
        f"examples/{main.parent.name}": functools.partial(run_mocked, main.parent)
        for main in sorted((ROOT / "examples").glob("*/__main__.py"))
    },
}


@functools.cache
def run_of(program: str) -> ProgramRun:
    """Run a program, once."""
    return PROGRAMS[program]()


def resources_of(program: str) -> list[Registration]:
    """List a program's resources with their physical names, in the order of their URNs."""
    made = run_of(program).registrations
    return sorted((with_physical_name(each) for each in made if each.custom), key=lambda each: each.urn)
