"""One execution of a pipe: enrichment, then target, and what the two come to (docs/aws-semantics.md §3.3, §3.5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from local.delivery.outcomes import Failed, Outcome, Succeeded, read_answer
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


def too_many(events: Sequence[Any], target: Service) -> Failed | None:
    """The failure that an enrichment makes by answering with more events than the target takes at a time."""
    if target.batch is not None and len(events) > target.batch:
        return Failed(function_error=None)
    return None


def read_target(answer: Any, identifiers: Sequence[str], target: Service) -> Outcome:
    """What the target's answer says of a batch.

    Args:
        answer: What it returned; for a queue, topic or bus the entries that failed, as `batchItemFailures`.
        identifiers: Event IDs of the batch, which is how a pipe names records.
        target: What was called.
    """
    if target.reports_items:
        return read_answer(answer, identifiers)
    # One event a call: it failed if anything was reported.
    reported = isinstance(answer, Mapping) and bool(answer.get("batchItemFailures"))
    return Failed(function_error=None) if reported else Succeeded()
