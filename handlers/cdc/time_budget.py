"""The time that an invocation has left, and what one more record needs of it."""

from __future__ import annotations

from handlers.cdc.invocation import current

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
        invocation = current()
        self._clock = None if invocation is None else invocation.clock
        self._left = self._longest = int(reserve * 1000)
        if self._clock is None:
            return
        self._left = self._clock()
        if self._left < self._longest:
            raise OutOfTime(
                f"{self._left / 1000:.1f} s are left and {reserve:.1f} s are needed to start: "
                "raise the function's timeout"
            )

    def allows_another(self) -> bool:
        """Note that a record has just ended, and check that there is time for one as long as the longest so far."""
        if self._clock is None:
            return True
        left = self._clock()
        took, self._left = self._left - left, left
        if took > self._longest:
            self._longest = took
        return left >= self._longest
