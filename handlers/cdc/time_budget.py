"""The time that an invocation has left, and what one more record needs of it."""

from __future__ import annotations

from handlers.cdc.invocation import remaining_seconds

#: Seconds that must be left before a record is started, however fast the ones before it were.
RESERVE = 1.0


class OutOfTime(RuntimeError):
    """Not even the first record of the batch could be started in the time this invocation has."""


class TimeBudget:
    """The time that one batch may take: as much as the invocation has left.

    The invocation's own clock is the only one: what is left of its time says how long the last record took, and whether
    another one fits.

    Args:
        reserve: Seconds that must be left before a record is started.

    Raises:
        OutOfTime: Less than `reserve` seconds are left.
    """

    def __init__(self, reserve: float = RESERVE) -> None:
        self._left = remaining_seconds()
        if self._left is not None and self._left < reserve:
            raise OutOfTime(
                f"{self._left:.1f} s are left and {reserve:.1f} s are needed to start: raise the function's timeout"
            )
        self._longest = reserve

    def allows_another(self) -> bool:
        """Note that a record has just ended, and check that there is time for one as long as the longest so far."""
        before, left = self._left, remaining_seconds()
        if before is None or left is None:
            return True
        self._left = left
        self._longest = max(self._longest, before - left)
        return left >= self._longest
