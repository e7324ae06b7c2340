"""Writes docs/conformance.md: which rows of docs/aws-semantics.md the engine follows, and the test that shows each.

`python -m tools.conformance` writes the page; `make docs` does the same.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
SEMANTICS = ROOT / "docs" / "aws-semantics.md"
PAGE = ROOT / "docs" / "conformance.md"

#: Rows that say what to configure or to write, and nothing that an engine could do.
NOT_APPLICABLE = ("ALARM", "IAM", "ONCE", "REPLAY")

_ROW = re.compile(r"^(?:- |\d+\. )?\*\*([A-Z]+(?:-[A-Z]+)*-\d+)\*\* (.*)|^\| ([A-Z]+(?:-[A-Z]+)*-\d+) \| (.*)")
_IN_A_BLOCK = re.compile(r"\(((?:[A-Z]+-)+\d+)\)\s*$")
_SOURCE = re.compile(
    r"\b(?:BC-[A-Z]+|LS-[A-Z]+|STK(?:-doc)?|DOC(?::[\w-]+)?|ARC-[A-Z]|PT)\b|UNCONFIRMED|\[D\]|\[ADVICE\]"
)
_INTRODUCTION = """\
# Conformance

Which rows of [aws-semantics.md](aws-semantics.md) the local engine follows. Every row that it does has a test of its
name, with the confidence of what it is checked against: `recorded` on AWS, `documented` by AWS, or `deduced` from the
two. This page is written by `make docs` from those tests.

- **done**: the engine does what the row says.
- **refused**: it is not simulated, and a scenario or an API call that asks for it is refused by name.
- **not applicable**: the row tells what to configure or to write.
- **not simulated**: nothing here depends on it; no claim is made.
"""


@dataclass(frozen=True)
class Row:
    """A row of the semantics: its id, what it says, and where that comes from."""

    id: str
    text: str

    @property
    def sources(self) -> str:
        """The tags in it, each once."""
        return ", ".join(dict.fromkeys(_SOURCE.findall(self.text)))


@dataclass(frozen=True)
class Shown:
    """A test that shows a row."""

    row: str
    confidence: str
    refused: bool
    test: str
    file: str


def rows() -> list[Row]:
    """Every row of the semantics, in order."""
    return [*_rows(SEMANTICS.read_text(encoding="utf-8"))]


def shown() -> list[Shown]:
    """Every test that is marked with a row, in the order of files and lines."""
    found: list[Shown] = []
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                found += [*_marks(node, str(path.relative_to(ROOT)))]
    return found


def page() -> str:
    """The page."""
    tests: dict[str, list[Shown]] = {}
    for each in shown():
        tests.setdefault(each.row, []).append(each)
    lines = [_INTRODUCTION, _count(tests), "| row | status | what | source | shown by |", "|---|---|---|---|---|"]
    for row in rows():
        of = tests.get(row.id, [])
        by = "<br>".join(f"[{each.test}](../{each.file}) ({each.confidence})" for each in of)
        lines.append(f"| {row.id} | {_status(row, of)} | {_short(row.text)} | {row.sources} | {by} |")
    return "\n".join(lines) + "\n"


def _rows(text: str) -> Iterator[Row]:
    for line in text.splitlines():
        found = _ROW.match(line)
        if found:
            yield Row(found[1] or found[3], found[2] or found[4].strip(" |"))
        elif block := _IN_A_BLOCK.search(line):
            yield Row(block[1], "The loop over the batches of a lane.")


def _marks(function: ast.FunctionDef, file: str) -> Iterator[Shown]:
    for decorator in function.decorator_list:
        match decorator:
            case ast.Call(
                func=ast.Name(id="conforms"),
                args=[ast.Constant(value=str(row)), ast.Constant(value=str(confidence))],
                keywords=keywords,
            ):
                yield Shown(row, confidence, any(each.arg == "refused" for each in keywords), function.name, file)
            case _:
                pass


def _status(row: Row, tests: list[Shown]) -> str:
    if tests:
        return "refused" if all(each.refused for each in tests) else "done"
    return "not applicable" if row.id.rpartition("-")[0] in NOT_APPLICABLE else "not simulated"


def _count(tests: dict[str, list[Shown]]) -> str:
    statuses = [_status(row, tests.get(row.id, [])) for row in rows()]
    counted = ", ".join(
        f"{statuses.count(each)} {each}" for each in ("done", "refused", "not applicable", "not simulated")
    )
    return f"Of {len(statuses)} rows: {counted}.\n"


def _short(text: str) -> str:
    """The row's beginning, without what a table or a link would take for its own."""
    plain = text.replace("|", "·").replace("<", "&lt;").replace("**", "")
    if len(plain) <= 110:
        return plain
    cut = plain[:110].rpartition(" ")[0]
    return cut + ("`" if cut.count("`") % 2 else "") + " …"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
