"""Two clocks: real time, which the control API can move forward, and virtual time, which its driver moves."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

#: Seconds after which a waiter looks at the clock anyway: a condition takes no wait of a century.
_LONGEST_LOOK = 3600.0


class Clock:
    """Time of the endpoint's tables, streams, mappings, executions, metrics and alarms. Functions keep real time."""

    def __init__(self) -> None:
        self._ahead = 0.0
        self._moved = threading.Condition()

    def now(self) -> float:
        """Return the time, in seconds since 1970."""
        return time.time() + self._ahead

    def iso(self) -> str:
        """Return the time in ISO 8601, with milliseconds and `Z`."""
        return datetime.fromtimestamp(self.now(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def advance(self, seconds: float) -> None:
        """Move the clock forward.

        Raises:
            ValueError: `seconds` is negative.
        """
        if seconds < 0:
            raise ValueError(f"the clock cannot go back, and {seconds:g} s would")
        self._ahead += seconds
        self.wake()

    def wait_until(self, moment: float, happened: Callable[[], bool]) -> bool:
        """Wait until a moment, or until something has happened before it.

        Args:
            moment: The moment, in seconds since 1970; it may be infinite.
            happened: Returns whether it has happened; asked again whenever the clock moves, and after `wake`.

        Returns:
            Whether it has happened.
        """
        with self._moved:
            while not happened():
                left = moment - self.now()
                if left <= 0:
                    return False
                self._moved.wait(min(left, _LONGEST_LOOK))
            return True

    def wake(self) -> None:
        """Let every waiter look again."""
        with self._moved:
            self._moved.notify_all()


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
