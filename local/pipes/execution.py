"""One execution of a pipe: enrichment, then target, and what the two come to (docs/aws-semantics.md §3.3, §3.5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aws_limits import INVOCATION_PAYLOAD_BYTES
from local.delivery.outcomes import Failed, Outcome, Rejected, Succeeded, read_answer, read_each
from local.delivery.records import json_bytes
from local.pipes.sources import Source
from local.pipes.targets import Service

#: Seconds that enrichment and target may take together.
EXECUTION_SECONDS = 300


def enriched(answer: Any) -> list[Any]:
    """The events that an enrichment's answer stands for; none when it is empty, and then the target is not called.

    >>> enriched([{}])
    [{}]
    >>> enriched({})
    []
    """
    if isinstance(answer, list):
        return answer
    return [] if answer in (None, "", {}) else [answer]


def too_large(answer: Any) -> Failed | None:
    """The failure that an enrichment makes by an answer of more than 6 MB."""
    if json_bytes(answer) > INVOCATION_PAYLOAD_BYTES:
        return Failed(function_error=None)
    return None


def too_many(events: Sequence[Any], target: Service) -> Failed | None:
    """The failure that an enrichment makes by answering with more events than the target takes at a time."""
    if target.batch is not None and len(events) > target.batch:
        return Failed(function_error=None)
    return None


def read_target(answer: Any, identifiers: Sequence[str], target: Service, source: Source) -> Outcome:
    """What the target's answer says of a batch.

    Args:
        answer: What it returned; for a queue, topic or bus the entries that failed, as `batchItemFailures`.
        identifiers: Of the batch, by which a pipe names records.
        target: What was called.
        source: Where the batch is from: what follows a failed record of a stream waits for it.
    """
    if target.answers == "code":
        return read_answer(answer, identifiers) if source.is_stream else read_each(answer, identifiers)
    failures = answer.get("batchItemFailures") if isinstance(answer, Mapping) else None
    named = {str(failure.get("itemIdentifier")) for failure in failures or () if isinstance(failure, Mapping)}
    if target.answers == "entries":
        return rejected(named, identifiers)
    # One event a call: it failed if anything was reported.
    return Failed(function_error=None) if named else Succeeded()


def rejected(named: set[str], identifiers: Sequence[str]) -> Outcome:
    """What it means for a batch that a batch API took some of its entries: only the others are sent again.

    An entry that names no record of the batch, because an enrichment left its `eventID` out, fails all of them.

    >>> rejected({"b"}, ["a", "b", "c"])
    Rejected(positions=(1,))
    >>> rejected({"a"}, ["a"])
    Failed(function_error=None, timed_out=False)
    """
    if not named:
        return Succeeded()
    positions = tuple(index for index, identifier in enumerate(identifiers) if identifier in named)
    if named - set(identifiers) or len(positions) == len(identifiers):
        return Failed(function_error=None)
    return Rejected(positions)
