"""Limits on the calls of an operation, which AWS documents as calls per second."""

from __future__ import annotations

from collections import deque


class CallRate:
    """Counts the calls of the last second.

    Args:
        per_second: Maximum of calls in any second.
    """

    def __init__(self, per_second: int) -> None:
        self._calls: deque[float] = deque(maxlen=per_second)

    def admits(self, now: float) -> bool:
        """Admit and count a call, or refuse it, at a time in seconds that never goes back."""
        if len(self._calls) == self._calls.maxlen and now - self._calls[0] < 1.0:
            return False
        self._calls.append(now)
        return True
