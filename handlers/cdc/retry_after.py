"""`RetryAfter`: the record cannot be processed now, and the other side says when it can."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Final

#: Longest visibility timeout of a message, counted from its receive (Amazon SQS API Reference,
#: ChangeMessageVisibility).
LONGEST_HIDDEN_SECONDS: Final = 12 * 60 * 60
#: How old a record may be that is put off; as the default record age of a stream's delivery.
LONGEST_AGE_SECONDS: Final = 18 * 60 * 60


class RetryAfter(Exception):
    """Raised by a consumer: try this record again, but not before this many seconds have passed.

    On a queue the message, and with it its FIFO group, is hidden for that long, at most 12 hours. It counts as no
    attempt: a message may be put off until it is 18 hours old, and then it is parked. A stream cannot wait for one
    record alone, so there the record fails and Lambda's own back-off applies; a pipe does as its source does.

    Inside an at-most-once effect it says like `NotApplied` that nothing has happened yet.

    Args:
        seconds: The pause in seconds, e.g. the value of a `Retry-After` header, or a `timedelta`. 0 is at once.

    Raises:
        ValueError: `seconds` is negative or not a number.

    Attributes:
        seconds: The pause in whole seconds, rounded up.
    """

    def __init__(self, seconds: float | timedelta) -> None:
        number = seconds.total_seconds() if isinstance(seconds, timedelta) else seconds
        if isinstance(number, str) or not math.isfinite(number) or number < 0:
            raise ValueError(f"RetryAfter({seconds!r}) must be a number of seconds from 0 up, or a timedelta")
        self.seconds = math.ceil(number)
        super().__init__(f"to be tried again after {self.seconds} s")
