"""Child processes of the language host: none outlives it."""

from __future__ import annotations

import contextlib
import queue
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, cast

#: Exit status of a program whose error was shown already.
REPORTED = 32

#: The script that runs programs, packs and plugins in their own interpreter.
RUNNER = Path(__file__).with_name("runner.py")

#: What a process wrote, by stream ("stdout" or "stderr"); nothing at its end.
Output = tuple[str, bytes]


class Children:
    """The running children of a host."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()

    def start(
        self,
        command: Sequence[str | Path],
        *,
        directory: str | None,
        environment: Mapping[str, str] | None = None,
        piped: bool = False,
    ) -> subprocess.Popen[bytes]:
        """Start a process. Its output goes where the host's does, or into pipes."""
        output = subprocess.PIPE if piped else None
        # No preexec_fn: forking a process that serves gRPC is unsafe.
        child = subprocess.Popen(  # noqa: S603 - the program that the user asked to run
            list(map(str, command)),
            cwd=directory or None,
            env=None if environment is None else dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
        with self._lock:
            self._running.add(child)
        return child

    def stop(self, child: subprocess.Popen[bytes], seconds: float = 3.0) -> None:
        """End a process, by force after `seconds`."""
        if child.poll() is None:
            child.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(seconds)
            if child.poll() is None:
                child.kill()
                child.wait()
        with self._lock:
            self._running.discard(child)

    def terminate_all(self) -> None:
        """Ask every process to end."""
        with self._lock:
            running = list(self._running)
        for child in running:
            child.terminate()

    def stop_all(self, seconds: float = 1.0) -> None:
        """End every process."""
        with self._lock:
            running = list(self._running)
        for child in running:
            self.stop(child, seconds)


def pump(stream: IO[bytes] | None, name: str, into: queue.Queue[Output]) -> None:
    """Copy a pipe into a queue, in a thread of its own."""
    piped = cast("IO[bytes]", stream)

    def copy() -> None:
        for line in iter(piped.readline, b""):
            into.put((name, line))
        into.put((name, b""))

    threading.Thread(target=copy, daemon=True).start()
