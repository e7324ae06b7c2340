"""Two clocks: real time, which the control API can move forward, and one that moves only when it is told to."""

from __future__ import annotations

import time


class Clock:
    """What tables, streams, mappings, metrics and alarms go by. Functions keep real time."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def now(self) -> float:
        """Seconds since 1970."""
        return time.time() + self._ahead

    def advance(self, seconds: float) -> None:
        """Move forward.

        Raises:
            ValueError: `seconds` is negative: nothing here can be undone.
        """
        if seconds < 0:
            raise ValueError(f"the clock cannot go back, and {seconds:g} s would")
        self._ahead += seconds


class VirtualClock:
    """Seconds since 1970 that pass when somebody says so: what waits for an hour waits no time at all.

    Calling it gives the time, so it can stand wherever `time.time` does; `sleep` can stand for `time.sleep`.

    Example:
        >>> clock = VirtualClock(100.0)
        >>> clock.sleep(30)
        >>> clock()
        130.0
    """

    def __init__(self, now: float = 0.0) -> None:
        self._now = now

    def __call__(self) -> float:
        """The time."""
        return self._now

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.advance_to(self._now + seconds)

    def advance_to(self, now: float) -> None:
        """Let time pass up to a moment.

        Raises:
            ValueError: The moment is in the past.
        """
        if now < self._now:
            raise ValueError(f"time does not go back: it is {self._now} and {now} was asked for")
        self._now = now
