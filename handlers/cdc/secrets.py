"""Secrets of other services, read from AWS Secrets Manager and kept for some minutes, never in the environment."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from handlers.cdc.bounded_client import BoundedClient

#: Seconds that a value is used before it is read again: a rotated secret holds within five minutes.
CACHED_SECONDS: Final = 300.0


class Secret:
    """A text in Secrets Manager; `secret` makes one.

    Args:
        variable: The environment variable that holds the secret's ARN.
        clock: Returns seconds that never go back.
    """

    def __init__(self, variable: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.variable = variable
        self._clock = clock
        self._client: Any = BoundedClient("secretsmanager")
        self._lock = threading.Lock()
        self._value = ""
        self._until = float("-inf")

    def value(self) -> str:
        """Return the secret's current value, at most five minutes old.

        Raises:
            RuntimeError: The variable is not set.
            botocore.exceptions.ClientError: The function may not read the secret, or there is none.
        """
        with self._lock:
            if self._clock() >= self._until:
                self._value = self._client.get_secret_value(SecretId=self._arn())["SecretString"]
                self._until = self._clock() + CACHED_SECONDS
            return self._value

    def forget(self) -> None:
        """Read the secret again at the next use: the other side has refused it, so it may have been rotated."""
        self._until = float("-inf")

    def _arn(self) -> str:
        arn = os.environ.get(self.variable)
        if not arn:
            raise RuntimeError(f"{self.variable} is not set, so there is no secret to read: give the consumer access")
        return arn


def secret(variable: str) -> Secret:
    """Name a secret in a handler module; nothing is read before its value is used.

    Args:
        variable: The environment variable that holds the secret's ARN, which an access sets.

    Example:
        >>> token = secret("CRM_TOKEN_SECRET")
        >>> token.variable
        'CRM_TOKEN_SECRET'
    """
    return Secret(variable)
