"""Processing of one batch of a queue: a failed message stops its group, backs off, and is parked at its last attempt.

A queue deletes each message on its own. So in a FIFO queue only the group of the failed message stops, and in a
standard queue, which has no order to keep, nothing does. Streams have other rules: `handlers.cdc.batch`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from handlers.cdc.attempt import attempt, fails_the_record, log_failed_batch, log_failure, parked
from handlers.cdc.change import Change
from handlers.cdc.metrics import count
from handlers.cdc.queues import attempts, back_off, is_last_attempt, pause, warn_of_redrive
from handlers.cdc.sources import Batch
from handlers.cdc.time_budget import RESERVE, TimeBudget

logger = logging.getLogger("handlers.cdc")


def process(batch: Batch, function: Callable[[Change], object], *, reserve: float = RESERVE) -> list[str]:
    """Process the messages of a queue, each group in order.

    A message is not done when `function` raised for it, when a message of its group before it failed, or when it was
    not started for lack of time, as in a stream's batch. Messages back off, and are parked at their last attempt, where
    `QUEUE_ATTEMPTS` is set.

    Returns:
        The identifiers of the messages that are not done.

    Raises:
        OutOfTime: Less than `reserve` seconds were left before the first message.
        ValueError: `QUEUE_ATTEMPTS` is not a number of attempts.
    """
    time_budget = TimeBudget(reserve)
    limit = attempts()
    failed: list[int] = []
    pauses: dict[str, int] = {}  # by group, where one has stopped
    groups_with_a_parked_message: set[str] = set()
    done = 0
    for index, message in enumerate(batch.records):
        group = batch.group(index)
        if group in pauses:
            failed.append(index)
            if limit is None:
                warn_of_redrive()
            continue
        if index and not time_budget.allows_another():
            count("TimeBudgetHits")
            logger.warning("time budget spent after %d of %d messages", index, len(batch.records))
            failed += range(index, len(batch.records))
            break
        error = attempt(batch, index, function)
        if error is None:
            done += 1
        elif group not in groups_with_a_parked_message and _given_up(batch, index, error, limit):
            groups_with_a_parked_message.add(group)  # its followers have just got their first attempt
        else:
            failed.append(index)
            pauses[group] = 0 if limit is None else pause(message, limit)
    count("Records", done)
    if limit is not None:
        # Messages that were not started because time ran out may come back at once.
        back_off([(batch.records[index], pauses.get(batch.group(index), 0)) for index in failed])
    return [batch.identifiers[index] for index in failed]


def process_together(batch: Batch, function: Callable[[Sequence[Change]], object]) -> list[str]:
    """Give all changes of a queue's batch to one call.

    The changes succeed or fail together. Their messages back off and are never parked: no one knows which of them
    it was.

    Returns:
        The identifiers of the messages that are not done.

    Raises:
        OutOfTime: Less than `RESERVE` seconds are left.
        ValueError: `QUEUE_ATTEMPTS` is not a number of attempts.
    """
    TimeBudget()
    limit = attempts()
    changes: list[Change] = []
    opened: list[int] = []
    failed: list[int] = []
    for index in range(len(batch.records)):
        try:
            changes.append(batch.change(index))
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a message fails it
            log_failure(batch, index, error)
            failed.append(index)
        else:
            opened.append(index)
    if changes:
        try:
            function(changes)
        except BaseException as error:
            if not fails_the_record(error):
                raise
            log_failed_batch(batch, opened, error)
            failed = sorted([*opened, *failed])
        else:
            count("Records", len(changes))
    if limit is not None:
        back_off([(batch.records[index], pause(batch.records[index], limit)) for index in failed])
    return [batch.identifiers[index] for index in failed]


def _given_up(batch: Batch, index: int, error: BaseException, limit: int | None) -> bool:
    """Park a message that has just failed at its last attempt; `False` when it is to be tried again."""
    if limit is None or not is_last_attempt(batch.records[index], limit):
        return False
    reason = f"failed {limit} times with {type(error).__name__}"
    return parked(batch, index, error, reason, "RetryAttemptsExhausted")
