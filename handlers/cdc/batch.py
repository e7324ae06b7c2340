"""Ordered processing of one batch of a stream, with partial failures and a time budget.

Lambda rewinds a stream to the *lowest* reported sequence number and delivers everything from there on again
(docs/aws-semantics.md §2.5). So processing stops at the first failure: records processed after it would be processed a
second time, and an older change of an item would be applied after a newer one. There is no concurrency inside a batch
for the same reason; the parallelization factor gives it without losing the order per item.

Queues have other rules: `handlers.cdc.queue_batch`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from handlers.cdc.attempt import attempt, fails_the_record, log_failed_batch, log_failure
from handlers.cdc.change import Change
from handlers.cdc.metrics import count
from handlers.cdc.sources import Batch
from handlers.cdc.time_budget import RESERVE, TimeBudget

logger = logging.getLogger("handlers.cdc")


def process(batch: Batch, function: Callable[[Change], object], *, reserve: float = RESERVE) -> list[str]:
    """Process the records of a stream in order, up to the first that is not done.

    A record is not done when `function` raised for it, or when it was not started: no record is started with less time
    left than the longest one of this invocation took (at least `reserve` seconds), so that a slow batch makes progress
    instead of timing out as a whole.

    Returns:
        The identifier of the first record that is not done; nothing when all are.

    Raises:
        OutOfTime: Less than `reserve` seconds were left before the first record.
    """
    if not batch.records:
        return []
    time_budget = TimeBudget(reserve)
    for index in range(len(batch.records)):
        if index and not time_budget.allows_another():
            count("TimeBudgetHits")
            logger.warning("time budget spent after %d of %d records", index, len(batch.records))
        elif attempt(batch, index, function) is None:
            continue
        count("Records", index)
        return [batch.identifiers[index]]
    count("Records", len(batch.records))
    return []


def process_together(batch: Batch, function: Callable[[Sequence[Change]], object]) -> list[str]:
    """Give all changes of a stream's batch to one call.

    The changes succeed or fail together. A batch that fails is named by its first record, so that Lambda bisects it; a
    record that holds no change is reported in its place, after the changes before it are done.

    Returns:
        The identifier of the first record that is not done; nothing when all are.

    Raises:
        OutOfTime: Less than `RESERVE` seconds are left.
    """
    TimeBudget()
    changes: list[Change] = []
    failed: list[str] = []
    for index, identifier in enumerate(batch.identifiers):
        try:
            changes.append(batch.change(index))
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a record fails it
            log_failure(batch, index, error)
            failed = [identifier]
            break
    if changes:
        try:
            function(changes)
        except BaseException as error:
            if not fails_the_record(error):
                raise
            log_failed_batch(batch, range(len(changes)), error)
            return [batch.identifiers[0]]
        count("Records", len(changes))
    return failed
