"""The end of a stream reader's attempts: the question of `mapping-bounded-retries` and `pipe-bounded-retries`."""

from __future__ import annotations

from collections.abc import Iterator

from aws_semantics.limits import STREAM_MAPPING_RANGES, STREAM_RETENTION_SECONDS
from aws_semantics.retries import retry_horizon
from policies.graph import Stack
from policies.not_applicable import Awaited
from policies.resources import Block, Resource, some, whole
from policies.rule import Violation
from policies.stream_readers import retention_seconds, settings, stream_kind
from policies.wording import named

_RETRIES = STREAM_MAPPING_RANGES["MaximumRetryAttempts"]
_AGE = STREAM_MAPPING_RANGES["MaximumRecordAgeInSeconds"]


def retries_of(block: Block) -> int | None:
    """Read the number of retries; `None` when there is no limit, or none that AWS takes.

    Raises:
        Awaited: It is not known yet.
    """
    retries = block.number("maximumRetryAttempts")
    return int(retries) if retries is not None and 0 <= retries <= _RETRIES.maximum else None


def age_of(block: Block) -> int | None:
    """Read the record age in seconds; `None` when there is no limit, or none that AWS takes.

    Raises:
        Awaited: It is not known yet.
    """
    age = block.number("maximumRecordAgeInSeconds")
    return int(age) if age is not None and age >= _AGE.minimum else None


def check_retries(reader: Resource, stack: Stack) -> Iterator[Violation]:
    """Compare the end of a reader's attempts with the time for which the stream keeps a record."""
    stream_kind(stack, reader)
    block = settings(reader)

    def is_inside(seconds: float | None) -> bool:
        # No stream is kept for less than 24 h, so a shorter time needs no look at the stream.
        return seconds is not None and (
            seconds < STREAM_RETENTION_SECONDS or seconds < retention_seconds(stack, reader)
        )

    def retries_end() -> bool:
        retries = retries_of(block)
        return retries is not None and is_inside(_seconds(retries))

    def age_ends() -> bool:
        return is_inside(age_of(block))

    if some((retries_end, age_ends), lambda ends: ends()):
        return
    retries, age = retries_of(block), age_of(block)
    hours = _hours(stack, reader)
    if retries is not None:
        what = (
            f"{retries} retries take {whole(round(_seconds(retries) / 3600))} h or more, longer than the {hours} h for "
            "which the stream keeps a record"
        )
    elif age is not None:
        what = f"the record age of {age} s is not below the {hours} h for which the stream keeps a record"
    else:
        what = "neither retries nor a record age bound the attempts (retries -1 and no record age, or out of range)"
    yield Violation(
        what=what,
        lost=f"one bad record stops its shard until the stream forgets it, {hours} h after it was written; it never "
        "reaches the failure destination, and the records behind it arrive as late or are gone as well",
        fix=f"set {named('maximumRecordAgeInSeconds')} below {whole(float(hours) * 3600)}, with hours left to replay, "
        f"e.g. {whole(float(hours) * 2700)}, or {named('maximumRetryAttempts')} to what ends in time: 12 retries take "
        "5 to 17 minutes, 100 at least 1.5 hours",
    )


def outlasts_an_outage(reader: Resource, minimum: float) -> Iterator[Violation]:
    """Compare the time that a reader's retries take with the length of an outage in seconds."""
    block = settings(reader)
    retries, age = retries_of(block), age_of(block)
    # An age as long as the stream's memory beside retries is how AWS's own constructs are configured: a decision.
    if retries is None or (age is not None and age >= STREAM_RETENTION_SECONDS):
        return
    seconds = retry_horizon(retries, age).shortest
    if seconds < minimum:
        alone = "" if age is not None else " (throttles and denials spend no retry: only a record age ends those)"
        yield Violation(
            what=f"{retries} retries are spent in {whole(seconds)} s{alone}",
            lost=f"an outage of {whole(minimum)} s of anything that the consumer calls gives up every change written "
            "meanwhile: healthy records end in the failure destination, or nowhere",
            fix=f"set {named('maximumRetryAttempts')} to 12, which takes 5 to 17 minutes, or leave it at -1 and bound "
            f"the attempts by {named('maximumRecordAgeInSeconds')}",
        )


def _hours(stack: Stack, reader: Resource) -> str:
    """Write the stream's retention: at least 24 h, where it is not known."""
    try:
        return whole(retention_seconds(stack, reader) / 3600)
    except Awaited:
        return whole(STREAM_RETENTION_SECONDS / 3600)


def _seconds(retries: int) -> float:
    return retry_horizon(retries, None, retention=_FOR_EVER).shortest


#: Longer than any number of retries takes.
_FOR_EVER = 10**9
