"""Writes docs/conformance.md: which rows of docs/aws-semantics.md the engine follows, and the test that shows each.

`python -m tools.conformance` writes the page; `make docs` does the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tools.marked_tests import ROOT, marked_with

SEMANTICS = ROOT / "docs" / "aws-semantics.md"
PAGE = ROOT / "docs" / "conformance.md"

#: Groups of rows, and single ones, that leave an engine nothing to do, and what they tell.
NOT_APPLICABLE = {
    "DDB-LIMIT-8": "what is not billed",
    "ALARM": "what to alarm on",
    "IAM": "what a role must allow",
    "ONCE": "what a handler has to do",
    "REPLAY": "what an operator has to do",
    **dict.fromkeys(("SNS", "SQS", "LAM", "EXP", "IMP"), "what components, policies and consumers rely on"),
    **dict.fromkeys(
        ("SFN", "SCD", "EVB", "SES", "SEC", "JWT", "VPC"), "what components, policies and consumers rely on"
    ),
    "ESM-ANSWER-10": "what a library does inside the function",
    "PIPE-OPS-5": "what a role and a key's policy must allow",
}

#: Rows that only the simulation shows, and why the endpoint does not.
ONLY_SIMULATED = {
    **dict.fromkeys(("DDB-SHARD-2", "ESM-ORDER-4"), "a table's stream has one shard there, which is never split"),
    "DDB-RECORD-4": "the sequence numbers of a stream have one length there",
    "ESM-BATCH-6": "an item that large takes the endpoint half a minute to write; it did so once, by hand",
    "ESM-ORDER-5": "SplitShard and MergeShards are refused there",
}

_ROW = re.compile(r"^(?:- |\d+\. )?\*\*([A-Z]+(?:-[A-Z]+)*-\d+)\*\* (.*)|^\| ([A-Z]+(?:-[A-Z]+)*-\d+) \| (.*)")
_ROW_IN_NAME = re.compile(r"^test_[a-z]+(_[a-z]+)*?_\d+_")
_IN_A_BLOCK = re.compile(r"\(((?:[A-Z]+-)+\d+)\)\s*$")
_STATUSES = ("done", "partly", "refused", "not applicable", "not simulated")
_SOURCE = re.compile(
    r"\b(?:BC(?:-[A-Z]+)?|LS-[A-Z]+|STK(?:-doc)?|DOC(?::[\w-]+)?|ARC-[A-Z]|PT|PU|TF(?:-issue)?|ACK)\b|UNCONFIRMED|\[D\]|\[ADVICE\]"
)
_INTRODUCTION = """\
# Conformance

Which rows of [aws-semantics.md](aws-semantics.md) the local engine follows. Every row that it does has a test of its
name, with the confidence of what it is checked against: `recorded` on AWS, `documented` by AWS, or `deduced` from the
two. This page is written by `make docs` from those tests.

- **done**: the engine does what the row says.
- **partly**: it does some of it, and the row says what it does not.
- **refused**: it is not simulated, and a scenario or an API call that asks for it is refused by name.
- **not applicable**: the row leaves an engine nothing to do; it tells people what to configure or to write.
- **not simulated**: no setting, scenario or API call here can ask for it, and nothing above depends on it.

A row is shown in simulation, by what `weir simulate` runs on, and on the endpoint. Where only the simulation shows one,
the endpoint's column says why; the endpoint alone shows what the simulation has no part in, such as an API's answers.
"""


@dataclass(frozen=True)
class Row:
    """A row of the semantics: its id, its text and the sources named there."""

    id: str
    text: str

    @property
    def sources(self) -> str:
        """The source tags in the text, each once."""
        return ", ".join(dict.fromkeys(_SOURCE.findall(self.text)))


@dataclass(frozen=True)
class Shown:
    """A test that shows a row.

    Attributes:
        partly: What of the row the engine does not do; empty when it does all of it.
        refused: Whether the test shows that what the row is about is refused.
    """

    row: str
    confidence: str
    test: str
    file: str
    refused: bool = False
    partly: str = ""

    @property
    def in_simulation(self) -> bool:
        """`True` if it needs no endpoint."""
        return self.file.startswith("tests/conformance/")

    @property
    def link(self) -> str:
        """A link to the test: its name as a sentence, and its confidence."""
        sentence = _ROW_IN_NAME.sub("", self.test).replace("_", " ")
        but = f"; not: {self.partly}" if self.partly else ""
        return f"[{sentence}](../{self.file}) ({self.confidence}{but})"


def rows() -> list[Row]:
    """List the rows of the semantics, in order."""
    return [*_rows(SEMANTICS.read_text(encoding="utf-8"))]


def shown() -> list[Shown]:
    """List the tests that are marked with a row, in the order of files and lines."""
    return [Shown(*each.arguments, each.test, each.file, **each.keywords) for each in marked_with("conforms")]


def page() -> str:
    """Return the page."""
    tests: dict[str, list[Shown]] = {}
    for each in shown():
        tests.setdefault(each.row, []).append(each)
    head = ["| row | status | what | source | in simulation | on the endpoint |", "|---|---|---|---|---|---|"]
    lines = [_INTRODUCTION, _count(tests), *head]
    for row in rows():
        of = tests.get(row.id, [])
        simulated = "<br>".join(each.link for each in of if each.in_simulation) or (_tells(row) if not of else "")
        served = "<br>".join(each.link for each in of if not each.in_simulation)
        served = served or (f"not there: {ONLY_SIMULATED[row.id]}" if row.id in ONLY_SIMULATED else "")
        lines.append(f"| {row.id} | {_status(row, of)} | {_short(row.text)} | {row.sources} | {simulated} | {served} |")
    return "\n".join(lines) + "\n"


def _rows(text: str) -> Iterator[Row]:
    for line in text.splitlines():
        found = _ROW.match(line)
        if found:
            yield Row(found[1] or found[3], found[2] or found[4].strip(" |"))
        elif block := _IN_A_BLOCK.search(line):
            yield Row(block[1], "The loop over the batches of a lane.")


def _status(row: Row, tests: list[Shown]) -> str:
    if any(each.partly for each in tests):
        return "partly"
    if tests:
        return "refused" if all(each.refused for each in tests) else "done"
    return "not applicable" if _tells(row) else "not simulated"


def _tells(row: Row) -> str:
    """Return the subject of a row that leaves an engine nothing to do; empty for the others."""
    return NOT_APPLICABLE.get(row.id) or NOT_APPLICABLE.get(row.id.rpartition("-")[0], "")


def _count(tests: dict[str, list[Shown]]) -> str:
    statuses = [_status(row, tests.get(row.id, [])) for row in rows()]
    counted = ", ".join(f"{statuses.count(each)} {each}" for each in _STATUSES)
    return f"Of {len(statuses)} rows: {counted}.\n"


def _short(text: str) -> str:
    """Return the row's beginning, without the characters that a table or a link would interpret."""
    plain = text.replace("|", "·").replace("<", "&lt;").replace("**", "")
    if len(plain) <= 110:
        return plain
    cut = plain[:110].rpartition(" ")[0]
    return cut + ("`" if cut.count("`") % 2 else "") + " …"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
