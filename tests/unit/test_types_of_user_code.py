"""What a type checker says of a user's code: nothing about right code, and something about each mistake.

basedpyright reads it in strict mode, with none of this project's own relaxations: five consumers, a file of mistakes,
and the examples of the guides, each guide as one file.
"""

from __future__ import annotations

import collections
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
USER_CODE = ROOT / "tests/user_code"
GUIDES = sorted(path for path in (ROOT / "docs/guides").glob("*.md") if "```python" in path.read_text())
CONSUMERS = sorted((USER_CODE / "consumers").glob("*.py"))
_EXPECTED = re.compile(r"# error: (.+)$")

#: The rule and the message of each error, by file and line.
Errors = dict[str, dict[int, list[tuple[str, str]]]]


def examples(guide: Path) -> str:
    """The Python of a guide, on the lines where it stands. What Pulumi leaves untyped is not the reader's mistake."""
    lines = ["# pyright: reportUnknownMemberType=false"]
    inside = False
    for line in guide.read_text().splitlines()[1:]:
        if line.startswith("```"):
            inside = line == "```python"
            lines.append("")
        else:
            lines.append(line if inside else "")
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def errors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Errors]:
    directory = tmp_path_factory.mktemp("clone")
    for path in (*CONSUMERS, USER_CODE / "mistakes.py"):
        shutil.copy(path, directory / path.name)
    for guide in GUIDES:
        (directory / f"guide_{guide.stem}.py").write_text(examples(guide))
    settings = {
        "typeCheckingMode": "strict",
        "include": ["."],
        "extraPaths": [str(ROOT)],
        "pythonVersion": "3.11",
        "reportMissingModuleSource": False,  # of what a user installs, such as the drivers of databases
    }
    (directory / "pyrightconfig.json").write_text(json.dumps(settings))
    command = [sys.executable, "-m", "basedpyright", "--outputjson", "--pythonpath", sys.executable, "--project"]
    report: Any = json.loads(subprocess.run([*command, directory], capture_output=True, check=False).stdout)
    assert report["summary"]["filesAnalyzed"] == len(CONSUMERS) + 1 + len(GUIDES)
    found: Errors = collections.defaultdict(lambda: collections.defaultdict(list))
    for diagnostic in report["generalDiagnostics"]:
        line = diagnostic["range"]["start"]["line"] + 1
        found[Path(diagnostic["file"]).name][line].append((diagnostic.get("rule", ""), diagnostic["message"]))
    return found


@pytest.mark.parametrize("name", [path.name for path in CONSUMERS])
def test_a_users_consumer_passes_strict_checking(errors: Errors, name: str) -> None:
    assert errors[name] == {}


@pytest.mark.parametrize("name", [path.stem for path in GUIDES])
def test_the_examples_of_a_guide_pass_strict_checking(errors: Errors, name: str) -> None:
    assert errors[f"guide_{name}.py"] == {}


def test_each_mistake_is_found_by_the_rule_that_it_names_and_nothing_else_is(errors: Errors) -> None:
    lines = enumerate((USER_CODE / "mistakes.py").read_text().splitlines(), 1)
    expected = {line: set(found[1].split(", ")) for line, text in lines if (found := _EXPECTED.search(text))}
    # What is unknown only because of the mistake is reported as well.
    reported = {
        line: {rule for rule, _ in found if not rule.startswith("reportUnknown")}
        for line, found in errors["mistakes.py"].items()
    }
    assert len(expected) == 39
    assert reported == expected
