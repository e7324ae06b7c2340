"""`EffectLedger`: a side effect runs once per key, however often its record is delivered.

Streams deliver at least once: a lost answer, a retry or a split batch repeats records that were done
(docs/aws-semantics.md §7). The ledger remembers what was done, under a key that says what the effect *is*
("welcome mail for the pro plan of user 42") and not which record asked for it.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Literal, ParamSpec, Protocol, TypeVar, get_args

from handlers.cdc.discard import Discard
from handlers.cdc.invocation import remaining_seconds
from handlers.cdc.ledger_table import Entry, LedgerTable, Status
from handlers.cdc.metrics import count

P = ParamSpec("P")
R = TypeVar("R")
Mode = Literal["at_least_once", "at_most_once"]

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
#: A stored result is paid for with every later write of its entry.
LONGEST_RESULT_BYTES = 32 * 1024


class EffectInProgress(RuntimeError):
    """Another worker holds this effect, and its lease outlasts the time this invocation has left.

    The record fails and is delivered again; by then the effect is done or its lease is over.
    """


class EffectUncertain(Discard):
    """Nobody can say whether an at-most-once effect happened, so it is not repeated: its record is parked.

    Whoever finds the record looks whether the effect is there. If not, the effect's entry in the ledger is deleted
    and the record replayed.
    """

    condition = "EffectUncertain"


class NotApplied(Exception):
    """Raised by an at-most-once action: nothing has happened yet, e.g. it was throttled, so it may be tried again."""


class LedgerStore(Protocol):
    """Where entries live. Every method is one atomic, conditional write."""

    def claim(
        self, key: str, owner: str, *, now_ms: int, lease_until_ms: int, expires_at: int | None, take_over: bool
    ) -> Entry | None:
        """Take `key` unless somebody has it: `None` when taken, else the entry there is.

        `take_over` is whether a claim whose lease is over may be taken from its owner.
        """
        ...

    def settle(self, key: str, owner: str, *, status: Status, expires_at: int | None, result: str | None) -> bool:
        """Mark what `owner` claimed as done or uncertain; `False` when the claim is no longer its."""
        ...

    def release(self, key: str, owner: str) -> None:
        """Forget what `owner` claimed, if the claim is still its."""
        ...


class EffectLedger:
    """Runs an action once per key, whatever is delivered again.

    A worker claims the key, runs the action and marks the key as done. A worker that dies in between leaves its claim,
    which holds until its lease is over: as long as its invocation could still have run, plus a second. What happens
    then is the mode's promise:

    - `at_least_once`: the next delivery runs the action again. An effect is repeated only when a worker dies between
      the action's end and the mark. An action that raises gives its claim back, so the record's retry runs at once.
    - `at_most_once`: the action is not run again. The record is parked as uncertain (`EffectUncertain`), and so is
      one whose action raised, unless it raised `NotApplied`: a timeout says nothing about what the other side did.

    A ledger that is throttled or down fails the record, which is then delivered again: nothing is skipped.

    Making a ledger does no I/O. The table's name comes from `EFFECT_LEDGER_TABLE`, which `access=[ledger.access()]`
    sets in the program.

    Args:
        mode: What a crash may cost: a repeated effect, or one that somebody has to look at.
        lease: How long a claim outlives a crash. Default: the running invocation's remaining time plus 1 s.
        keep: How long a done key is remembered, at least 24 hours (what the stream can deliver again).
            Default 400 days; `None` is for ever.
        keep_result: Store the action's result with the key, as JSON of at most 32 KiB, so that a repeat returns it. Off
            by default: a result can be personal or large, and its entry is kept as long as `keep` says.
        store: Where entries live; the DynamoDB table by default.
        clock: Seconds since 1970.
        sleep: Waits for a number of seconds.

    Raises:
        ValueError: `keep` is shorter than 24 hours, `lease` is not positive, or there is no such mode.

    Example:
        >>> from handlers.cdc import EffectLedger
        >>> from handlers.cdc.testing import InMemoryLedger
        >>> mails = EffectLedger(keep=None, store=InMemoryLedger())
        >>> mails.once("welcome:u1", print, "welcome!")
        welcome!
        >>> mails.once("welcome:u1", print, "is not printed")
        >>> charges = EffectLedger(keep_result=True, store=InMemoryLedger())
        >>> [charges.once("charge:o1", str.upper, "receipt-7") for _ in range(2)]
        ['RECEIPT-7', 'RECEIPT-7']
    """

    def __init__(
        self,
        *,
        mode: Mode = "at_least_once",
        lease: timedelta | None = None,
        keep: timedelta | None = KEEP,
        keep_result: bool = False,
        store: LedgerStore | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if mode not in get_args(Mode):
            raise ValueError(f"mode={mode!r} must be one of {', '.join(get_args(Mode))}")
        if keep is not None and keep < timedelta(hours=24):
            raise ValueError(
                f"keep={keep} is shorter than the 24 hours a stream can deliver a record again: "
                "the effect would be repeated"
            )
        if lease is not None and lease <= timedelta(0):
            raise ValueError(f"lease={lease} must be positive")
        self.mode: Mode = mode
        self.lease = lease
        self.keep = keep
        self.keep_result = keep_result
        self.store: LedgerStore = LedgerTable() if store is None else store
        self._clock = clock
        self._sleep = sleep

    def once(self, key: str, action: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R | None:
        """Run `action(*args, **kwargs)` unless the effect `key` is done.

        Args:
            key: Says what the effect is, e.g. `welcome-email:u1#plan-pro`. It is stored and logged.
            action: Brings the effect about.
            args: For the action.
            kwargs: For the action.

        Returns:
            The action's result; `None` if the effect was done before. With `keep_result` a repeat returns the stored
            result as JSON gives it back (a tuple becomes a list), or `None` if it could not be stored.

        Raises:
            EffectInProgress: Another worker's claim outlasts this invocation.
            EffectUncertain: With `at_most_once`, when the effect may or may not have happened.
            Exception: Whatever the action raises, with `at_least_once`; its claim is given back first.
        """
        owner = os.urandom(16).hex()  # not the request id: retries of a batch share it
        done = self._claim(key, owner)
        if done is not None:
            count("EffectsSuppressed")
            return None if done.result is None else json.loads(done.result)
        try:
            result = action(*args, **kwargs)
        except NotApplied:
            self._release(key, owner)
            raise
        except BaseException as error:
            if self.mode == "at_least_once":
                self._release(key, owner)
            if self.mode == "at_least_once" or not isinstance(error, Exception):
                raise
            self._settle(key, owner, "uncertain")
            count("EffectsUncertain")
            raise EffectUncertain(f"effect {key} was interrupted by {type(error).__name__}") from error
        count("EffectsApplied")
        if not self._settle(key, owner, "done", _as_json(key, result) if self.keep_result else None):
            # The action outlived its lease and somebody else runs or ran it too.
            count("EffectsUncertain")
            logger.warning("effect %s took longer than its lease and may have been repeated", key)
        return result

    def _claim(self, key: str, owner: str) -> Entry | None:
        """Take the effect, waiting for a worker that has it: `None` when it is ours, the entry when it is done."""
        left = remaining_seconds()
        deadline = self._clock() + (LEASE_OUTSIDE_LAMBDA_SECONDS if left is None else left) - WAIT_RESERVE_SECONDS
        pause = 0.05
        while True:
            now = self._clock()
            entry = self.store.claim(
                key,
                owner,
                now_ms=int(now * 1000),
                lease_until_ms=int((now + self._lease_seconds()) * 1000),
                expires_at=self._expires_at(),
                take_over=self.mode == "at_least_once",
            )
            if entry is None or entry.status == "done":
                return entry
            lease = entry.lease_until_ms / 1000 - now
            if entry.status == "uncertain" or (lease < 0 and self.mode == "at_most_once"):
                count("EffectsUncertain")
                raise EffectUncertain(f"effect {key} was begun by a worker that never said how it ended")
            wait = max(min(pause, lease), 0.01)
            if now + wait > deadline:
                raise EffectInProgress(
                    f"effect {key} is held by another worker for {lease:.1f} s more, "
                    f"and {max(deadline - now, 0):.1f} s are left to wait"
                )
            self._sleep(wait)
            pause = min(pause * 2, _LONGEST_POLL_SECONDS)

    def _settle(self, key: str, owner: str, status: Status, result: str | None = None) -> bool:
        return self.store.settle(key, owner, status=status, expires_at=self._expires_at(), result=result)

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


def _as_json(key: str, result: object) -> str | None:
    """The result as it is stored; `None` for one that is `None` or that cannot be stored, which is logged."""
    if result is None:
        return None
    try:
        text = json.dumps(result, separators=(",", ":"))
    except (TypeError, ValueError):
        problem = f"a {type(result).__name__} that is not JSON"
    else:
        if len(text.encode()) <= LONGEST_RESULT_BYTES:
            return text
        problem = f"longer than {LONGEST_RESULT_BYTES} bytes"
    logger.warning("the result of effect %s is %s and is not stored: a repeat returns None", key, problem)
    return None
