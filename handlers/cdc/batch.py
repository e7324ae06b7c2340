"""Ordered processing of one batch of a stream, with partial failures and a time budget.

Lambda rewinds a stream to the *lowest* reported sequence number and delivers everything from there on again
(docs/aws-semantics.md §2.5). So processing stops at the first failure: records processed after it would be processed a
second time, and an older change of an item would be applied after a newer one. There is no concurrency inside a batch
for the same reason; the parallelization factor gives it without losing the order per item.

Queues have other rules: `handlers.cdc.queue_batch`.
"""

from __future__ import annotations

import logging

from handlers.cdc.attempt import Work, attempting, log_failed_batch, settled
from handlers.cdc.invocation import Running
from handlers.cdc.metrics import count
from handlers.cdc.sources import Batch
from handlers.cdc.time_budget import RESERVE, TimeBudget
from handlers.cdc.whole_batch import call_together, open_all

logger = logging.getLogger("handlers.cdc")


def process(batch: Batch, work: Work, invocation: Running, *, reserve: float = RESERVE) -> list[str]:
    """Process the records of a stream in order, up to the first that is not done.

    A record is not done when the function raised for it, or when it was not started: no record is started with less
    time left than the longest one of this invocation took (at least `reserve` seconds), so that a slow batch makes
    progress instead of timing out as a whole.

    Returns:
        The identifier of the first record that is not done; nothing when all are.

    Raises:
        OutOfTime: Less than `reserve` seconds were left before the first record.
    """
    if not batch.records:
        return []
    time_budget = TimeBudget(reserve)
    try_one = attempting(batch, work, invocation)
    for index in range(len(batch.records)):
        if index and not time_budget.allows_another():
            count("TimeBudgetHits")
            logger.warning("time budget spent after %d of %d records", index, len(batch.records))
        elif try_one(index) is None:
            continue
        count("Records", index)
        return [batch.identifiers[index]]
    count("Records", len(batch.records))
    return []


def process_together(batch: Batch, work: Work, invocation: Running) -> list[str]:
    """Give all changes of a stream's batch to one call.

    The changes succeed or fail together, unless the function names those that failed: then the first of them counts. A
    batch that fails as a whole is named by its first record, so that Lambda bisects it; a record that holds no change
    is reported in its place, after the changes before it are done.

    Returns:
        The identifier of the first record that is not done; nothing when all are.

    Raises:
        OutOfTime: Less than `RESERVE` seconds are left.
    """
    TimeBudget()
    opened, unopened = open_all(batch, work, range(len(batch.records)))
    first_unopened = min(unopened, default=len(batch.records))
    changes = {index: change for index, change in opened.items() if index < first_unopened}
    outcome = call_together(work, changes)
    if outcome.as_a_whole is not None:
        log_failed_batch(batch, list(changes), outcome.as_a_whole)
        return [batch.identifiers[min(changes)]]
    for index, error in sorted(outcome.errors.items()):
        invocation.change = changes[index]
        if settled(batch, index, error) is not None:
            count("Records", index)
            return [batch.identifiers[index]]
    if unopened:
        settled(batch, first_unopened, unopened[first_unopened])
    count("Records", first_unopened)
    return [batch.identifiers[first_unopened]] if unopened else []
