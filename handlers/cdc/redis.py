"""A client of Redis or Valkey that an environment keeps, with time-outs and a password from Secrets Manager.

The driver is redis-py, which the consumer brings (`requirements=`).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Final, TypeVar

from handlers.cdc.clients import lazy_import
from handlers.cdc.invocation import remaining_seconds
from handlers.cdc.secrets import Secret
from handlers.cdc.time_budget import OutOfTime

T = TypeVar("T")

redis = lazy_import("redis")

#: Seconds that connecting and a command may take. A cache that is slower than that is down.
TIMEOUT_SECONDS: Final = 0.5
#: Seconds kept back, so that the batch can still be answered.
ANSWER_SECONDS: Final = 0.3


class Cache:
    """A Redis or Valkey server.

    Args:
        variable: The environment variable that holds the server's URL, e.g. `rediss://cache.example.com:6379/0`,
            without a password.
        password: The password; it is read if its variable is set.

    Example:
        >>> cache = Cache("CACHE_URL", password=Secret("CACHE_PASSWORD_SECRET"))
        >>> cache.variable
        'CACHE_URL'
    """

    def __init__(self, variable: str, *, password: Secret) -> None:
        self.variable = variable
        self.password = password
        self._client: Any = None

    def run(self, work: Callable[[Any], T]) -> T:
        """Run work with the client; a command on a connection that broke is sent once more, on a new one.

        So the work must be safe to repeat, as the guarded writes of a projection are.

        Args:
            work: Called with a client of redis-py.

        Raises:
            OutOfTime: Too little time is left for a command.
            redis.RedisError: The server cannot be reached, or refuses.
        """
        left = remaining_seconds()
        if left is not None and left < TIMEOUT_SECONDS + ANSWER_SECONDS:
            raise OutOfTime("too little time is left for a command of the cache")
        if self._client is None:
            self._client = self._made()
        try:
            return work(self._client)
        except redis.AuthenticationError:
            self.password.forget()  # it may have been rotated
            self._client = None
            raise

    def _made(self) -> Any:
        url = os.environ.get(self.variable)
        if not url:
            raise RuntimeError(f"{self.variable} is not set, so there is no cache to write to")
        return redis.Redis.from_url(
            url,
            password=self.password.value() if os.environ.get(self.password.variable) else None,
            socket_connect_timeout=TIMEOUT_SECONDS,
            socket_timeout=TIMEOUT_SECONDS,
            retry=redis.retry.Retry(redis.backoff.NoBackoff(), 1),
            client_name=os.environ.get("AWS_LAMBDA_FUNCTION_NAME", "weir"),
        )
