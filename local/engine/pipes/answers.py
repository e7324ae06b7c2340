"""Answers of enrichments and targets, and their outcomes for a batch (docs/aws-semantics.md §3.3, §3.5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from aws_semantics.limits import INVOCATION_PAYLOAD_BYTES
from local.engine.outcomes import Failed, Outcome, Rejected, Succeeded, read_answer, read_each
from local.engine.pipes.requests import PipeEvent
from local.engine.pipes.sources import EventSource
from local.engine.pipes.targets import Service
from local.engine.records import json_bytes

#: Seconds that enrichment and target may take together.
EXECUTION_SECONDS = 300


class Refused(Exception):
    """Error of a service that a pipe called.

    Attributes:
        service: boto3's name of the service.
        status: HTTP status; 0 when there was no answer.
        request_id: The service's request id, if it gave one.
        request: The request.
        response: The service's answer.
        throttled: Whether the service was called too often.
        internal: Whether the service or the network failed, so that no retry is spent (§3.5).
        failed: How the code that was called ended, if that is known.
    """

    def __init__(
        self,
        message: str,
        *,
        service: str,
        status: int,
        request: Any,
        request_id: str = "",
        response: Any = None,
        throttled: bool = False,
        internal: bool = False,
        failed: Failed | None = None,
    ) -> None:
        super().__init__(message)
        self.service = service
        self.status = status
        self.request = request
        self.request_id = request_id
        self.response = response
        self.throttled = throttled
        self.internal = internal
        self.failed = failed


@dataclass(frozen=True)
class Exchange:
    """Request to a service, its answer, and the value of the answer for the pipe.

    Attributes:
        value: The value that an enrichment or the code of a target returned; for a queue, topic or bus the events that
            it did not take, as `batchItemFailures`.
    """

    request: Any
    response: Any
    value: Any = None


class PipeCalls(Protocol):
    """Calls of a pipe to its enrichment and its target."""

    def enrich(
        self, arn: str, service: Service, messages: Sequence[PipeEvent], parameters: Mapping[str, Any]
    ) -> Exchange:
        """Call an enrichment, and wait for its answer.

        Raises:
            Refused: It failed.
        """
        ...

    def send(
        self,
        arn: str,
        service: Service,
        messages: Sequence[PipeEvent],
        parameters: Mapping[str, Any],
        *,
        pipe_name: str,
        source: EventSource,
    ) -> Exchange:
        """Send a batch to a target.

        Raises:
            Refused: It took nothing of it.
        """
        ...


class Trace(Protocol):
    """Log and metrics of one execution."""

    def step(self, name: str, *, error: Mapping[str, Any] | None = None, **data: Any) -> None:
        """Log a step; `data` are any of `payload`, `awsRequest` and `awsResponse`."""
        ...

    def count(self, name: str, value: float = 1) -> None:
        """Add a datapoint to a metric."""
        ...


def enriched(answer: Any) -> list[Any]:
    """Return the events in an enrichment's answer; none when it is empty, and then the target is not called.

    >>> enriched([{}])
    [{}]
    >>> enriched({})
    []
    """
    if isinstance(answer, list):
        return answer
    return [] if answer in (None, "", {}) else [answer]


def too_large(answer: Any) -> Failed | None:
    """Return the failure of an enrichment whose answer has more than 6 MB, else `None`."""
    if json_bytes(answer) > INVOCATION_PAYLOAD_BYTES:
        return Failed(function_error=None)
    return None


def too_many(events: Sequence[Any], target: Service) -> Failed | None:
    """Return the failure of an enrichment that answers more events than the target takes at a time, else `None`."""
    if target.batch is not None and len(events) > target.batch:
        return Failed(function_error=None)
    return None


def read_target(answer: Any, identifiers: Sequence[str], target: Service, source: EventSource) -> Outcome:
    """Read a target's answer to a batch.

    Args:
        answer: The value of the answer; for a queue, topic or bus the entries that failed, as `batchItemFailures`.
        identifiers: The batch's identifiers, by which a pipe names records.
        target: The service that was called.
        source: The batch's source: in a stream, the successors of a failed record wait for it.
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
    """Return the outcome of a batch of which an API refused these entries: only they are sent again.

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
