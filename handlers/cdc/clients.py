"""AWS clients and heavy modules, loaded when they are needed and not when a handler module is imported.

Handler modules are imported at deploy time too, where there is neither boto3 nor a region.
"""

from __future__ import annotations

import functools
import importlib
import os
import threading
from typing import Any

#: Seconds that a call waits for a connection at most.
LONGEST_CONNECT_SECONDS = 2.0

_lock = threading.Lock()
_tried_once: list[Any] = []


class _Lazy:
    """A stand-in for an object until its first attribute is read."""

    def __init__(self, load: Any) -> None:
        self._load = load

    def __getattr__(self, name: str) -> Any:
        return getattr(self._load(), name)


class LazyClient(_Lazy):
    """A stand-in for a boto3 client, as a handler module holds it where it is deployed.

    Attributes:
        service: boto3's name of the service.
    """

    def __init__(self, service: str, load: Any) -> None:
        super().__init__(load)
        self.service = service


@functools.cache
def _session() -> Any:
    # One session: it reads the models of services and looks for credentials once for all clients.
    return importlib.import_module("boto3").session.Session()


@functools.cache
def _made(service: str, attempts: int, timeout: float, _surroundings: tuple[str | None, ...]) -> Any:
    config = importlib.import_module("botocore.config").Config(
        connect_timeout=min(LONGEST_CONNECT_SECONDS, timeout),
        read_timeout=timeout,
        retries={"mode": "standard", "total_max_attempts": attempts},
    )
    return _session().client(service, config=config)


def boto3_client(service: str, attempts: int, timeout: float) -> Any:
    """Return the boto3 client for these arguments, made at the first call."""
    # Tests move from one endpoint to another inside a process; Lambda sets these once.
    names = ("AWS_ENDPOINT_URL", f"AWS_ENDPOINT_URL_{service.upper()}", "AWS_DEFAULT_REGION", "AWS_REGION")
    with _lock:  # sessions are not safe to share between threads
        return _made(service, attempts, timeout, tuple(map(os.environ.get, names)))


def _renewed_client(service: str, attempts: int, timeout: float) -> Any:
    made = boto3_client(service, attempts, timeout)
    if made not in _tried_once:
        _tried_once.append(made)
    return made


def client(service: str, *, attempts: int = 3, timeout: float = 5.0) -> Any:
    """Return a boto3 client that is safe to make in a handler module.

    It is made once per set of arguments and process: in Lambda during the init phase, elsewhere at its first use.

    Args:
        service: boto3's name of the service, e.g. `"dynamodb"`.
        attempts: How often a call is tried in all, 1 to 10. Use 1 for calls that are not idempotent, e.g. sending
            an email: a retry inside the client repeats a call whose answer was lost, and the ledger cannot see it.
            Such a client begins every invocation with new connections: one that the other side closed while the
            environment was frozen would spend the only attempt.
        timeout: Seconds that one attempt waits for an answer, and at most 2 of them for a connection. botocore's
            default of 60 is longer than most functions may run.

    Raises:
        ValueError: `attempts` or `timeout` is out of range.
    """
    if not 1 <= attempts <= 10:
        raise ValueError(f"attempts={attempts} must be 1 to 10")
    if not 0 < timeout <= 900:
        raise ValueError(f"timeout={timeout} must be seconds, above 0 and at most 900, as long as a function may run")
    load = functools.partial(_renewed_client if attempts == 1 else boto3_client, service, attempts, float(timeout))
    if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
        return load()
    return LazyClient(service, load)


def renew_connections() -> None:
    """Close the idle connections of clients that try a call once.

    Lambda freezes an environment between invocations. A connection that the other side closes meanwhile looks open
    afterwards, and the first call on it fails. Clients with more attempts get over that by themselves.
    """
    for made in _tried_once:
        made.close()


def lazy_import(module: str) -> Any:
    """Return a module that is imported when its first attribute is read."""
    return _Lazy(functools.partial(importlib.import_module, module))
