"""Directories that belong to running processes: what a killed one left can be told from what another one needs."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path


class OwnedDirectory:
    """A new directory, locked for as long as its owner runs, or any process that inherits the lock.

    The lock is the kernel's, so it ends when the last of them does, in whatever way. No process id is written down that
    another process may have by the time somebody looks.

    Args:
        base: Where to make it; made itself if it is missing.
        prefix: How its name begins.

    Attributes:
        path: Where it is.
        lock: The file descriptor that holds the lock.
    """

    def __init__(self, base: Path, prefix: str) -> None:
        base.mkdir(parents=True, exist_ok=True)
        while True:
            self.path = Path(tempfile.mkdtemp(prefix=prefix, dir=base))
            # Until it is locked, it looks abandoned, and somebody may sweep it.
            try:
                self.lock = os.open(self.path, os.O_RDONLY)
            except FileNotFoundError:
                continue
            fcntl.flock(self.lock, fcntl.LOCK_EX)
            if self.path.exists():
                return
            os.close(self.lock)

    def remove(self) -> None:
        """Remove it with everything in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self.lock)


def abandoned(base: Path, prefix: str) -> Iterator[Path]:
    """Directories of this user whose owners are gone. Each is removed when the next one is asked for."""
    for path in sorted(base.glob(f"{prefix}*")):
        try:
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            continue  # gone by now, another user's, or no directory of anybody's
        try:
            if os.fstat(lock).st_uid == os.getuid():
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                yield path
                shutil.rmtree(path, ignore_errors=True)
        except BlockingIOError:
            pass  # its owner runs
        finally:
            os.close(lock)
