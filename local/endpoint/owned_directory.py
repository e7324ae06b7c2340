"""Directories locked by running processes, so that a killed process's directory can be told from one in use."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path


class OwnedDirectory:
    """A new directory, locked for as long as its owner runs, or any process that inherits the lock.

    The lock is the kernel's, so it ends with the last of them, however that ends. A process id in a file could by then
    belong to another process.

    Args:
        base: The directory to create it in, which is created if it is missing.
        prefix: Beginning of its name.

    Attributes:
        path: The directory's path.
        lock: The file descriptor that holds the lock.
    """

    def __init__(self, base: Path, prefix: str) -> None:
        base.mkdir(parents=True, exist_ok=True)
        while True:
            self.path = Path(tempfile.mkdtemp(prefix=prefix, dir=base))
            # Until it is locked, it looks abandoned, and another process may remove it.
            try:
                self.lock = os.open(self.path, os.O_RDONLY)
            except FileNotFoundError:
                continue
            fcntl.flock(self.lock, fcntl.LOCK_EX)
            if self.path.exists():
                return
            os.close(self.lock)

    def remove(self) -> None:
        """Remove the directory with everything in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self.lock)


def abandoned(base: Path, prefix: str) -> Iterator[Path]:
    """Yield this user's directories whose owners are gone. Each is removed before the next one is yielded."""
    for path in sorted(base.glob(f"{prefix}*")):
        try:
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            continue  # gone by now, another user's, or not a directory
        try:
            if os.fstat(lock).st_uid == os.getuid():
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                yield path
                shutil.rmtree(path, ignore_errors=True)
        except BlockingIOError:
            pass  # its owner runs
        finally:
            os.close(lock)
