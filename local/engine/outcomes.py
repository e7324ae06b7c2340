"""Outcomes of invocations, and how a function's answer is read (docs/aws-semantics.md §2.6, §2.9)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast


@dataclass(frozen=True)
class Succeeded:
    """Success: every record of the batch is done.

    Attributes:
        state: The tumbling window's state that the function returned; `None` where there is no window.
    """

    state: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Partial:
    """Partial response: the first `accepted` records are done, at least one; the others are delivered again.

    Attributes:
        state: The window's state, as in `Succeeded`.
    """

    accepted: int
    state: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Rejected:
    """Failure of single records: only these are delivered again, as a new batch.

    Targets of a pipe whose API answers for each entry of a batch end like this (§3.5), and so do messages of a queue.

    Attributes:
        positions: Places of the failed records in the batch, ascending: at least one, and not all of them.
    """

    positions: tuple[int, ...]


@dataclass(frozen=True)
class Failed:
    """Failure of the batch as a whole.

    Attributes:
        function_error: Lambda's word: `Unhandled` if the function raised, ended or ran out of time; `None` if it
            answered, but reported the first record or answered something else than AWS reads.
        timed_out: Whether it ran out of time.
    """

    function_error: str | None
    timed_out: bool = False


@dataclass(frozen=True)
class Throttled:
    """Throttle: the function was not run."""


Outcome = Succeeded | Partial | Rejected | Failed | Throttled

#: Words for outcomes in reports and histories; a service error ran the function or not, and its answer was lost.
OutcomeName = Literal["success", "partial", "error", "timeout", "throttled", "service error"]


def name_of(outcome: Outcome) -> OutcomeName:
    """Return the word for an outcome."""
    match outcome:
        case Succeeded():
            return "success"
        case Partial() | Rejected():
            return "partial"
        case Failed(timed_out=timed_out):
            return "timeout" if timed_out else "error"
        case Throttled():
            return "throttled"


def read_answer(answer: Any, identifiers: Sequence[str]) -> Succeeded | Partial | Failed:
    """Read a function's answer to a stream's batch, with ReportBatchItemFailures on.

    A missing list is success; an item that names no record of the batch fails the batch; of several the lowest
    sequence number counts.

    >>> read_answer({"batchItemFailures": [{"itemIdentifier": "12"}, {"itemIdentifier": "11"}]}, ["9", "11", "12"])
    Partial(accepted=1, state=None)
    >>> read_answer(None, ["9"])
    Succeeded(state=None)
    >>> read_answer({"batchItemFailures": [{"itemIdentifier": ""}]}, ["9"])
    Failed(function_error=None, timed_out=False)
    """
    failed = _reported(answer, identifiers)
    if failed is None:
        return Failed(function_error=None)
    if not failed:
        return Succeeded()
    return Partial(failed[0]) if failed[0] else Failed(function_error=None)


def read_each(answer: Any, identifiers: Sequence[str]) -> Succeeded | Rejected | Failed:
    """Read the same answer to a queue's batch, whose messages do not wait for each other: all others are done.

    An item without any `itemIdentifier` is no failure there (ESM-SQS-1).

    >>> read_each({"batchItemFailures": [{"itemIdentifier": "a"}]}, ["a", "b"])
    Rejected(positions=(0,))
    >>> read_each({"batchItemFailures": [{"itemIdentifier": "c"}]}, ["a", "b"])
    Failed(function_error=None, timed_out=False)
    """
    failed = _reported(answer, identifiers, unnamed_fail=False)
    if failed is None or len(failed) == len(identifiers):
        return Failed(function_error=None)
    return Rejected(failed) if failed else Succeeded()


def accepted(outcome: Outcome, sent: int) -> int:
    """Return how many of the records sent are done by an outcome."""
    match outcome:
        case Succeeded():
            return sent
        case Partial(prefix):
            return prefix
        case Rejected(positions):
            return sent - len(positions)
        case _:
            return 0


def read_response(answer: Any, identifiers: Sequence[str], *, reports: bool, windowed: bool) -> Outcome:
    """Read what a function returned for a stream's batch.

    Args:
        answer: The value it returned.
        identifiers: Sequence numbers of the batch, in order.
        reports: Whether the mapping has ReportBatchItemFailures.
        windowed: Whether it has a tumbling window.
    """
    outcome = read_answer(answer, identifiers) if reports else Succeeded()
    return read_window_answer(answer, outcome) if windowed else outcome


def read_window_answer(answer: Any, outcome: Succeeded | Partial | Failed) -> Succeeded | Partial | Failed:
    """Read the same answer where a tumbling window asks for a state as well: without one it is a failure.

    >>> read_window_answer({"state": {"count": 2}}, Succeeded())
    Succeeded(state={'count': 2})
    >>> read_window_answer({}, Succeeded())
    Failed(function_error=None, timed_out=False)
    """
    state = answer.get("state") if isinstance(answer, Mapping) else None
    if not isinstance(state, Mapping):
        return Failed(function_error=None)
    match outcome:
        case Succeeded():
            return Succeeded(state)
        case Partial(accepted):
            return Partial(accepted, state)
        case Failed():
            return outcome


def _reported(answer: Any, identifiers: Sequence[str], *, unnamed_fail: bool = True) -> tuple[int, ...] | None:
    """Return the places of the records that an answer reports, ascending; `None` when it is malformed.

    Args:
        answer: The value that the function returned.
        identifiers: Identifiers of the batch, in order.
        unnamed_fail: Whether an item without `itemIdentifier` is malformed; else it is ignored.
    """
    failures = answer.get("batchItemFailures") if isinstance(answer, Mapping) else None
    if not failures:
        return ()
    if not isinstance(failures, list):
        return None
    position = {identifier: index for index, identifier in enumerate(identifiers)}
    named: set[int] = set()
    for failure in cast("list[Any]", failures):
        if not unnamed_fail and isinstance(failure, Mapping) and "itemIdentifier" not in failure:
            continue
        identifier = failure.get("itemIdentifier") if isinstance(failure, Mapping) else None
        if not isinstance(identifier, str) or identifier not in position:
            return None
        named.add(position[identifier])
    return tuple(sorted(named))
