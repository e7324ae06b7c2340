"""How often an operation may be called: what AWS says as calls per second."""

from __future__ import annotations

from collections import deque


class CallRate:
    """Counts the calls of the last second.

    Args:
        per_second: Calls that any second takes.
    """

    def __init__(self, per_second: int) -> None:
        self._calls: deque[float] = deque(maxlen=per_second)

    def admits(self, now: float) -> bool:
        """Whether a call may be made at a time in seconds that never goes back; one that may not is not counted."""
        if len(self._calls) == self._calls.maxlen and now - self._calls[0] < 1.0:
            return False
        self._calls.append(now)
        return True
