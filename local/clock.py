"""The endpoint's clock: real time, which the control API can move forward."""

from __future__ import annotations

import time


class Clock:
    """What mappings, metrics and alarms go by. Functions and ministack keep real time."""

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
