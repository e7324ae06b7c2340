"""`KinesisDelivery`: how a table's changes in Kinesis reach a consumer, where it differs from a table's own stream."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from components.delivery import StreamDelivery
from components.pipe_delivery import PipeDelivery

#: The positions that a Kinesis stream can be read from (docs/aws-semantics.md §2.1).
KINESIS_STARTING_POSITIONS = ("TRIM_HORIZON", "LATEST", "AT_TIMESTAMP")


@dataclass(frozen=True, kw_only=True)
class KinesisDelivery(StreamDelivery):
    """Settings of the event source mapping of a Kinesis stream: those of a table's stream, and a time to start at.

    Raises:
        InvalidDelivery: As for a `StreamDelivery`; a starting time is missing, superfluous or has no zone; or the
            mapping starts at a time and gives old records up unread.

    Example:
        >>> KinesisDelivery(starting_position="AT_TIMESTAMP")
        Traceback (most recent call last):
        ...
        components.delivery.InvalidDelivery: starting_position=AT_TIMESTAMP without starting_position_timestamp: ...
    """

    starting_position: Literal["TRIM_HORIZON", "LATEST", "AT_TIMESTAMP"] = "TRIM_HORIZON"  # pyright: ignore[reportIncompatibleVariableOverride] - frozen, and one position more
    """Where a new mapping begins: with everything that the stream still keeps, with what comes from now on, or at a
    time. AWS replaces the mapping when it changes (docs/aws-semantics.md §2.1)."""

    starting_position_timestamp: str | None = None
    """The time of `AT_TIMESTAMP` with its zone, e.g. `2026-01-31T08:30:00Z`; not in the future."""

    maximum_record_age_in_seconds: int = -1
    """Age at which a record is given up, 60 to 604,800 seconds, -1 for none. None, because the stream keeps a record
    for up to a year: a consumer that begins in the past would give everything up unread. The retries bound it."""

    @property
    def position(self) -> str:
        """The beginning of a new mapping, in words."""
        return " ".join(filter(None, (self.starting_position, self.starting_position_timestamp)))

    def _position_problems(self) -> Iterator[str]:
        return position_problems(
            self.starting_position, self.starting_position_timestamp, self.maximum_record_age_in_seconds
        )


@dataclass(frozen=True, kw_only=True)
class KinesisPipeDelivery(PipeDelivery):
    """Settings of the pipe of a Kinesis stream: those of a table's stream, and a time to start at.

    Raises:
        InvalidDelivery: As for a `PipeDelivery`, and what `KinesisDelivery` refuses of a starting time.

    Example:
        >>> KinesisPipeDelivery(starting_position="LATEST").position
        'LATEST'
    """

    starting_position: Literal["TRIM_HORIZON", "LATEST", "AT_TIMESTAMP"] = "TRIM_HORIZON"  # pyright: ignore[reportIncompatibleVariableOverride] - frozen, and one position more
    """The beginning of a new pipe, as for a `KinesisDelivery`."""

    starting_position_timestamp: str | None = None
    """The time of `AT_TIMESTAMP` with its zone, e.g. `2026-01-31T08:30:00Z`."""

    maximum_record_age_in_seconds: int = -1
    """Age at which an event is given up, 60 to 604,800 seconds, -1 for none, as for a `KinesisDelivery`."""

    @property
    def position(self) -> str:
        """The beginning of a new pipe, in words."""
        return " ".join(filter(None, (self.starting_position, self.starting_position_timestamp)))

    def _position_problems(self) -> Iterator[str]:
        return position_problems(
            self.starting_position, self.starting_position_timestamp, self.maximum_record_age_in_seconds
        )


def position_problems(given: str, at: str | None, age: int) -> Iterator[str]:
    """Yield what is wrong with where a Kinesis stream is read from.

    Args:
        given: The starting position.
        at: Its time.
        age: The record age at which a record is given up, in seconds.
    """
    if given not in KINESIS_STARTING_POSITIONS:
        yield f"starting_position={given!r} is not one of {', '.join(KINESIS_STARTING_POSITIONS)}"
    elif given == "AT_TIMESTAMP" and at is None:
        yield (
            "starting_position=AT_TIMESTAMP without starting_position_timestamp: AWS refuses the mapping; say the "
            "time, e.g. 2026-01-31T08:30:00Z"
        )
    elif given != "AT_TIMESTAMP" and at is not None:
        yield f"starting_position_timestamp={at!r} is for AT_TIMESTAMP, and starting_position is {given}"
    if at is not None and not _is_time(at):
        yield f"starting_position_timestamp={at!r} is not a time with its zone: write 2026-01-31T08:30:00Z"
    if at is not None and age != -1:
        yield (
            f"maximum_record_age_in_seconds={age} with a starting_position_timestamp: records older than that "
            "would go to the failure destination unread; leave it at -1, the retries bound a failing record"
        )


def _is_time(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False
