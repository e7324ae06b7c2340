"""tools/wording.py finds the habits that CONTRIBUTING.md names."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import wording

SOURCE = '''"""`module`: What it holds."""

#: Of the stream.
LIMIT = 1


class Reader:
    """A reader of a shard.

    Attributes:
        uuid: Of the mapping.
        stream (str): Likewise.
        shard: The shard's id.
    """

    def read(self, limit: int) -> int:
        """Return the records read.

        Args:
            limit: One of Lambda's limits.
                of the table's stream.

        A caller is
        told of an error.
        """
        return limit
'''


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    (tmp_path / "local" / "engine").mkdir(parents=True)
    (tmp_path / "local" / "engine" / "reader.py").write_text(SOURCE)
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "other.py").write_text('"""What others wrote."""\n')
    (tmp_path / "README.md").write_text("A stream shall have two readers.\n")
    return tmp_path


def test_each_habit_is_found_at_its_line(clone: Path) -> None:
    found = [(each.kind, each.file.name, each.line) for each in wording.find(clone) if each.kind != "docstring"]
    assert found == [
        ("phrase", "README.md", 1),
        ("opening", "reader.py", 1),
        ("fragment", "reader.py", 11),
        ("fragment", "reader.py", 12),
        ("fragment", "reader.py", 20),
        ("fragment", "reader.py", 3),
        ("phrase", "reader.py", 23),
    ]


def test_one_of_several_things_in_a_sentence_is_no_fragment(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text('"""One of several conditions; read in order."""\n')
    assert [each.kind for each in wording.find(tmp_path)] == ["docstring"]


def test_this_clone_keeps_to_the_goal() -> None:
    found = wording.find()
    total = wording.count(found)
    fragments = [each for each in found if each.kind == "fragment"]
    assert fragments == []
    openings, docstrings = (sum(row[kind] for row in total.values()) for kind in ("opening", "docstring"))
    assert openings <= 0.05 * docstrings, wording.table(total)


def test_the_figures_are_counted_per_folder_and_wing(clone: Path) -> None:
    counted = wording.count(wording.find(clone))
    assert counted == {
        ".": {"docstring": 0, "opening": 0, "fragment": 0, "phrase": 1},
        "local/engine": {"docstring": 3, "opening": 1, "fragment": 4, "phrase": 1},
    }
    assert wording.table(counted).splitlines()[-1].split() == ["all", "3", "1", "33.3", "%", "4", "2"]
