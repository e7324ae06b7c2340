"""`SourceChanges`: notices that the program's files have changed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

#: Folders that a program is deployed from.
_FOLDERS = ("components", "handlers")


class SourceChanges:
    """The files that a program is deployed from: its own modules, handlers, components and stack files.

    Args:
        program: Directory of the program.
    """

    def __init__(self, program: Path) -> None:
        self._program = program
        self._seen = self._look()

    def found(self) -> bool:
        """Tell whether a file was changed, added or removed since the last look."""
        before, self._seen = self._seen, self._look()
        return before != self._seen

    def _look(self) -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in self._files() if path.exists()}

    def _files(self) -> Iterator[Path]:
        yield from self._program.glob("*.py")
        yield from self._program.glob("Pulumi*.yaml")
        for folder in _FOLDERS:
            yield from (self._program / folder).rglob("*.py")
