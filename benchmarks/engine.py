"""Measures the program under the real Pulumi engine: seconds of a preview and of an update without changes.

Run it with `python -P benchmarks/engine.py` after `make engine`; `CONSUMERS=1,10` measures fewer consumers. CPU
seconds are those of the CLI, its language host, the program, the policy pack, and the provider in this process, which
keeps running as under `weir local up`. Bytecode is cached, as it is for a user.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from local.pulumi_host.cli import Cli, find
from tests.engine.lab import STRICT, Lab, lab

#: Seconds on two quiet cores.
PREVIEW_SECONDS, UPDATE_SECONDS, PACK_CPU_SECONDS = 6.0, 8.0, 0.8

MORE = """
for number in range({count}):
    changes.subscribe(welcome_email.handler, name=f"consumer-{{number}}", access=[ledger.access(), mail.send_access()])
"""


class Measured(NamedTuple):
    """Seconds of a command: of the clock, of its processes' CPU, and of the resident provider's CPU among them."""

    wall: float
    cpu: float
    provider: float


def measured(run: Callable[[], object]) -> Measured:
    """Run and measure."""

    def children() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    began, of_children, of_this = time.perf_counter(), children(), time.process_time()
    run()
    provider = time.process_time() - of_this
    return Measured(time.perf_counter() - began, children() - of_children + provider, provider)


def imports(engine: Lab) -> Measured:
    """Measure an interpreter that imports what the program does, and ends."""
    command = [engine.project / ".venv" / "bin" / "python", "-c", "import pulumi, pulumi_aws, components, handlers"]
    return measured(lambda: subprocess.run(command, cwd=engine.project, env=engine.environment, check=True))


def whole_program(engine: Lab) -> None:
    engine.preview()  # compiles what is imported
    imported = imports(engine)
    preview = measured(engine.preview)
    with_pack = measured(lambda: engine.preview(*STRICT))
    engine.up()
    update = measured(lambda: engine.up("--expect-no-changes"))
    at_most = f"at most {PREVIEW_SECONDS:.0f} s wall"
    print(f"preview              {preview.wall:5.1f} s wall, {preview.cpu:5.1f} s CPU ({at_most})")
    print(f"  the program's imports {imported.cpu:4.1f} s CPU; the provider {preview.provider:.1f} s CPU")
    print(
        f"  with the policy pack {with_pack.wall:3.1f} s wall, {with_pack.cpu:5.1f} s CPU: "
        f"{with_pack.cpu - preview.cpu:+.1f} s CPU (at most {PACK_CPU_SECONDS} s)"
    )
    print(
        f"update, no changes   {update.wall:5.1f} s wall, {update.cpu:5.1f} s CPU (at most {UPDATE_SECONDS:.0f} s wall)"
    )


def growth(engine: Lab, counts: list[int]) -> None:
    main = engine.project / "__main__.py"
    before = main.read_text()
    for count in counts:
        main.write_text(before.replace("\npulumi.export", MORE.format(count=count) + "\npulumi.export", 1))
        preview = measured(engine.preview)
        print(f"preview with {count + 1:3d} consumers: {preview.wall:5.1f} s wall, {preview.cpu:5.1f} s CPU")
    main.write_text(before)


def run(cli: Cli) -> None:
    counts = [int(each) for each in os.environ.get("CONSUMERS", "1,10,50").split(",")]
    with tempfile.TemporaryDirectory() as directory, lab(Path(directory) / "lab", cli) as engine:
        growth(engine, [count - 1 for count in counts])
        whole_program(engine)


if __name__ == "__main__":
    found = find()
    if found is None:
        sys.exit("there is no Pulumi CLI: run `make engine`")
    run(found)
