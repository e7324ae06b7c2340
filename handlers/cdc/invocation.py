"""The running invocation: how long it may still run.

The time budget of a batch and the lease of an effect both follow from it, so it is set once, by the consumer.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from contextvars import ContextVar
from typing import Protocol


class LambdaContext(Protocol):
    """The part of Lambda's context object that this runtime reads."""

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until Lambda ends the invocation."""
        ...


_current: ContextVar[LambdaContext | None] = ContextVar("weir_invocation", default=None)


@contextlib.contextmanager
def running(context: LambdaContext) -> Generator[None]:
    """Make `context` the current invocation for the block."""
    token = _current.set(context)
    try:
        yield
    finally:
        _current.reset(token)


def remaining_seconds() -> float | None:
    """Seconds until Lambda ends this invocation; `None` outside one."""
    context = _current.get()
    return None if context is None else context.get_remaining_time_in_millis() / 1000
