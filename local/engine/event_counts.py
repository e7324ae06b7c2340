"""Metrics that Lambda counts for every batch of an event source mapping (docs/aws-semantics.md §2.10)."""

from __future__ import annotations

from collections.abc import Callable

from local.engine.outcomes import Failed, Outcome, Throttled, accepted

#: Takes a metric's name, a value and the time: sums of events and calls, and `IteratorAge` in milliseconds.
Recorder = Callable[[str, float, float], None]


#: Seconds of a period of the metric.
PERIOD = 60

#: Periods without a poll for which 0 is recorded afterwards at most: a day's.
_MISSED = 24 * 60


class PolledEvents:
    """Counter of polled events; every minute has a datapoint, which is 0 if no poll found an event (ESM-METRIC-2).

    Args:
        record: Receives the metric.
    """

    def __init__(self, record: Recorder) -> None:
        self._record = record
        self._minute = -1

    def count(self, polled: int, now: float) -> None:
        """Count the events of a poll. A clock that jumped leaves minutes without a poll, in which there was none."""
        minute = int(now // PERIOD)
        for missed in range(max(self._minute + 1, minute - _MISSED), minute) if self._minute >= 0 else ():
            self._record("PolledEventCount", 0, missed * PERIOD)
        if polled or minute != self._minute:
            self._minute = minute
            self._record("PolledEventCount", polled, now)


def count_invocation(record: Recorder, outcome: Outcome, *, sent: int, now: float) -> None:
    """Record what an invocation adds to the sums.

    An attempt that was throttled is among the events that were invoked and failed (ESM-METRIC-5).

    Args:
        record: Receives each metric.
        outcome: How the invocation ended.
        sent: Records of its batch.
        now: Seconds since 1970.
    """
    record("InvokedEventCount", sent, now)
    failed = sent - accepted(outcome, sent)
    if failed:
        record("FailedInvokeEventCount", failed, now)
    if isinstance(outcome, Throttled):
        record("Throttles", 1, now)
    elif isinstance(outcome, Failed) and outcome.function_error is not None:
        record("Errors", 1, now)
