"""Retries of a target, as EventBridge rules and the Scheduler make them (docs/aws-semantics.md §10.3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

#: AWS says how long it tries and how often, 185 times in 24 hours, and not when. Pauses double from a second up
#: to this, at which 185 of them take a day.
_LONGEST_PAUSE_SECONDS = 480.0

Condition = Literal["MaximumRetryAttempts", "MaximumEventAgeInSeconds"]


@dataclass(frozen=True)
class RetryPolicy:
    """How long an event is tried.

    Attributes:
        attempts: Retries at most, 0 to 185.
        seconds: Age of the event at most, 60 to 86,400.
    """

    attempts: int = 185
    seconds: int = 86_400

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> RetryPolicy:
        """Read AWS's RetryPolicy; members that are missing have their defaults."""
        return cls(given.get("MaximumRetryAttempts", 185), given.get("MaximumEventAgeInSeconds", 86_400))

    def exhausted(self, retries: int, age: float) -> Condition | None:
        """Return why an event that was tried once and then `retries` times is given up; `None` if it is not.

        >>> RetryPolicy(attempts=0).exhausted(0, 1.0), RetryPolicy().exhausted(3, 90_000.0)
        ('MaximumRetryAttempts', 'MaximumEventAgeInSeconds')
        """
        if retries >= self.attempts:
            return "MaximumRetryAttempts"
        return "MaximumEventAgeInSeconds" if age >= self.seconds else None


def pause(retries: int) -> float:
    """Return the seconds until the next retry, after so many.

    >>> [pause(each) for each in (0, 1, 5, 100)]
    [1.0, 2.0, 32.0, 480.0]
    """
    return min(2.0 ** min(retries, 20), _LONGEST_PAUSE_SECONDS)


def is_retried(status: int) -> bool:
    """Return whether EventBridge tries again after a status of an API destination (EVB-2).

    >>> [status for status in (400, 401, 403, 404, 407, 408, 409, 410, 422, 429, 500, 503) if is_retried(status)]
    [401, 407, 409, 429, 500, 503]
    """
    return status in (401, 407, 409, 429) or status >= 500
