"""Measures what components add to the resources that they register, and how that grows with the number of consumers.

A program of fan-outs with a hundred consumers at most, each with its dashboard, runs under `AwsMocks`. Then the same
custom resources, with the same inputs and dependencies, are registered one by one from their types, as a program
without components would do it. Each run has a process of its own and follows a smaller one, so that no import is
measured. Times are CPU times and the best of `ROUNDS` (the largest program runs once), memory is what is allocated in
the end. Python's collector is listed by itself: it walks every live object again and again, whoever made it.
"""

from __future__ import annotations

import ast
import asyncio
import gc
import importlib
import json
import re
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pulumi

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))

COUNTS = (10, 50, 200)
ROUNDS = 3
#: Consumers that a FIFO topic serves.
TOPIC = 100
#: The cost of a registration beside the raw one's, and the program's import in seconds, at most.
RATIO, IMPORT_SECONDS = 1.1, 0.6


def with_components(count: int) -> None:
    """Declare a program with this number of consumers."""
    from components import ChangeTable, EffectLedgerTable, FanOut, StreamDashboard
    from tests.reference import welcome_email

    ledger = EffectLedgerTable("effects")
    for first in range(0, count, TOPIC):
        fan_out = FanOut(f"fan-out-{first}", source=ChangeTable(f"users-{first}", hash_key="userId").stream)
        for number in range(first, min(first + TOPIC, count)):
            fan_out.subscribe(welcome_email.handler, name=f"consumer-{number}", access=[ledger.access()])
        StreamDashboard(f"changes-{first}", routes=[fan_out])


def resource_class(type_: str) -> type[pulumi.CustomResource]:
    """The class of a type token, `aws:sqs/queue:Queue`."""
    _, place, name = type_.split(":")
    module = place.partition("/")[0]
    return getattr(importlib.import_module(f"pulumi_aws.{'lambda_' if module == 'lambda' else module}"), name)


def by_hand(registrations: Sequence[Any]) -> Callable[[], None]:
    """Return a program that makes the same custom resources without components."""
    custom = [each for each in registrations if each.custom]

    def program() -> None:
        made: dict[str, pulumi.CustomResource] = {}

        def computed(value: Any, urns: Sequence[str]) -> Any:
            sources = [made[urn].id for urn in urns if urn in made]
            if not sources:
                return value
            first = sources[0] if len(sources) == 1 else pulumi.Output.all(*sources)
            return first.apply(lambda _: value)

        for each in custom:
            type_ = resource_class(each.type)
            arguments = {
                snake_case(name): computed(value, each.property_dependencies.get(name, ()))
                for name, value in each.inputs.items()
            }
            of_properties = {urn for urns in each.property_dependencies.values() for urn in urns}
            others = [made[urn] for urn in each.dependencies if urn in made and urn not in of_properties]
            made[each.urn] = type_(each.name, opts=pulumi.ResourceOptions(depends_on=others), **arguments)

    return program


def snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def run(program: Callable[[], None]) -> int:
    """Run a program under mocks, and return how many resources and components it registered."""
    from components.testing import AwsMocks

    mocks = AwsMocks()
    asyncio.set_event_loop(asyncio.new_event_loop())
    pulumi.runtime.settings.ROOT.set(None)
    pulumi.runtime.set_mocks(mocks, project="weir", stack="benchmark")
    pulumi.runtime.test(program)()
    return len(mocks.registered)


class Collector:
    """The CPU seconds that Python's garbage collector takes."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._began = 0.0

    def __call__(self, phase: str, _info: Mapping[str, int]) -> None:
        if phase == "start":
            self._began = time.process_time()
        else:
            self.seconds += time.process_time() - self._began


def measured(kind: str, count: int, what: str) -> Mapping[str, float]:
    """Measure one program in this process."""

    def program(consumers: int) -> Callable[[], None]:
        if kind == "components":
            return lambda: with_components(consumers)
        from ops.mocked_program import run_mocked

        return by_hand(run_mocked(lambda: with_components(consumers)).registrations)

    run(program(2))
    measured_program = program(count)
    gc.collect()
    if what == "memory":
        tracemalloc.start()
    collector = Collector()
    gc.callbacks.append(collector)
    began = time.process_time()
    registered = run(measured_program)
    spent = time.process_time() - began
    allocated = tracemalloc.get_traced_memory()[0] if what == "memory" else 0
    return {"registered": registered, "seconds": spent, "collector": collector.seconds, "bytes": allocated}


def in_a_process(*arguments: str) -> Mapping[str, float]:
    command = [sys.executable, "-W", "ignore", __file__, *arguments]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd=PROJECT).stdout)


def import_seconds(statements: str) -> float:
    """CPU seconds of a process that runs import statements: the best of `ROUNDS`, after one that compiles."""
    timed = f"import time\nbegan = time.process_time()\n{statements}\nprint(time.process_time() - began)"
    command = [sys.executable, "-W", "ignore", "-c", timed]
    taken = [
        float(subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd=PROJECT).stdout)
        for _ in range(ROUNDS + 1)
    ]
    return min(taken[1:])


def imports_of_program() -> str:
    """The import statements of `__main__.py`."""
    tree = ast.parse((PROJECT / "__main__.py").read_text(encoding="utf-8"))
    return "\n".join(ast.unparse(each) for each in tree.body if isinstance(each, ast.Import | ast.ImportFrom))


def main() -> None:
    print(f"{'consumers':>9} {'':>10} {'registered':>10} {'CPU ms each':>12} {'collector':>10} {'KB each':>8}")
    without_collector: dict[tuple[str, int], float] = {}
    memory: dict[tuple[str, int], float] = {}
    for count in COUNTS:
        each: dict[str, float] = {}
        for kind in ("components", "raw"):
            runs = [in_a_process(kind, str(count), "time") for _ in range(ROUNDS if count < COUNTS[-1] else 1)]
            best = min(runs, key=lambda run: run["seconds"])
            registered = best["registered"]
            each[kind] = best["seconds"] / registered * 1000
            of_collector = best["collector"] / registered * 1000
            without_collector[kind, count] = each[kind] - of_collector
            memory[kind, count] = in_a_process(kind, str(count), "memory")["bytes"] / registered / 1024
            print(
                f"{count:>9} {kind:>10} {registered:>10.0f} {each[kind]:>12.2f} {of_collector:>10.2f} "
                f"{memory[kind, count]:>8.1f}"
            )
        print(f"{'':>20} ratio {each['components'] / each['raw']:.2f} (at most {RATIO})")
    for kind in ("components", "raw"):
        growth, grown = (
            figures[kind, COUNTS[-1]] / figures[kind, COUNTS[0]] for figures in (without_collector, memory)
        )
        print(
            f"{kind}, each registration from {COUNTS[0]} to {COUNTS[-1]} consumers: "
            f"{growth:.2f} x CPU without the collector, {grown:.2f} x memory"
        )
    print(
        f"import of the program {import_seconds(imports_of_program()):.2f} s CPU (at most {IMPORT_SECONDS}), "
        f"of pulumi and pulumi_aws alone {import_seconds('import pulumi, pulumi_aws'):.2f} s"
    )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        kind, count, what = sys.argv[1:]
        print(json.dumps(measured(kind, int(count), what)))
    else:
        main()
