"""The report of a simulated run, version 1 (docs/simulate.md)."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from local.engine.actions import GiveUp, Invoke, Lose
from local.engine.outcomes import Failed, Outcome, Partial, Rejected, Succeeded, Throttled, name_of
from local.engine.records import Record
from local.engine.streams.documents import failure_document, object_key, pipe_failure_document

#: Metrics that the report sums, and those that it sums for a queue alone.
_SUMS = (
    "PolledEventCount",
    "FilteredOutEventCount",
    "InvokedEventCount",
    "FailedInvokeEventCount",
    "DroppedEventCount",
    "OnFailureDestinationDeliveredEventCount",
    "Errors",
    "Throttles",
    "DestinationDeliveryFailures",
)
_QUEUE_SUMS = ("DeletedEventCount",)


@dataclass(frozen=True, slots=True)
class Happening:
    """Entry of one of the report's lists, in the order of the run.

    Attributes:
        kind: The name of the list.
        entry: The entry in that list.
        shard: The shard of its records.
        identifiers: The identifiers of its records; none in a window's final call.
        done: The identifiers that an invocation finished.
        log: Records that an execution of a pipe wrote into its log.
    """

    kind: Literal["invocations", "onFailure", "dropped"]
    entry: dict[str, Any]
    shard: str
    identifiers: Sequence[str]
    done: Sequence[str] = ()
    log: Sequence[Mapping[str, Any]] = ()


class Identifiers:
    """Generator of UUIDs, the same ones in every run."""

    def __init__(self) -> None:
        self._random = random.Random(0)  # noqa: S311 - reproducible on purpose

    def next(self) -> uuid.UUID:
        """Return another UUID."""
        return uuid.UUID(int=self._random.getrandbits(128), version=4)


class Report:
    """Collects everything that happens in a simulation.

    Args:
        starts_at: When it starts, in seconds since 1970: the report's times count from there.
        document: Makes the document that the destination receives of records that were given up, and its key in S3;
            a queue has none.
    """

    def __init__(
        self, *, starts_at: float, document: Callable[[GiveUp, float], tuple[dict[str, Any], str | None]] | None = None
    ) -> None:
        self._starts_at = starts_at
        self._document = document
        self._sums = dict.fromkeys(_SUMS if document is not None else _SUMS + _QUEUE_SUMS, 0)
        self._maximum_age = 0
        self._invocations: list[dict[str, Any]] = []
        self._on_failure: list[dict[str, Any]] = []
        self._dropped: list[dict[str, Any]] = []
        self._filtered_out: list[str] = []
        self._log: list[Mapping[str, Any]] = []
        #: The whole run, in order.
        self.timeline: list[Happening] = []
        #: Rules of the scenario that applied to no call, such as `handler.0`.
        self.never_applied: list[str] = []
        #: The report itself, once `finish` was called.
        self.document: dict[str, Any] = {}

    def count(self, name: str, value: float) -> None:
        """Add to a metric."""
        if name in self._sums:
            self._sums[name] += int(value)

    def log(self, record: Mapping[str, Any]) -> None:
        """Add a record of a pipe's log; the execution's `invoked` follows."""
        self._log.append(record)

    def invoked(self, invoke: Invoke, outcome: Outcome, now: float, *, since: float | None = None) -> None:
        """Add an invocation; its age counts from `since`, or from the last record's arrival."""
        if since is None:
            since = invoke.records[-1].arrived if invoke.records else now
        age = _milliseconds(now - since)
        self._maximum_age = max(self._maximum_age, age)
        identifiers = _identifiers(invoke.records)
        entry = {
            "t": self._t(now),
            "shard": invoke.shard_id,
            "lane": invoke.lane,
            "requestId": invoke.request_id,
            "attempt": invoke.attempt,
            "identifiers": identifiers,
            "outcome": name_of(outcome),
            "iteratorAgeMs": age,
        }
        self._invocations.append(entry)
        log, self._log = self._log, []
        done = _done(identifiers, outcome)
        self.timeline.append(Happening("invocations", entry, invoke.shard_id, identifiers, done, log))

    def gave_up(self, given_up: GiveUp, delivered: bool | None, now: float) -> None:
        """Add records that were given up."""
        if delivered is not None and self._document is not None:
            body, key = self._document(given_up, now)
            entry: dict[str, Any] = {"t": self._t(now), "body": body}
            if key is not None:
                entry["key"] = key
            entry["delivered"] = delivered
            self._on_failure.append(entry)
            self.timeline.append(Happening("onFailure", entry, given_up.shard_id, _identifiers(given_up.records)))
        if not delivered:
            self._drop(given_up.shard_id, _identifiers(given_up.records), given_up.condition, now)

    def lost(self, lose: Lose, now: float) -> None:
        """Add records that the stream has forgotten."""
        self._drop(lose.shard_id, _identifiers(lose.records), "retention", now)

    def expired(self, queue: str, identifiers: Sequence[str], now: float) -> None:
        """Add messages that a queue deleted because their retention was over."""
        self._drop(queue, identifiers, "retention", now)

    def redriven(self, queue: str, identifier: str, body: dict[str, Any], now: float) -> None:
        """Add a message that a queue moved to its dead-letter queue, where it has this body."""
        entry = {"t": self._t(now), "body": body, "delivered": True}
        self._on_failure.append(entry)
        self.timeline.append(Happening("onFailure", entry, queue, [identifier]))

    def filtered_out(self, records: Iterable[Record]) -> None:
        """Add records that no filter matched."""
        self._filtered_out += _identifiers(records)

    def finish(self, *, checkpoints: dict[str, str | None], unfinished: Iterable[str]) -> None:
        """Make the report, after everything has happened."""
        self.document = {
            "version": 1,
            "invocations": self._invocations,
            "onFailure": self._on_failure,
            "dropped": self._dropped,
            "filteredOut": self._filtered_out,
            "metrics": {**self._sums, "maximumIteratorAgeMs": self._maximum_age},
            "checkpoints": checkpoints,
            "unfinished": list(unfinished),
        }

    def _drop(self, shard: str, identifiers: Sequence[str], reason: str, now: float) -> None:
        if identifiers:
            entry = {"t": self._t(now), "identifiers": list(identifiers), "reason": reason}
            self._dropped.append(entry)
            self.timeline.append(Happening("dropped", entry, shard, identifiers))

    def _t(self, now: float) -> float:
        return round(now - self._starts_at, 6)


