"""One execution of a pipe: enrichment, then target, and what the two come to (docs/aws-semantics.md §3.3, §3.5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from aws_semantics.limits import INVOCATION_PAYLOAD_BYTES
from local.engine.pipes.requests import Message
from local.engine.pipes.sources import Source
from local.engine.pipes.targets import Service
from local.engine.streams.outcomes import Failed, Outcome, Rejected, Succeeded, read_answer, read_each
from local.engine.streams.records import json_bytes

#: Seconds that enrichment and target may take together.
EXECUTION_SECONDS = 300


class Refused(Exception):
    """A service did not do what a pipe asked for.

    Attributes:
        service: boto3's name of it.
        status: HTTP status; 0 when there was no answer.
        request_id: As the service gave it, if it did.
        request: What it was asked.
        response: What it answered.
        throttled: Whether it was asked too often.
        internal: Whether the service or the network failed, so that nobody's retry budget is touched (§3.5).
        failed: How the code ended that was asked, where that is known.
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
    """What a service was asked, what it answered, and what that means to the pipe.

    Attributes:
        value: What an enrichment or the code of a target returned; of a queue, topic or bus the events that it did not
            take, as `batchItemFailures`.
    """

    request: Any
    response: Any
    value: Any = None


class Services(Protocol):
    """Calls enrichments and targets."""

    def enrich(
        self, arn: str, service: Service, messages: Sequence[Message], parameters: Mapping[str, Any]
    ) -> Exchange:
        """Ask an enrichment, and wait for its answer.

        Raises:
            Refused: It failed.
        """
        ...

    def send(
        self,
        arn: str,
        service: Service,
        messages: Sequence[Message],
        parameters: Mapping[str, Any],
        *,
        pipe_name: str,
        source: Source,
    ) -> Exchange:
        """Send a batch to a target.

        Raises:
            Refused: It took nothing of it.
        """
        ...


class Trace(Protocol):
    """Is told what one execution does."""

    def step(self, name: str, *, error: Mapping[str, Any] | None = None, **data: Any) -> None:
        """A step was made; `data` are any of `payload`, `awsRequest` and `awsResponse`."""
        ...

    def count(self, name: str, value: float = 1) -> None:
        """A metric has another datapoint."""
        ...


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
