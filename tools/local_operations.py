"""Writes docs/local-operations.md: which operations and members the endpoint takes, and the tests that show each.

`python -m tools.local_operations` writes the page; `make docs` does the same.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from local.endpoint.api.operations import OPERATIONS, VALUES, Members
from tools.marked_tests import ROOT, marked_with

PAGE = ROOT / "docs" / "local-operations.md"

_INTRODUCTION = """\
# Operations of the local endpoint

Every AWS operation that [the endpoint](local.md) takes, with the members of its input; whatever else is asked for
answers `NotSimulated` and is named. Each member stands in `local/endpoint/api/operations.py` and is set by one of the
tests beside it, which looks for its effect. A *kept* member is stored and read back; nothing here acts on it. This page
is written by `make docs` from that list and those tests.
"""


@dataclass(frozen=True)
class Shown:
    """A test that sets members of an operation and looks for their effect."""

    operation: str
    members: frozenset[str]
    test: str
    file: str


def shown() -> list[Shown]:
    """List the tests that are marked with an operation, in the order of files and lines."""
    return [
        Shown(operation, frozenset(" ".join(members).split()), each.test, each.file)
        for each in marked_with("honours")
        for operation, *members in [each.arguments]
    ]


def wrong() -> list[str]:
    """List the members of `local/endpoint/api/operations.py` that no test shows, and those shown but not listed."""
    proved: defaultdict[str, set[str]] = defaultdict(set)
    for each in shown():
        proved[each.operation] |= each.members
    listed = {f"{service}:{name}": members for service, of in OPERATIONS.items() for name, members in of.items()}
    none = Members(frozenset(), frozenset())
    found: list[str] = []
    for operation in sorted(listed | proved):
        members = listed.get(operation, none).honoured | listed.get(operation, none).kept
        if operation not in proved:
            found.append(f"no test shows {operation}")
        if operation not in listed:
            found.append(f"a test shows {operation}, which is not listed")
        found += [f"no test shows {member} of {operation}" for member in sorted(members - proved[operation])]
        found += [
            f"a test shows {each} of {operation}, which is not listed" for each in sorted(proved[operation] - members)
        ]
    return found


def page() -> str:
    """Return the page."""
    tests: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for each in shown():
        tests[each.operation][each.test] = each.file
    lines = [_INTRODUCTION]
    for service, operations in OPERATIONS.items():
        lines += [f"## {service}\n", "| operation | honoured | kept | shown by |", "|---|---|---|---|"]
        for name, members in operations.items():
            operation = f"{service}:{name}"
            by = "<br>".join(f"[{test}](../{file})" for test, file in tests[operation].items())
            honoured = ", ".join(_described(operation, each) for each in sorted(members.honoured))
            kept = ", ".join(_described(operation, each) for each in sorted(members.kept))
            lines.append(f"| {name} | {honoured} | {kept} | {by} |")
        lines.append("")
    return "\n".join(lines)


def _described(operation: str, member: str) -> str:
    _, values = VALUES.get((operation, member), (None, ""))
    return f"`{member}` ({values})" if values else f"`{member}`"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
