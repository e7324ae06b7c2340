"""`EffectLedger`: a side effect runs once per key, however often its record is delivered.

Streams deliver at least once: a lost answer, a retry or a split batch repeats records that were done
(docs/aws-semantics.md §7). The ledger remembers what was done, under a key that says what the effect *is*
("welcome mail for the pro plan of user 42") and not which record asked for it.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import ParamSpec, Protocol, TypeVar

from handlers.cdc.invocation import remaining_seconds
from handlers.cdc.ledger_table import LedgerTable
from handlers.cdc.metrics import count

P = ParamSpec("P")
R = TypeVar("R")

logger = logging.getLogger("handlers.cdc")

#: Longer than every route that brings a record back: the stream (24 h), an archive, a dead letter kept for a year.
KEEP = timedelta(days=400)
#: What a crashed worker's lease lasts beyond its invocation: clocks of two hosts differ.
LEASE_MARGIN_SECONDS = 1.0
#: The lease where there is no invocation that could end, e.g. in a script.
LEASE_OUTSIDE_LAMBDA_SECONDS = 60.0
#: Kept back from waiting for another worker, so that the batch can still be answered.
WAIT_RESERVE_SECONDS = 1.0
_LONGEST_POLL_SECONDS = 1.0


class EffectInProgress(RuntimeError):
    """Another worker holds this effect, and its lease outlasts the time this invocation has left.

    The record fails and is delivered again; by then the effect is done or its lease is over.
    """


class LedgerStore(Protocol):
    """Where entries live. Every method is one atomic, conditional write."""

    def claim(
        self, key: str, owner: str, *, now_ms: int, lease_until_ms: int, expires_at: int | None
    ) -> tuple[str, int] | None:
        """Take `key` unless somebody has it: `None` when taken, else the entry's status and lease (milliseconds)."""
        ...

    def complete(self, key: str, owner: str, *, expires_at: int | None) -> bool:
        """Mark as done what `owner` claimed; `False` when the claim is no longer its."""
        ...

    def release(self, key: str, owner: str) -> None:
        """Forget what `owner` claimed, if the claim is still its."""
        ...


class EffectLedger:
    """Runs an action at most once per key and crash-free attempt.

    A worker claims the key, runs the action and marks the key as done. An action that raises gives its claim back, so
    the record's retry runs it at once. A worker that dies leaves its claim, which holds until its lease is over: as
    long as its invocation could still have run, plus a second. So an effect is repeated only when a worker dies
    between the action's end and the mark (at least once, and once almost always).

    Making a ledger does no I/O. The table's name comes from `EFFECT_LEDGER_TABLE`, which `access=[ledger.access()]`
    sets in the program.

    Args:
        lease: How long a claim outlives a crash. Default: the running invocation's remaining time plus 1 s.
        keep: How long a done key is remembered, at least 24 hours (what the stream can deliver again).
            Default 400 days; `None` is for ever.
        store: Where entries live; the DynamoDB table by default.
        clock: Seconds since 1970.
        sleep: Waits for a number of seconds.

    Raises:
        ValueError: `keep` is shorter than 24 hours, or `lease` is not positive.

    Example:
        >>> from handlers.cdc import EffectLedger
        >>> from handlers.cdc.testing import InMemoryLedger
        >>> mails = EffectLedger(keep=None, store=InMemoryLedger())
        >>> mails.once("welcome:u1", print, "welcome!")
        welcome!
        >>> mails.once("welcome:u1", print, "welcome!")
    """

    def __init__(
        self,
        *,
        lease: timedelta | None = None,
        keep: timedelta | None = KEEP,
        store: LedgerStore | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if keep is not None and keep < timedelta(hours=24):
            raise ValueError(
                f"keep={keep} is shorter than the 24 hours a stream can deliver a record again: "
                "the effect would be repeated"
            )
        if lease is not None and lease <= timedelta(0):
            raise ValueError(f"lease={lease} must be positive")
        self.lease = lease
        self.keep = keep
        self.store: LedgerStore = LedgerTable() if store is None else store
        self._clock = clock
        self._sleep = sleep

    def once(self, key: str, action: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R | None:
        """Run `action(*args, **kwargs)` unless the effect `key` is done.

        Returns:
            The action's result, or `None` when the effect was done before.

        Raises:
            EffectInProgress: Another worker's claim outlasts this invocation.
            Exception: Whatever the action raises; its claim is given back first.
        """
        owner = uuid.uuid4().hex  # not the request id: retries of a batch share it
        if not self._claim(key, owner):
            count("EffectsSuppressed")
            return None
        try:
            result = action(*args, **kwargs)
        except BaseException:
            self._release(key, owner)
            raise
        if not self.store.complete(key, owner, expires_at=self._expires_at()):
            # The action outlived its lease and somebody else runs or ran it too.
            count("EffectsUncertain")
            logger.warning("effect %s took longer than its lease and may have been repeated", key)
        count("EffectsApplied")
        return result

    def _claim(self, key: str, owner: str) -> bool:
        """Whether the effect is now ours; `False` when it is done already."""
        left = remaining_seconds()
        deadline = self._clock() + (LEASE_OUTSIDE_LAMBDA_SECONDS if left is None else left) - WAIT_RESERVE_SECONDS
        pause = 0.05
        while True:
            now = self._clock()
            held = self.store.claim(
                key,
                owner,
                now_ms=int(now * 1000),
                lease_until_ms=int((now + self._lease_seconds()) * 1000),
                expires_at=self._expires_at(),
            )
            if held is None:
                return True
            status, lease_until_ms = held
            if status == "done":
                return False
            wait = max(min(pause, lease_until_ms / 1000 - now), 0.01)
            if now + wait > deadline:
                raise EffectInProgress(
                    f"effect {key} is held by another worker for {lease_until_ms / 1000 - now:.1f} s more, "
                    f"and {max(deadline - now, 0):.1f} s are left to wait"
                )
            self._sleep(wait)
            pause = min(pause * 2, _LONGEST_POLL_SECONDS)

    def _release(self, key: str, owner: str) -> None:
        try:
            self.store.release(key, owner)
        except Exception:
            logger.warning("claim of effect %s could not be given back, its lease must run out", key, exc_info=True)

    def _lease_seconds(self) -> float:
        if self.lease is not None:
            return self.lease.total_seconds()
        left = remaining_seconds()
        return LEASE_OUTSIDE_LAMBDA_SECONDS if left is None else left + LEASE_MARGIN_SECONDS

    def _expires_at(self) -> int | None:
        return None if self.keep is None else int(self._clock() + self.keep.total_seconds())
