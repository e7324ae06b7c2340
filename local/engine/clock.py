"""Two clocks: real time, which the control API can move forward, and virtual time, which its driver moves."""

from __future__ import annotations

import time


class Clock:
    """Time of the endpoint's tables, streams, mappings, metrics and alarms. Functions keep real time."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def now(self) -> float:
        """Return the time, in seconds since 1970."""
        return time.time() + self._ahead

    def advance(self, seconds: float) -> None:
        """Move the clock forward.

        Raises:
            ValueError: `seconds` is negative.
        """
        if seconds < 0:
            raise ValueError(f"the clock cannot go back, and {seconds:g} s would")
        self._ahead += seconds


class VirtualClock:
    """Virtual time, in seconds since 1970: an hour's wait takes no time.

    Calling it returns the time, so it can replace `time.time`, and `sleep` can replace `time.sleep`.

    Example:
        >>> clock = VirtualClock(100.0)
        >>> clock.sleep(30)
        >>> clock()
        130.0
    """

    def __init__(self, now: float = 0.0) -> None:
        self._now = now

    def __call__(self) -> float:
        """Return the time."""
        return self._now

    def sleep(self, seconds: float) -> None:
        """Let seconds pass."""
        self.advance_to(self._now + seconds)

    def advance_to(self, now: float) -> None:
        """Let time pass up to a moment, in seconds since 1970.

        Raises:
            ValueError: The moment is in the past.
        """
        if now < self._now:
            raise ValueError(f"time does not go back: it is {self._now} and {now} was asked for")
        self._now = now
