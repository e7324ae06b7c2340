"""`PollingThread`: the life of a thread that reads a source until it is stopped."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod

from local.engine.clock import Clock
from local.engine.event_counts import PERIOD


class PollingThread(ABC):
    """A thread that works, waits for a wake-up, and works again.

    Args:
        name: Name of the thread, and of the threads that it starts.
        clock: The endpoint's clock.
        counted: Whether polls are counted, so that there must be one in each period of the metric.
    """

    def __init__(self, name: str, clock: Clock, *, counted: bool) -> None:
        self.name = name
        self._clock = clock
        self._counted = counted
        self._wake = threading.Event()
        self._stopping = False
        self._idle = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """Look again: there may be something to read, or time has passed."""
        self._wake.set()

    def stop(self) -> None:
        """Read nothing more. Deliveries that run now go on to their end."""
        self._stopping = True
        self._wake.set()

    def join(self) -> None:
        """Wait until the thread and its deliveries have ended."""
        self._thread.join()

    @property
    def idle(self) -> bool:
        """Whether there was nothing to do at the last look, and nothing has happened since."""
        return self._idle and not self._wake.is_set()

    @property
    @abstractmethod
    def unfinished(self) -> int:
        """Number of records or messages that were read and are not finished."""

    def _sleep(self, seconds: float | None) -> bool:
        """Wait for a wake-up, for a time at most, forever if it is `None`; returns whether there was one."""
        if self._counted:
            period = PERIOD - self._clock.now() % PERIOD
            seconds = period if seconds is None else min(seconds, period)
        return self._wake.wait(seconds)

    @abstractmethod
    def _run(self) -> None:
        """Work until `_stopping`."""
