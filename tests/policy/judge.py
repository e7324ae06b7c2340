"""Compares a pack's findings about a program with the right verdict."""

from __future__ import annotations

import re
from functools import cache

from pulumi.runtime.proto import analyzer_pb2 as analyzer

from tests.policy.engine import Pack, Phase, deployed, run
from tests.policy.parts import Judged


@cache
def _registrations(program, previewed):
    return run(program, previewed=previewed)


@cache
def _pack() -> Pack:
    return Pack()


def judge(case: Judged, phase: Phase) -> list[str]:
    """List what is wrong with the findings about a program in one phase; empty when they are right."""
    previewed = phase is not deployed
    program = phase(_registrations(case.program, previewed))
    found: dict[tuple[str, str], tuple[str, str]] = {}
    for asked, answer in zip([*program, None], _pack().answers(program), strict=True):
        for each in answer.diagnostics:
            urn = each.urn or (asked.registration.urn if asked else "")
            level = analyzer.EnforcementLevel.Name(each.enforcementLevel).lower()
            found[each.policyName, urn.rpartition("::")[2]] = level, each.message
    right = case.reports - case.after_up if previewed else case.reports
    problems = [f"unexpected: {key} {found[key]}" for key in found.keys() - case.reports]
    problems += [f"missing: {key}" for key in right - found.keys()]
    for (rule, _), (level, message) in found.items():
        if case.levels.get(rule, level) != level:
            problems.append(f"{rule} is {level}")
        if case.never_says and re.search(case.never_says, message):
            problems.append(f"it says {case.never_says!r}: {message}")
    if case.says and found and not any(re.search(case.says, message) for _, message in found.values()):
        problems.append(f"nothing says {case.says!r}: {[message for _, message in found.values()]}")
    return problems
