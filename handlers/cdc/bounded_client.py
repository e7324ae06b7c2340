"""Clients whose calls end before the invocation does, however slow or busy the other side is.

A call that outlasts the invocation takes the whole batch down with it: Lambda ends the function, and the records that
were done are repeated. So the time-out and the number of attempts of each call follow the time that is left.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable
from typing import Any, Final

from handlers.cdc.clients import LONGEST_CONNECT_SECONDS, boto3_client
from handlers.cdc.invocation import remaining_seconds
from handlers.cdc.time_budget import OutOfTime

#: Attempts of a call in all.
ATTEMPTS: Final = 5
#: Seconds kept back, so that the batch can still be answered after a call that got no answer.
ANSWER_SECONDS: Final = 0.3
#: Seconds that an attempt may wait for an answer; a client is made for each that is used.
TIMEOUTS: Final = (5.0, 2.0, 1.0, 0.5, 0.25, 0.1)
#: Seconds of the longest pause between attempts.
LONGEST_PAUSE_SECONDS: Final = 1.0
_FIRST_PAUSE_SECONDS: Final = 0.05

#: Errors of AWS's services that say "too much at once", and pass.
_BUSY: Final = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
        "ReplicatedWriteConflictException",
    }
)


class BoundedClient:
    """A boto3 client of one service; its operations have boto3's names and arguments.

    An operation is tried up to five times and must be safe to repeat: the answer of an attempt may be lost. Outside an
    invocation nothing bounds its time but the attempts and the time-outs.

    An operation raises `OutOfTime` before its first attempt if too little time is left for one, and else the error of
    its last attempt.
    """

    def __init__(self, service: str) -> None:
        self._service = service
        if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
            self._client(TIMEOUTS[0])  # in the init phase

    def __getattr__(self, operation: str) -> Any:
        if operation == "exceptions":
            return self._client(TIMEOUTS[0]).exceptions
        return functools.partial(self._call, operation)

    def _client(self, timeout: float) -> Any:
        return boto3_client(self._service, 1, timeout)

    def _call(self, operation: str, **parameters: Any) -> Any:
        last: Exception | None = None
        for attempt in range(ATTEMPTS):
            timeout = _timeout()
            if timeout is None:
                raise last or OutOfTime(f"too little time is left for a call of {self._service}:{operation}")
            call: Callable[..., Any] = getattr(self._client(timeout), operation)
            try:
                return call(**parameters)
            except Exception as error:
                if not is_transient(error) or attempt == ATTEMPTS - 1:
                    raise
                last = error
            pause = min(_FIRST_PAUSE_SECONDS * 2**attempt, LONGEST_PAUSE_SECONDS) * _between_a_half_and_one()
            left = remaining_seconds()
            if left is not None and pause + ANSWER_SECONDS > left:
                raise last
            time.sleep(pause)
        raise AssertionError


def _between_a_half_and_one() -> float:
    # Rivals must not meet again. The module `random` costs more to import than all of this file.
    return 0.5 + os.urandom(1)[0] / 510


def _timeout() -> float | None:
    """Return the longest time-out that fits into the time left; `None` if none does."""
    left = remaining_seconds()
    if left is None:
        return TIMEOUTS[0]
    for timeout in TIMEOUTS:
        if min(timeout, LONGEST_CONNECT_SECONDS) + timeout + ANSWER_SECONDS <= left:
            return timeout
    return None


def is_transient(error: Exception) -> bool:
    """Return whether the same call may succeed a moment later: the service is busy or down, or no answer came."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return status >= 500 or status == 429 or response.get("Error", {}).get("Code") in _BUSY
    # botocore's errors without an answer of the service: connections that failed, and time-outs.
    return any(kind.__name__ in ("HTTPClientError", "ConnectionError") for kind in type(error).__mro__)
