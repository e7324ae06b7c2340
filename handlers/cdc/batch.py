"""Ordered processing of one batch, with partial failures and a time budget.

Lambda rewinds a stream to the *lowest* reported sequence number and delivers everything from there on again
(docs/aws-semantics.md §2.5). So processing stops at the first failure: whatever ran after it would run a second
time, and an older change of an item would be applied after a newer one. There is no concurrency inside a batch for
the same reason; the parallelization factor gives it without losing the order per item.

A queue deletes each message on its own. So in a FIFO queue only the group of the failed message stops, and in a
standard queue, which has no order to keep, nothing does.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from handlers.cdc.change import Change
from handlers.cdc.discard import Discard, park
from handlers.cdc.invocation import at, identity, remaining_seconds
from handlers.cdc.metrics import count
from handlers.cdc.queues import attempts, back_off, is_last_attempt, pause, warn_of_redrive
from handlers.cdc.sources import Batch

logger = logging.getLogger("handlers.cdc")

#: Seconds that must be left before a record is started, however fast the ones before it were.
RESERVE = 1.0


class OutOfTime(RuntimeError):
    """Not even the first record of the batch could be started in the time this invocation has."""


def check_time(reserve: float = RESERVE) -> None:
    """See that there is time to start.

    Raises:
        OutOfTime: Less than `reserve` seconds are left.
    """
    left = remaining_seconds()
    if left is not None and left < reserve:
        raise OutOfTime(f"{left:.1f} s are left and {reserve:.1f} s are needed to start: raise the function's timeout")


def process(batch: Batch, function: Callable[[Change], object], *, reserve: float = RESERVE) -> list[str]:
    """Process a batch in order and return the identifiers that the failure response must name.

    A record is not done when `function` raised for it, when a record of its group before it failed, or when it was
    not started: no record is started with less time left than the longest one of this invocation took (at least
    `reserve` seconds), so that a slow batch makes progress instead of timing out as a whole. Messages of a queue back
    off, and are parked at their last attempt, where `QUEUE_ATTEMPTS` is set.

    Raises:
        OutOfTime: Less than `reserve` seconds were left before the first record.
        ValueError: `QUEUE_ATTEMPTS` is not a number of attempts.
    """
    if batch.records:
        check_time(reserve)
    group_of = batch.source.group
    limit = _attempts(batch)
    failed: list[int] = []
    pauses: dict[str, int] = {}  # by group, where one has stopped
    parked: set[str] = set()
    done = 0
    longest = reserve
    now = time.monotonic()
    for index, record in enumerate(batch.records):
        group = "" if group_of is None else group_of(record)
        if group in pauses:
            failed.append(index)
            if limit is None:
                warn_of_redrive()
            continue
        left = remaining_seconds()
        if index and left is not None and left < longest:
            count("TimeBudgetHits")
            logger.warning("time budget spent after %d of %d records", index, len(batch.records))
            failed += range(index, len(batch.records))
            break
        error = _attempt(batch, index, function)
        if error is None:
            done += 1
        elif group not in parked and _given_up(batch, index, error, limit):
            parked.add(group)  # what follows in the group has just got its first attempt
        else:
            failed.append(index)
            pauses[group] = 0 if limit is None else pause(record, limit)
            if group_of is None:
                break
        started, now = now, time.monotonic()
        longest = max(longest, now - started)
    count("Records", done)
    if group_of is None:
        return [batch.identifiers[index] for index in failed[:1]]
    if limit is not None:
        # What was not started for want of time may come back at once.
        records = [batch.records[index] for index in failed]
        back_off([(record, pauses.get(group_of(record), 0)) for record in records])
    return [batch.identifiers[index] for index in failed]


def process_together(batch: Batch, function: Callable[[Sequence[Change]], object]) -> list[str]:
    """Give all changes of a batch to one call, and return the identifiers that the failure response must name.

    The changes succeed or fail together. A stream's batch that fails is named by its first record, so that Lambda
    bisects it; a record that holds no change is reported in its place, after the changes before it are done. Messages
    of a queue back off and are never parked: nobody knows which of them it was.

    Raises:
        OutOfTime: Less than `RESERVE` seconds are left.
        ValueError: `QUEUE_ATTEMPTS` is not a number of attempts.
    """
    check_time()
    changes: list[Change] = []
    opened: list[int] = []
    failed: list[int] = []
    for index, identifier in enumerate(batch.identifiers):
        try:
            changes.append(batch.change(index))
        except Exception:
            count("Failures")
            logger.exception("record %s of %s failed", identifier, batch.source.name)
            failed.append(index)
            if batch.source.group is None:
                break
        else:
            opened.append(index)
    if changes:
        try:
            function(changes)
        except Exception:
            count("Failures")
            first = batch.identifiers[opened[0]]
            logger.exception("%d records of %s failed, from %s on", len(changes), batch.source.name, first)
            failed = opened[:1] if batch.source.group is None else sorted([*opened, *failed])
        else:
            count("Records", len(changes))
    limit = _attempts(batch)
    if limit is not None:
        back_off([(batch.records[index], pause(batch.records[index], limit)) for index in failed])
    return [batch.identifiers[index] for index in failed]


def _attempts(batch: Batch) -> int | None:
    return attempts() if batch.source.event_source == "aws:sqs" else None


def _given_up(batch: Batch, index: int, error: Exception, limit: int | None) -> bool:
    """Whether a message has just failed at its last attempt, and is parked now."""
    if limit is None or not is_last_attempt(batch.records[index], limit):
        return False
    reason = f"failed {limit} times with {type(error).__name__}"
    return _parked(batch, index, error, reason, "RetryAttemptsExhausted")


def _attempt(batch: Batch, index: int, function: Callable[[Change], object]) -> Exception | None:
    """Process one record; the error that it failed with, or `None` when it is done or parked."""
    at(None)
    try:
        change = batch.change(index)
        at(change)
        function(change)
    except Discard as discarded:
        if _parked(batch, index, discarded, discarded.reason, discarded.condition):
            return None
        return discarded
    except Exception as error:
        # Identity only: what a record holds is personal data, and logs are kept and shared.
        count("Failures")
        logger.exception("record %s of %s failed", batch.identifiers[index], batch.source.name)
        return error
    return None


def _parked(batch: Batch, index: int, error: Exception, reason: str, condition: str) -> bool:
    """Park a record; `False` when that failed, so that the record must be delivered again."""
    identifier = batch.identifiers[index]
    try:
        park(batch.records[index], str(identity().get("eventId", identifier)), reason, condition)
    except Exception:
        count("Failures")
        logger.exception("record %s of %s could not be parked (%s)", identifier, batch.source.name, reason)
        return False
    count("Discarded")
    logger.warning("record %s of %s is parked: %s", identifier, batch.source.name, reason, exc_info=error)
    return True
