"""AWS clients and heavy modules, loaded when they are needed and not when a handler module is imported.

Handler modules are imported at deploy time too, where there is neither boto3 nor a region.
"""

from __future__ import annotations

import functools
import importlib
import os
from typing import Any


class _Lazy:
    """Stands for an object until its first attribute is read."""

    def __init__(self, load: Any) -> None:
        self._load = load

    def __getattr__(self, name: str) -> Any:
        return getattr(self._load(), name)


@functools.cache
def _boto3_client(service: str, attempts: int) -> Any:
    boto3 = importlib.import_module("boto3")
    config = importlib.import_module("botocore.config").Config(
        # botocore's defaults wait 60 s for an answer, longer than most stream functions may run.
        connect_timeout=2,
        read_timeout=5,
        retries={"mode": "standard", "total_max_attempts": attempts},
    )
    return boto3.client(service, config=config)


def client(service: str, *, attempts: int = 3) -> Any:
    """A boto3 client that is safe to make in a handler module.

    Made once per service and process: in Lambda during the init phase, elsewhere at its first use.

    Args:
        service: boto3's name of the service, e.g. `"dynamodb"`.
        attempts: How often a call is tried in all, 1 to 10. Use 1 for calls that are not idempotent, e.g. sending
            an email: a retry inside the client repeats a call whose answer was lost, and the ledger cannot see it.
    """
    load = functools.partial(_boto3_client, service, attempts)
    if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
        return load()
    return _Lazy(load)


def lazy_import(module: str) -> Any:
    """A module that is imported when its first attribute is read."""
    return _Lazy(functools.partial(importlib.import_module, module))
