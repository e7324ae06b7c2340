"""The running invocation: how long it may still run, which consumer it is of, and which record it is at.

The time budget of a batch, the lease of an effect and its namespace all follow from it, so the consumer sets it once.
Every line that is logged meanwhile, by any code, names the record it is about.

Threads that a consumer starts do not inherit it, so in them the environment's only running invocation stands in. Where
several run at once, each keeps its own, and a thread needs `contextvars.copy_context().run` to take it along.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import Counter
from collections.abc import Generator, Mapping
from contextvars import ContextVar
from typing import Any, Protocol

from handlers.cdc.change import Change
from handlers.cdc.clients import renew_connections


class LambdaContext(Protocol):
    """The part of Lambda's context object that this runtime reads."""

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until Lambda ends the invocation."""
        ...


class Running:
    """One invocation that is running.

    Attributes:
        clock: Returns the milliseconds until Lambda ends the invocation; `None` where nothing ends it, e.g. in a test
            that passes no context.
        consumer: Name of the consumer, the namespace of its effects; empty for an invocation without one.
        change: The change that is being processed.
        counts: The metrics so far.
        has_started_an_effect: Whether an effect was started in it.
        ended: Whether it is over.
    """

    __slots__ = ("change", "clock", "consumer", "counts", "ended", "has_started_an_effect", "lock")

    def __init__(self, context: LambdaContext | None, consumer: str) -> None:
        self.clock = None if context is None else context.get_remaining_time_in_millis
        self.consumer = consumer
        self.change: Change[Any] | None = None
        self.counts: Counter[str] = Counter()
        self.has_started_an_effect = False
        self.ended = False
        self.lock = threading.Lock()


_current: ContextVar[Running | None] = ContextVar("weir_invocation", default=None)
_acting_for: ContextVar[str | None] = ContextVar("weir_acting_for", default=None)
#: The invocations of this process that are running; more than one where an environment serves several at once.
_all: list[Running] = []


@contextlib.contextmanager
def running(context: LambdaContext | None, consumer: str = "") -> Generator[Running]:
    """Make `context` the current invocation for the block."""
    renew_connections()
    for handler in logging.getLogger().handlers:
        handler.addFilter(_identify)
    invocation = Running(context, consumer)
    token = _current.set(invocation)
    _all.append(invocation)
    try:
        yield invocation
    finally:
        invocation.ended = True
        _all.remove(invocation)
        _current.reset(token)


def current() -> Running | None:
    """Return the invocation that the calling code belongs to; `None` outside one."""
    invocation = _current.get()
    if invocation is not None and not invocation.ended:
        return invocation
    return _all[0] if len(_all) == 1 else None


@contextlib.contextmanager
def acting_for(consumer: str) -> Generator[None]:
    """Make effects inside the block those of a consumer, e.g. in a script that repeats its work.

    Args:
        consumer: The consumer's name: `@consumer(name=)`, or its module's name with hyphens.

    Example:
        >>> from handlers.cdc import EffectLedger, acting_for
        >>> from handlers.cdc.testing import InMemoryLedger
        >>> store = InMemoryLedger()
        >>> with acting_for("welcome-email"):
        ...     EffectLedger(store=store).once("welcome:u1", str.upper, "welcome!")
        'WELCOME!'
        >>> list(store.items)
        ['welcome-email#welcome:u1']
    """
    token = _acting_for.set(consumer)
    try:
        yield
    finally:
        _acting_for.reset(token)


def acting_consumer() -> str | None:
    """Return the name of the consumer whose work is being done; `None` outside one."""
    named = _acting_for.get()
    if named is not None:
        return named
    invocation = current()
    return None if invocation is None else invocation.consumer or None


def remaining_seconds() -> float | None:
    """Return the seconds until Lambda ends this invocation; `None` outside one."""
    invocation = current()
    return None if invocation is None or invocation.clock is None else invocation.clock() / 1000


def correlation_id() -> str | None:
    """Return the id that ties the work at hand to the request that asked for it; `None` outside a record."""
    invocation = current()
    return None if invocation is None or invocation.change is None else invocation.change.correlation_id


def identity() -> Mapping[str, Any]:
    """Return who the record is that is being processed, for log lines and parked records."""
    invocation = current()
    if invocation is None or invocation.change is None:
        return {}
    change = invocation.change
    return {
        "eventId": change.event_id,
        "eventName": change.event_name,
        "sequenceNumber": change.sequence_number,
        "table": change.table_name,
        "correlationId": change.correlation_id,
    }


def _identify(line: logging.LogRecord) -> bool:
    # Lambda's JSON log format writes every attribute of the line that is not one of logging's own.
    for name, value in identity().items():
        line.__dict__.setdefault(name, value)  # the caller's own `extra` stays
    return True
