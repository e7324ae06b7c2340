"""Shortens a run's timeline: long runs of equal attempts are cut to their ends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from local.simulation.report import Happening

#: Invocations in a row that are alike and shown: retries of a batch can be thousands.
_ALIKE = 6


@dataclass(frozen=True, slots=True)
class MoreLikeThese:
    """Attempts that were left out: they differ only in time from the one before and the one after.

    Attributes:
        count: Their number.
        last: The last of them.
    """

    count: int
    last: Happening


def shortened(timeline: Sequence[Happening]) -> Iterator[Happening | MoreLikeThese]:
    """Yield everything that happened, in order, with long runs of equal attempts cut to their ends."""
    for _, group in groupby(timeline, key=_without_time):
        alike = list(group)
        if len(alike) <= _ALIKE:
            yield from alike
        else:
            yield from alike[: _ALIKE - 2]
            yield MoreLikeThese(len(alike) - _ALIKE + 1, alike[-2])
            yield alike[-1]


def colour_of(happening: Happening) -> str:
    """Return the name of what became of the records that an invocation did not finish: an outcome, or their end."""
    match happening.kind:
        case "invocations":
            return happening.entry["outcome"]
        case "onFailure" if "messageId" in happening.entry["body"]:
            return "redriven"
        case "onFailure":
            return "letter" if happening.entry["delivered"] else "dropped"
        case "dropped":
            return "dropped"


def why_given_up(body: Mapping[str, Any]) -> str:
    """Return the reason in a dead letter; for a message, how often it was received."""
    if "messageId" in body:
        return f"received {body['attributes']['ApproximateReceiveCount']} times"
    return body.get("requestContext", body.get("context", {}))["condition"]


def _without_time(happening: Happening) -> tuple[Any, ...]:
    if happening.kind != "invocations":
        return happening.kind, id(happening)
    return happening.kind, happening.entry["requestId"], happening.entry["outcome"]
