"""Measures the policy pack beyond the SDK, beside a pack of as many rules that do nothing: `make benchmark`.

The SDK decodes its arguments again for every policy, so a pack that does nothing is what any pack of this size costs. A
resource is asked about once (Analyze), the stack once at the end (AnalyzeStack), and the pack is started once. Calls
count CPU seconds, the start counts wall seconds; the rounds of the two packs take turns, and the fastest counts.
"""

from __future__ import annotations

import gc
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from pulumi_policy import EnforcementLevel, Policy
from pulumi_policy.policy import _PolicyAnalyzerServicer

from policies.pack import policies
from policies.rules import all_rules
from tests.policy.engine import Asked, analyze_request, deployed, run, stack_request
from tests.policy.programs import well_made

ROOT = Path(__file__).parents[1]
#: Resources of the stack, and how many rounds.
SIZES = {500: 7, 8000: 2}
#: What the pack may cost: a share of the pack that does nothing, and seconds more to start.
RATIO, START_SECONDS = 1.3, 0.5

IDLE_PACK = """
from pulumi_policy import PolicyPack, ResourceValidationPolicy
PolicyPack("idle", [ResourceValidationPolicy(f"rule-{number}", "does nothing", lambda args, report: None)
                    for number in range(%d)])
"""


def idle_policies() -> list[Policy]:
    """Make as many policies as the pack has, of the same kinds, that do nothing."""

    def nothing(_args: Any, _report: Any) -> None:
        pass

    return [type(policy)(policy.name, policy.description, nothing) for policy in policies(all_rules())]


def program(size: int) -> list[Asked]:
    """A deployed program of that many resources: a well-made one again and again, under other names."""
    once = deployed(run(well_made.program, previewed=False))
    names = {each.registration.name for each in once}
    for key in ("name", "bucket", "uuid", "keyId"):
        names |= {str(each.outputs[key]) for each in once if key in each.outputs}
    longest_first = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    pattern = re.compile(rf"(?<![\w-])(?:{longest_first})(?![\w-])")

    def copies() -> Iterator[Asked]:
        for number in range(size // len(once) + 1):
            for each in once:
                yield renamed(each, lambda text, number=number: pattern.sub(rf"\g<0>-{number}", text))

    return list(copies())[:size]


def renamed(asked: Asked, rename: Callable[[str], str]) -> Asked:
    def again(value: Any) -> Any:
        if isinstance(value, str):
            return rename(value)
        if isinstance(value, dict):
            return {key: again(member) for key, member in value.items()}
        if isinstance(value, list | tuple):
            return [again(member) for member in value]
        return value

    registration = asked.registration
    registration = replace(
        registration,
        urn=rename(registration.urn),
        name=rename(registration.name),
        dependencies=again(registration.dependencies),
        property_dependencies=again(registration.property_dependencies),
    )
    return Asked(registration, again(asked.inputs), again(asked.outputs))


def seconds(call: Callable[[], object], clock: Callable[[], float]) -> float:
    gc.collect()
    start = clock()
    call()
    return clock() - start


def in_turns(rounds: int, clock: Callable[[], float], *calls: Callable[[], object]) -> list[float]:
    """The best time of each call."""
    times = [[seconds(call, clock) for call in calls] for _ in range(rounds)]
    return [min(each) for each in zip(*times, strict=True)]


def started(folder: Path) -> None:
    """Start a pack, and wait for the port it prints."""
    command = [sys.executable, "-u", "-m", "pulumi.policy", "127.0.0.1:1", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=folder) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.terminate()


def analyze_all(requests: list[Any], pack: _PolicyAnalyzerServicer) -> None:
    for request in requests:
        pack.Analyze(request, None)


def analyze_stack(request: Any, pack: _PolicyAnalyzerServicer) -> None:
    pack.AnalyzeStack(request, None)


def main() -> int:
    own, idle = (
        _PolicyAnalyzerServicer("pack", "0.0.1", found, EnforcementLevel.ADVISORY)
        for found in (policies(all_rules()), idle_policies())
    )
    ratios: list[float] = []

    def compare(what: str, rounds: int, call: Callable[[_PolicyAnalyzerServicer], object]) -> None:
        mine, yardstick = in_turns(rounds, time.process_time, lambda: call(own), lambda: call(idle))
        ratios.append(mine / yardstick)
        print(f"{what:32}{mine:9.2f}s{yardstick:11.2f}s{ratios[-1]:8.2f}")

    print(f"{'':32}{'pack':>10}{'idle pack':>12}{'ratio':>8}")
    for size, rounds in SIZES.items():
        asked = program(size)
        requests, stack = [analyze_request(each) for each in asked], stack_request(asked)
        compare(f"Analyze, {size} resources", rounds, partial(analyze_all, requests))
        compare(f"AnalyzeStack, {size} resources", rounds, partial(analyze_stack, stack))
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "__main__.py").write_text(IDLE_PACK % len(policies(all_rules())))
        mine, yardstick = in_turns(
            5, time.perf_counter, lambda: started(ROOT / "policies"), lambda: started(Path(folder))
        )
    print(f"{'start':32}{mine:9.2f}s{yardstick:11.2f}s{mine - yardstick:+7.2f}s")
    kept = max(ratios) <= RATIO and mine - yardstick <= START_SECONDS
    print(f"at most {RATIO} of the idle pack, and {START_SECONDS} s more to start: {'kept' if kept else 'BROKEN'}")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
