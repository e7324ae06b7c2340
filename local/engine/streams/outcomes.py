"""What an invocation came to, and how a function's answer is read (docs/aws-semantics.md §2.6, §2.9)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast


@dataclass(frozen=True)
class Succeeded:
    """Every record of the batch is done.

    Attributes:
        state: What the function returned as the tumbling window's state; `None` where there is no window.
    """

    state: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Partial:
    """The first `accepted` records are done, at least one; the others are delivered again.

    Attributes:
        state: As of `Succeeded`.
    """

    accepted: int
    state: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Rejected:
    """Some records failed and all others are done: only these are delivered again, as a new batch.

    This is what a pipe's target comes to whose API takes a batch and answers for each of its entries (§3.5), and what
    comes of messages of a queue.

    Attributes:
        positions: Of the failed records in the batch, ascending: at least one, and not all of them.
    """

    positions: tuple[int, ...]


@dataclass(frozen=True)
class Failed:
    """The batch failed as a whole.

    Attributes:
        function_error: What Lambda says of it: `Unhandled` when the function raised, ended or ran out of time; `None`
            when it answered, but with its first record or with something that is no answer.
        timed_out: Whether it ran out of time.
    """

    function_error: str | None
    timed_out: bool = False


@dataclass(frozen=True)
class Throttled:
    """The function was not run."""


Outcome = Succeeded | Partial | Rejected | Failed | Throttled


def read_answer(answer: Any, identifiers: Sequence[str]) -> Succeeded | Partial | Failed:
    """What a function's answer says of a stream's batch, with ReportBatchItemFailures on.

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
    """What the same answer says of a queue's batch, whose messages do not wait for each other: all others are done.

    >>> read_each({"batchItemFailures": [{"itemIdentifier": "a"}]}, ["a", "b"])
    Rejected(positions=(0,))
    >>> read_each({"batchItemFailures": [{"itemIdentifier": "c"}]}, ["a", "b"])
    Failed(function_error=None, timed_out=False)
    """
    failed = _reported(answer, identifiers)
    if failed is None or len(failed) == len(identifiers):
        return Failed(function_error=None)
    return Rejected(failed) if failed else Succeeded()


def accepted(outcome: Outcome, sent: int) -> int:
    """How many of a batch's records are done by what it came to."""
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
    """What a function that returned has made of a batch.

    Args:
        answer: What it returned.
        identifiers: Of the batch, in order.
        reports: Whether the mapping has ReportBatchItemFailures.
        windowed: Whether it has a tumbling window.
    """
    outcome = read_answer(answer, identifiers) if reports else Succeeded()
    return read_window_answer(answer, outcome) if windowed else outcome


def read_window_answer(answer: Any, outcome: Succeeded | Partial | Failed) -> Succeeded | Partial | Failed:
    """The same answer's outcome where a tumbling window asks for a state as well: without one it is a failure.

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


def _reported(answer: Any, identifiers: Sequence[str]) -> tuple[int, ...] | None:
    """The places of the records that an answer reports, ascending; `None` when it is malformed."""
    failures = answer.get("batchItemFailures") if isinstance(answer, Mapping) else None
    if not failures:
        return ()
    if not isinstance(failures, list):
        return None
    position = {identifier: index for index, identifier in enumerate(identifiers)}
    named: set[int] = set()
    for failure in cast("list[Any]", failures):
        identifier = failure.get("itemIdentifier") if isinstance(failure, Mapping) else None
        if not isinstance(identifier, str) or identifier not in position:
            return None
        named.add(position[identifier])
    return tuple(sorted(named))
