"""One attempt at one record: process it, park it, or report the error it failed with."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence

from handlers.cdc.change import Change
from handlers.cdc.discard import Discard, park
from handlers.cdc.invocation import at, identity
from handlers.cdc.metrics import count
from handlers.cdc.sources import Batch

logger = logging.getLogger("handlers.cdc")


def attempt(batch: Batch, index: int, function: Callable[[Change], object]) -> BaseException | None:
    """Process one record.

    Returns:
        The error that it failed with; `None` when it is done or parked.
    """
    at(None)
    try:
        change = batch.change(index)
        at(change)
        function(change)
    except Discard as discarded:
        if parked(batch, index, discarded, discarded.reason, discarded.condition):
            return None
        return discarded
    except BaseException as error:
        if not fails_the_record(error):
            raise
        log_failure(batch, index, error)
        return error
    return None


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
    count("Failures")
    first = batch.identifiers[indexes[0]]
    logger.error("%d records of %s failed, from %s on", len(indexes), batch.source.name, first, exc_info=error)


def parked(batch: Batch, index: int, error: BaseException, reason: str, condition: str) -> bool:
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
