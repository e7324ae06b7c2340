"""Files that follow from others: `make docs` writes them, and tests compare them with what they follow from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path


def stale(wanted: Mapping[Path, str], there: Iterable[Path]) -> list[Path]:
    """The files that do not hold what they should, and those that should not be there.

    Args:
        wanted: What each file should hold.
        there: The files of the folders that hold nothing else.
    """
    changed = [path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    return [*changed, *sorted(set(there) - wanted.keys())]


def write(wanted: Mapping[Path, str], there: Iterable[Path]) -> None:
    """Write every file, and remove those that should not be there."""
    for path in set(there) - wanted.keys():
        path.unlink()
    for path, text in wanted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
