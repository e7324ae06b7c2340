"""The running invocation: how long it may still run, and which record it is at.

The time budget of a batch and the lease of an effect both follow from it, so it is set once, by the consumer. Every
line that is logged meanwhile, by whomever, says which record it is about.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Generator, Mapping
from contextvars import ContextVar
from typing import Any, Protocol

from handlers.cdc.change import Change


class LambdaContext(Protocol):
    """The part of Lambda's context object that this runtime reads."""

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until Lambda ends the invocation."""
        ...


_current: ContextVar[LambdaContext | None] = ContextVar("weir_invocation", default=None)
_change: ContextVar[Change | None] = ContextVar("weir_change", default=None)


@contextlib.contextmanager
def running(context: LambdaContext) -> Generator[None]:
    """Make `context` the current invocation for the block."""
    token = _current.set(context)
    for handler in logging.getLogger().handlers:
        handler.addFilter(_identify)
    try:
        yield
    finally:
        _current.reset(token)
        _change.set(None)


def at(change: Change | None) -> None:
    """Note which change is being processed."""
    _change.set(change)


def remaining_seconds() -> float | None:
    """Seconds until Lambda ends this invocation; `None` outside one."""
    context = _current.get()
    return None if context is None else context.get_remaining_time_in_millis() / 1000


def correlation_id() -> str | None:
    """The id that ties the work at hand to the request that asked for it; `None` outside a record's processing."""
    change = _change.get()
    return None if change is None else change.correlation_id


def identity() -> Mapping[str, Any]:
    """Who the record is that is being processed: what a log line and a parked record say of it."""
    change = _change.get()
    if change is None:
        return {}
    return {
        "eventId": change.event_id,
        "eventName": change.event_name,
        "sequenceNumber": change.sequence_number,
        "table": change.table_name,
        "correlationId": change.correlation_id,
    }


def _identify(line: logging.LogRecord) -> bool:
    # Lambda's JSON log format writes every attribute of the line that is not one of logging's own.
    line.__dict__.update(identity())
    return True
