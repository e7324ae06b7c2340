"""Ordered processing of one batch, with partial failures and a time budget.

Lambda rewinds a stream to the *lowest* reported sequence number and delivers everything from there on again
(docs/aws-semantics.md §2.5). So processing stops at the first failure: whatever ran after it would run a second
time, and an older change of an item would be applied after a newer one. There is no concurrency inside a batch for
the same reason; the parallelization factor gives it without losing the order per item.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from handlers.cdc.change import Change
from handlers.cdc.invocation import remaining_seconds
from handlers.cdc.metrics import count

logger = logging.getLogger("handlers.cdc")

#: Seconds that must be left before a record is started, however fast the ones before it were.
RESERVE = 1.0


class OutOfTime(RuntimeError):
    """Not even the first record of the batch could be started in the time this invocation has."""


def first_failure(
    changes: Sequence[Change],
    function: Callable[[Change], object],
    *,
    reserve: float = RESERVE,
) -> Change | None:
    """Process changes in order and return the first one that is not done, or `None` when all are.

    A change is not done when `function` raised for it, or when it was not started: no change is started with less
    time left than the longest one of this invocation took (at least `reserve` seconds), so that a slow batch makes
    progress instead of timing out as a whole.

    Raises:
        OutOfTime: Less than `reserve` seconds were left before the first change.
    """
    longest = reserve
    for index, change in enumerate(changes):
        left = remaining_seconds()
        if left is not None and left < longest:
            if index == 0:
                raise OutOfTime(
                    f"{left:.1f} s are left and {longest:.1f} s are needed before a record is started: "
                    "raise the function's timeout"
                )
            count("TimeBudgetHits")
            logger.warning("time budget spent after %d of %d records", index, len(changes), extra=_identity(change))
            return change
        started = time.monotonic()
        try:
            function(change)
        except Exception:
            # Identity only: what a record holds is personal data, and logs are kept and shared.
            count("Failures")
            logger.exception("record failed: %s", change, extra=_identity(change))
            return change
        longest = max(longest, time.monotonic() - started)
    return None


def _identity(change: Change) -> dict[str, str]:
    return {
        "eventId": change.event_id,
        "eventName": change.event_name,
        "sequenceNumber": change.sequence_number,
        "table": change.table_name,
    }
