"""Consumers that take a whole batch in one call, and name the changes of it that failed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, cast

from handlers.cdc.attempt import Work, fails_the_record
from handlers.cdc.change import Change
from handlers.cdc.invocation import current
from handlers.cdc.sources import Batch
from handlers.cdc.unrun import check_it_ran

#: A change of the batch, and what went wrong with it.
Failure = tuple[Change[Any], BaseException]


class SomeFailed(Exception):
    """Raised by a consumer of whole batches: these changes failed, and all others are done.

    Returning the pairs does the same.

    Args:
        failures: Pairs of a change that was given to the function and its error. A `Discard` parks its record, a
            `RetryAfter` puts it off.

    Example:
        raise SomeFailed([(changes[3], RuntimeError("mapper_parsing_exception"))])
    """

    def __init__(self, failures: Iterable[tuple[Change[Any], BaseException]]) -> None:
        self.failures: Sequence[Failure] = list(failures)
        super().__init__(f"{len(self.failures)} changes failed")


class Outcome(NamedTuple):
    """The outcome of one call for several changes.

    Attributes:
        errors: The errors of the changes that are not done, by index.
        as_a_whole: The error of the call, if the changes failed together: no one knows which of them it was.
    """

    errors: dict[int, BaseException]
    as_a_whole: BaseException | None = None


def open_all(
    batch: Batch, work: Work, indexes: Iterable[int]
) -> tuple[dict[int, Change[Any]], dict[int, BaseException]]:
    """Open records.

    Returns:
        The changes that the work is for, by index, and the errors of the records that hold none.
    """
    opened: dict[int, Change[Any]] = {}
    errors: dict[int, BaseException] = {}
    unwanted = 0
    for index in indexes:
        try:
            record = batch.record(index)
            if work.wants is None or work.wants(record):
                opened[index] = Change(record, model=batch.model)
            else:
                unwanted += 1
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a record fails it
            errors[index] = error
    invocation = current()
    if unwanted and invocation is not None:
        invocation.counts["Unwanted"] += unwanted
    return opened, errors


def call_together(work: Work, changes: Mapping[int, Change[Any]]) -> Outcome:
    """Give changes to one call. An error of a call for one change is that change's own."""
    if not changes:
        return Outcome({})
    try:
        try:
            result = work.function(list(changes.values()))
            check_it_ran(work.function, result)
        except SomeFailed as failed:
            result = failed.failures
        return Outcome(_by_index(_pairs(result), changes))
    except BaseException as error:
        if not fails_the_record(error):
            raise
        return Outcome(dict.fromkeys(changes, error), error if len(changes) > 1 else None)


def _pairs(result: object) -> Sequence[Any]:
    # A number or a mapping, say of `Counters.add_all`, names no change.
    return cast("Sequence[Any]", result) if isinstance(result, list | tuple) else ()


def _by_index(failures: Sequence[Any], changes: Mapping[int, Change[Any]]) -> dict[int, BaseException]:
    indexes = {id(change): index for index, change in changes.items()}
    errors: dict[int, BaseException] = {}
    for failure in failures:
        match failure:
            case (Change() as change, BaseException() as error) if id(change) in indexes:
                errors.setdefault(indexes[id(change)], error)
            case None:
                continue  # as from a comprehension of calls that return nothing
            case _:
                raise TypeError(
                    "a consumer of whole batches names what failed by pairs of a change that it was given and an "
                    f"exception, and this one named a {type(failure).__name__}; return None if all are done"
                )
    return errors
