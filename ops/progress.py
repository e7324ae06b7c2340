"""Progress of long work: one line per step, and a spinner on a terminal."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator

from rich.console import Console
from rich.status import Status
from rich.text import Text


class Step:
    """A running step.

    Attributes:
        detail: Shown behind the step while it runs and when it is done.
    """

    def __init__(self, text: str, status: Status) -> None:
        self.text = text
        self.detail = ""
        self._status = status

    def tell(self, detail: str) -> None:
        """Show the progress within the step."""
        self.detail = detail
        self._status.update(f"{self.text}: {detail}")


@contextlib.contextmanager
def step(console: Console, text: str) -> Generator[Step]:
    """Run a block as a step: a spinner while it runs, a line with its time when it is done."""
    started = time.monotonic()
    with console.status(text) as status:
        running = Step(text, status)
        yield running
    seconds = f"{time.monotonic() - started:5.1f} s"
    detail = f": {running.detail}" if running.detail else ""
    console.print(Text(f"{seconds}  ", style="dim") + Text(f"{text}{detail}"), soft_wrap=True)
