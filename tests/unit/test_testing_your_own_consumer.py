"""The README's unit test of the README's consumer, as a user runs it: in a clone, from files of their names."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
README = (PROJECT / "README.md").read_text(encoding="utf-8")


def block_after(words: str) -> str:
    """The first code block of the README after some words."""
    (block,) = re.findall(rf"{re.escape(words)}.*?```py\n(.*?)```", README, re.DOTALL)
    return block


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone with the consumer and its test."""
    shutil.copytree(PROJECT / "handlers", tmp_path / "handlers", ignore=shutil.ignore_patterns("__pycache__"))
    for each in ("aws_semantics", "components", "conftest.py", "pyproject.toml"):
        (tmp_path / each).symlink_to(PROJECT / each)
    (tmp_path / "tests").mkdir()
    (tmp_path / "handlers" / "search_warmer.py").write_text(block_after("`handlers/search_warmer.py`:"))
    (tmp_path / "tests" / "test_search_warmer.py").write_text(block_after("`tests/test_search_warmer.py`:"))
    return tmp_path


def run_test(clone: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_search_warmer.py"]
    return subprocess.run(command, cwd=clone, capture_output=True, text=True, check=False)


def test_the_test_in_the_readme_passes(clone: Path) -> None:
    ran = run_test(clone)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "1 passed" in ran.stdout


@pytest.mark.parametrize("command", [["check"], ["format", "--check"]])
def test_both_files_of_the_readme_pass_make_check(command: list[str], clone: Path) -> None:
    files = ["handlers/search_warmer.py", "tests/test_search_warmer.py"]
    said = subprocess.run(
        [sys.executable, "-m", "ruff", *command, "--no-cache", *files],
        cwd=clone,
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 0, said.stdout + said.stderr


def test_it_fails_when_the_consumer_is_set_up_otherwise(clone: Path) -> None:
    mine = clone / "tests" / "test_search_warmer.py"
    text = mine.read_text().replace("import ChangeTable", "import StreamDelivery, ChangeTable")
    settings = "delivery=StreamDelivery(bisect_batch_on_function_error=False), access"
    mine.write_text(text.replace("handler, access", f"handler, {settings}"))
    ran = run_test(clone)
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert "AssertionError" in ran.stdout


def test_it_is_as_short_as_the_readme_says_a_test_is() -> None:
    body = block_after("`tests/test_search_warmer.py`:").split("@pulumi.runtime.test")[1]
    assert len([line for line in body.splitlines() if line]) <= 10
