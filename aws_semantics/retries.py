"""The waits between the retries of a failing record, and how long they last in all.

AWS does not document its back-off: the observed waits double from 0.25 s, and their cap is not known
(docs/aws-semantics.md §2.5). Throttles, denials and other errors of Lambda itself spend no retry, so that a record
which meets only these is bounded by its age alone.
"""

from __future__ import annotations

from typing import NamedTuple

from aws_semantics.limits import BACK_OFF_CAP_SECONDS, BACK_OFF_FIRST_SECONDS, STREAM_RETENTION_SECONDS


class RetryHorizon(NamedTuple):
    """Seconds that the retries of one failing record take in all, without the time that the function itself runs.

    Attributes:
        shortest: With the shortest cap of the waits that fits the observations, 60 s.
        longest: Without a cap.
    """

    shortest: float
    longest: float


def back_off(failures: int) -> float:
    """Compute the seconds to wait after so many failures of a batch in a row.

    Example:
        >>> [back_off(failures) for failures in (1, 2, 3, 9, 10_000)]
        [0.25, 0.5, 1.0, 60.0, 60.0]
    """
    # The exponent is bounded: a float overflows at 2**1024, and endless retries get there.
    return min(BACK_OFF_FIRST_SECONDS * 2.0 ** min(failures - 1, 32), BACK_OFF_CAP_SECONDS)


def retry_horizon(retries: int, age: int | None, *, retention: int = STREAM_RETENTION_SECONDS) -> RetryHorizon:
    """Compute how long a record that fails at once every time is retried before it is given up.

    Args:
        retries: MaximumRetryAttempts, -1 for no limit.
        age: MaximumRecordAgeInSeconds; -1 or `None` for no limit.
        retention: Seconds that the stream keeps a record: no retry outlasts it.

    Example:
        >>> retry_horizon(3, -1)
        RetryHorizon(shortest=1.75, longest=1.75)
        >>> retry_horizon(12, 64_800)
        RetryHorizon(shortest=303.75, longest=1023.75)
        >>> retry_horizon(10_000, -1)
        RetryHorizon(shortest=86400.0, longest=86400.0)
    """
    limit = float(retention if age is None or age == -1 else min(age, retention))
    if retries == -1:
        return RetryHorizon(limit, limit)
    # One of the doubling waits reaches any limit long before this many.
    doubling = BACK_OFF_FIRST_SECONDS * (2.0 ** min(retries, 64) - 1)
    uncapped = [back_off(number) for number in range(1, min(retries, _CAPPED_FROM) + 1)]
    capped = sum(uncapped) + max(retries - _CAPPED_FROM, 0) * BACK_OFF_CAP_SECONDS
    return RetryHorizon(min(capped, limit), min(doubling, limit))


#: From this retry on the waits are as long as their cap.
_CAPPED_FROM = next(number for number in range(1, 64) if back_off(number) == BACK_OFF_CAP_SECONDS)
