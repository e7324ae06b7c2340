"""Generated files: `make docs` writes them, and tests check that they are current."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path


def stale(wanted: Mapping[Path, str], there: Iterable[Path]) -> list[Path]:
    """List the files with another content than wanted, and those that are not wanted.

    Args:
        wanted: The content of each file.
        there: The present files of the folders that hold generated files alone.
    """
    changed = [path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    return [*changed, *sorted(set(there) - wanted.keys())]


def write(wanted: Mapping[Path, str], there: Iterable[Path]) -> None:
    """Write every file, and remove those that are not wanted."""
    for path in set(there) - wanted.keys():
        path.unlink()
    for path, text in wanted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
