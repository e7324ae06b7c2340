"""Counts habits of wording that make our English hard to read (CONTRIBUTING.md, "Wording").

`python -m tools.wording` prints the figures per folder, `--list` each place. Another clone's root can be given.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import io
import re
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

ROOT = Path(__file__).resolve().parent.parent

Kind = Literal["docstring", "opening", "fragment", "phrase"]

#: A relative clause in place of a noun: "What a pipe can read" for "Sources of a pipe".
_OPENING = re.compile(r"(?:What|Who|Whoever|Where|Whether|Which|When|How|Why)\b")
#: A genitive in place of a sentence: "Of the mapping." for "The mapping's."
_FRAGMENT = re.compile(r"(?:Of (?:the|a|an|each|its|this|what)\b|Likewise\b|One of \S+(?: \S+)?\.$)")
_PHRASE = re.compile(r"\b(?:(?:is|are|was|were|be)\s+told|leave\s+to|shall|for\s+want\s+of)\b", re.IGNORECASE)

_SECTION = re.compile(r"^(?:Args|Attributes|Returns|Raises|Yields):$")
_ENTRY = re.compile(r"^ {4}(?! )(?:[\w.*]+(?: \(.*?\))?: )?(.*)")
#: "`Endpoint`: an AWS on this machine": the text that is judged follows the name.
_NAME = re.compile(r"^`[^`]*`: ")
_SKIPPED = {"build", "dist", "node_modules"}


@dataclass(frozen=True)
class Found:
    """A docstring, or a habit at a place.

    Attributes:
        file: Path below the root.
        line: Counted from 1.
        text: First words.
    """

    kind: Kind
    file: Path
    line: int
    text: str


def find(root: Path = ROOT) -> list[Found]:
    """List the docstrings of a clone's Python files, and the habits in them, in comments, messages and pages."""
    found: list[Found] = []
    for path in sorted(_files(root)):
        file = path.relative_to(root)
        if path.suffix == ".py":
            text = path.read_text(encoding="utf-8")
            found += [*_in_docstrings(file, text), *_in_comments(file, text), *_phrases(file, text)]
        elif path.suffix == ".md":
            found += _phrases(file, path.read_text(encoding="utf-8"))
    return found


def count(found: list[Found]) -> dict[str, dict[Kind, int]]:
    """Count each kind per folder; of the folders in `local/`, each is one."""
    counted: defaultdict[str, dict[Kind, int]] = defaultdict(lambda: dict.fromkeys(get_args(Kind), 0))
    for each in found:
        parts = each.file.parts[:-1]
        counted["/".join(parts[: 2 if parts[:1] == ("local",) else 1]) or "."][each.kind] += 1
    return dict(sorted(counted.items()))


def table(counted: dict[str, dict[Kind, int]]) -> str:
    """Return the figures as lines, with a sum."""
    lines = [f"{'folder':<20} {'docstrings':>10} {'openings':>9} {'':>7} {'fragments':>10} {'phrases':>8}"]
    total: dict[Kind, int] = {kind: sum(row[kind] for row in counted.values()) for kind in get_args(Kind)}
    for folder, row in [*counted.items(), ("all", total)]:
        share = f"{100 * row['opening'] / max(row['docstring'], 1):.1f} %"
        figures = f"{row['docstring']:>10} {row['opening']:>9} {share:>7} {row['fragment']:>10} {row['phrase']:>8}"
        lines.append(f"{folder:<20} {figures}")
    return "\n".join(lines)


def _files(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.name.startswith(".") or path.name in _SKIPPED:
            continue
        if path.is_dir():
            yield from _files(path)
        else:
            yield path


def _in_docstrings(file: Path, text: str) -> Iterator[Found]:
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        match node.body:
            case [ast.Expr(value=ast.Constant(value=str(docstring))), *_]:
                start = node.body[0].lineno
            case _:
                continue
        lines = inspect.cleandoc(docstring).splitlines() or [""]
        first = _NAME.sub("", lines[0])
        yield Found("docstring", file, start, first)
        if _OPENING.match(first):
            yield Found("opening", file, start, first)
        for offset, said in [(0, first), *_entries(lines)]:
            if _FRAGMENT.match(said):
                yield Found("fragment", file, start + offset, said)


def _entries(lines: list[str]) -> Iterator[tuple[int, str]]:
    """Yield the entries of a docstring's sections, each with its line."""
    inside = False
    for offset, line in enumerate(lines):
        if line and not line.startswith(" "):
            inside = bool(_SECTION.match(line))
        elif inside and (entry := _ENTRY.match(line)):
            yield offset, entry[1]


def _in_comments(file: Path, text: str) -> Iterator[Found]:
    """Yield the fragments among the comments that document a value (`#:`)."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT and token.string.startswith("#: "):
            said = token.string.removeprefix("#: ")
            if _FRAGMENT.match(said):
                yield Found("fragment", file, token.start[0], said)


def _phrases(file: Path, text: str) -> Iterator[Found]:
    for phrase in _PHRASE.finditer(text):
        line = text.count("\n", 0, phrase.start())
        yield Found("phrase", file, line + 1, text.splitlines()[line].strip())


def main() -> None:
    """Print the figures, or each place."""
    parser = argparse.ArgumentParser(description="Count habits of wording that make our English hard to read.")
    parser.add_argument("root", nargs="?", type=Path, default=ROOT, help="root of a clone; this one by default")
    parser.add_argument("--list", action="store_true", help="print each place instead of the figures")
    arguments = parser.parse_args()
    found = find(arguments.root)
    if not arguments.list:
        print(table(count(found)))
        return
    for each in found:
        if each.kind != "docstring":
            print(f"{each.file}:{each.line}: {each.kind}: {each.text}")


if __name__ == "__main__":
    main()
