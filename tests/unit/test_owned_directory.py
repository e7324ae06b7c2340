from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from local.endpoint.owned_directory import OwnedDirectory, abandoned

PREFIX = "weir-test-"


def leave(base: Path, name: str) -> Path:
    """Make the directory of a killed process: one without a lock."""
    left = base / f"{PREFIX}{name}"
    left.mkdir()
    (left / "file").write_text("x")
    return left


def test_what_a_dead_process_left_is_found_and_removed(tmp_path: Path):
    left = [leave(tmp_path, name) for name in ("a", "b")]
    for path in abandoned(tmp_path, PREFIX):
        assert (path / "file").read_text() == "x"
    assert not any(path.exists() for path in left)


def test_a_directory_whose_owner_runs_is_left_alone(tmp_path: Path):
    owned = OwnedDirectory(tmp_path, PREFIX)
    assert list(abandoned(tmp_path, PREFIX)) == []
    assert owned.path.exists()
    owned.remove()
    assert list(tmp_path.iterdir()) == []


def test_a_directory_is_owned_until_the_last_process_with_its_lock_has_ended(tmp_path: Path):
    owned = OwnedDirectory(tmp_path, PREFIX)
    inherited = os.dup(owned.lock)
    os.close(owned.lock)
    assert list(abandoned(tmp_path, PREFIX)) == []
    os.close(inherited)
    assert list(abandoned(tmp_path, PREFIX)) == [owned.path]


def test_what_is_not_ours_is_left_alone(tmp_path: Path, monkeypatch):
    (tmp_path / "another-directory").mkdir()
    (tmp_path / f"{PREFIX}file").write_text("x")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / f"{PREFIX}link").symlink_to(elsewhere)
    before = sorted(tmp_path.iterdir())
    assert list(abandoned(tmp_path, PREFIX)) == []
    leave(tmp_path, "of-another-user")
    monkeypatch.setattr(os, "getuid", lambda: -1)
    assert list(abandoned(tmp_path, PREFIX)) == []
    assert len(list(tmp_path.iterdir())) == len(before) + 1


def test_a_directory_that_was_swept_before_it_was_locked_is_made_again(tmp_path: Path, monkeypatch):
    import fcntl

    lock, swept = fcntl.flock, []

    def late(descriptor: int, operation: int) -> None:
        if not swept:
            swept.extend(tmp_path.iterdir())
            swept[0].rmdir()
        lock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    owned = OwnedDirectory(tmp_path, PREFIX)
    assert owned.path.exists()
    assert owned.path != swept[0]
    owned.remove()


def test_a_directory_that_was_swept_before_it_could_be_opened_is_made_again(tmp_path: Path, monkeypatch):
    make, swept = tempfile.mkdtemp, []

    def late(**of: Any) -> str:
        made = make(**of)
        if not swept:
            swept.append(made)
            Path(made).rmdir()
        return made

    monkeypatch.setattr(tempfile, "mkdtemp", late)
    owned = OwnedDirectory(tmp_path, PREFIX)
    assert owned.path.exists()
    assert str(owned.path) not in swept
