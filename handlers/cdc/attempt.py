"""One attempt at one record: process it, park it, or report the error it failed with."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from handlers.cdc.change import Change
from handlers.cdc.discard import Discard, park
from handlers.cdc.invocation import Running, identity
from handlers.cdc.metrics import count
from handlers.cdc.retry_after import RetryAfter
from handlers.cdc.sources import Batch, holds_a_change
from handlers.cdc.time_budget import OutOfTime
from handlers.cdc.unrun import check_it_ran

logger = logging.getLogger("handlers.cdc")

#: `requestContext.condition` of a message that was parked because its attempts are used up.
EXHAUSTED: Final = "RetryAttemptsExhausted"
#: The same for one that was put off until it was too old.
TOO_OLD: Final = "RecordAgeExceeded"


class Work(NamedTuple):
    """The work of a consumer.

    Attributes:
        function: Called with a change, or with a sequence of them if the consumer takes whole batches.
        wants: Returns whether the work is for a record; `None` if it is for every one.
    """

    function: Callable[[Any], object]
    wants: Callable[[Mapping[str, Any]], bool] | None = None


def attempting(batch: Batch, work: Work, invocation: Running) -> Callable[[int], BaseException | None]:
    """Return a function that processes one record of a batch, given its index.

    It returns the error that the record failed with; `None` when it is done or parked. The loop over a batch spends
    most of its time here, so what is the same for all records is looked up once.
    """
    records, model = batch.records, batch.model
    function, wants = work.function, work.wants
    is_plain = not batch.source.is_wrapped and batch.origin is None

    def attempt(index: int) -> BaseException | None:
        invocation.change = None
        try:
            record = records[index]
            if not is_plain or not holds_a_change(record):
                record = batch.record(index)
            if wants is not None and not wants(record):
                invocation.counts["Unwanted"] += 1
                return None
            invocation.change = change = Change(record, model=model)
            result = function(change)
            if result is not None:
                check_it_ran(function, result)
        except BaseException as error:
            if not fails_the_record(error):
                raise
            return settled(batch, index, error)
        return None

    return attempt


def settled(batch: Batch, index: int, error: BaseException) -> BaseException | None:
    """Park a record that was discarded, and log one that failed.

    Returns:
        The error, if the record is to be delivered again; `None` when it is parked.
    """
    if isinstance(error, Discard):
        return None if parked(batch, index, error, error.reason, error.condition) else error
    identifier, name = batch.identifiers[index], batch.source.name
    if isinstance(error, RetryAfter):
        count("PutOff")
        logger.warning("record %s of %s is put off: %s", identifier, name, error)
    elif isinstance(error, OutOfTime):
        count("TimeBudgetHits")
        logger.warning("record %s of %s was not finished: %s", identifier, name, error)
    else:
        log_failure(batch, index, error)
    return error


def fails_the_record(error: BaseException) -> bool:
    """Return whether an error concerns the record at hand, and not the whole process.

    A cancelled task of asyncio is an error of the record, though `CancelledError` is no `Exception`. The class is
    looked up where asyncio was imported already: without it no one can have raised one.
    """
    asyncio = sys.modules.get("asyncio.exceptions")
    return isinstance(error, Exception) or (asyncio is not None and isinstance(error, asyncio.CancelledError))


def log_failure(batch: Batch, index: int, error: BaseException) -> None:
    """Count and log an error by the record's identity: its content is personal data, and logs are kept."""
    count("Failures")
    logger.error("record %s of %s failed", batch.identifiers[index], batch.source.name, exc_info=error)


def log_failed_batch(batch: Batch, indexes: Sequence[int], error: BaseException) -> None:
    """Count and log an error of records that failed together."""
    first = batch.identifiers[indexes[0]]
    if isinstance(error, RetryAfter | OutOfTime):
        count("PutOff" if isinstance(error, RetryAfter) else "TimeBudgetHits")
        logger.warning("%d records of %s, from %s on: %s", len(indexes), batch.source.name, first, error)
        return
    count("Failures")
    logger.error("%d records of %s failed, from %s on", len(indexes), batch.source.name, first, exc_info=error)


def parked(batch: Batch, index: int, error: BaseException | None, reason: str, condition: str) -> bool:
    """Park a record.

    Returns:
        `False` when that failed, so that the record must be delivered again.
    """
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
