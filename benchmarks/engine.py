"""Measures the program under the real Pulumi engine: seconds of a preview and of an update without changes.

Run it with `python -P benchmarks/engine.py` after `make engine`; `CONSUMERS=1,10` measures fewer consumers. CPU
seconds are those of the CLI, its language host, the program, the policy pack, and the provider in this process.
Bytecode is cached, as it is for a user.
"""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from local.pulumi_host.cli import Cli, find
from tests.engine.lab import STRICT, Lab, lab

#: Seconds on two quiet cores.
PREVIEW_SECONDS, UPDATE_SECONDS, PACK_CPU_SECONDS = 6.0, 8.0, 0.8

MORE = """
for number in range({count}):
    changes.subscribe(welcome_email.handler, name=f"consumer-{{number}}", access=[ledger.access(), mail.send_access()])
"""


def measured(run: Callable[[], object]) -> tuple[float, float]:
    """Wall and CPU seconds."""

    def cpu() -> float:
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return time.process_time() + children.ru_utime + children.ru_stime

    began, used = time.perf_counter(), cpu()
    run()
    return time.perf_counter() - began, cpu() - used


def whole_program(engine: Lab) -> None:
    engine.preview()  # compiles what is imported
    preview = measured(engine.preview)
    with_pack = measured(lambda: engine.preview(*STRICT))
    engine.up()
    update = measured(lambda: engine.up("--expect-no-changes"))
    print(
        f"preview              {preview[0]:5.1f} s wall, {preview[1]:5.1f} s CPU (at most {PREVIEW_SECONDS:.0f} s wall)"
    )
    print(
        f"  with the policy pack {with_pack[0]:3.1f} s wall, {with_pack[1]:5.1f} s CPU: "
        f"{with_pack[1] - preview[1]:+.1f} s CPU (at most {PACK_CPU_SECONDS} s)"
    )
    print(f"update, no changes   {update[0]:5.1f} s wall, {update[1]:5.1f} s CPU (at most {UPDATE_SECONDS:.0f} s wall)")


def growth(engine: Lab, counts: list[int]) -> None:
    main = engine.project / "__main__.py"
    before = main.read_text()
    for count in counts:
        main.write_text(before.replace("\npulumi.export", MORE.format(count=count) + "\npulumi.export", 1))
        wall, cpu = measured(engine.preview)
        print(f"preview with {count + 1:3d} consumers: {wall:5.1f} s wall, {cpu:5.1f} s CPU")
    main.write_text(before)


def run(cli: Cli) -> None:
    counts = [int(each) for each in os.environ.get("CONSUMERS", "1,10,50").split(",")]
    with tempfile.TemporaryDirectory() as directory, lab(Path(directory), cli) as engine:
        growth(engine, [count - 1 for count in counts])
        whole_program(engine)


if __name__ == "__main__":
    found = find()
    if found is None:
        sys.exit("there is no Pulumi CLI: run `make engine`")
    run(found)