def mapping_documents(
    *, function_arn: str, stream_arn: str, destination: str | None, identifiers: Identifiers
) -> Callable[[GiveUp, float], tuple[dict[str, Any], str | None]]:
    """Return the maker of an event source mapping's documents."""
    to_s3 = destination is not None and destination.split(":")[2] == "s3"
    mapping_uuid = str(identifiers.next())

    def document(given_up: GiveUp, now: float) -> tuple[dict[str, Any], str | None]:
        key = (
            object_key(mapping_uuid=mapping_uuid, shard_id=given_up.shard_id, now=now, unique=identifiers.next())
            if to_s3
            else None
        )
        body = failure_document(
            given_up,
            now=now,
            function_arn=function_arn,
            stream_arn=stream_arn,
            shard_id=given_up.shard_id,
            payload=to_s3,
        )
        return body, key

    return document


def pipe_documents(*, pipe_arn: str, stream_arn: str) -> Callable[[GiveUp, float], tuple[dict[str, Any], str | None]]:
    """Return the maker of a pipe's documents."""

    def document(given_up: GiveUp, now: float) -> tuple[dict[str, Any], str | None]:
        body = pipe_failure_document(
            given_up, now=now, pipe_arn=pipe_arn, stream_arn=stream_arn, shard_id=given_up.shard_id
        )
        return body, None

    return document


def _done(identifiers: Sequence[str], outcome: Outcome) -> Sequence[str]:
    match outcome:
        case Succeeded():
            return identifiers
        case Partial(accepted):
            return identifiers[:accepted]
        case Rejected(positions):
            return [each for index, each in enumerate(identifiers) if index not in positions]
        case Failed() | Throttled():
            return ()


def _identifiers(records: Iterable[Record]) -> list[str]:
    return [record.identifier for record in records]


def _milliseconds(seconds: float) -> int:
    return max(0, round(seconds * 1000))
