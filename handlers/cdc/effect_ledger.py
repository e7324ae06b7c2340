"""`EffectLedger`: a side effect runs once per key, however often its record is delivered.

Streams deliver at least once: a lost answer, a retry or a split batch repeats records that were done
(docs/aws-semantics.md §7). The ledger remembers what was done, under a key that says what the effect *is*
("welcome mail for the pro plan of user 42") and not which record asked for it. Keys are those of one consumer: each
lives under the consumer's name, so that two consumers may use the same key for effects of their own.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final, Literal, ParamSpec, Protocol, TypeVar, get_args

from handlers.cdc.attempt import fails_the_record
from handlers.cdc.bounded_client import is_transient
from handlers.cdc.change import Change
from handlers.cdc.discard import Discard
from handlers.cdc.expectations import ExpectedEffect
from handlers.cdc.invocation import acting_consumer, current, remaining_seconds
from handlers.cdc.ledger_table import Entry, LedgerTable, Status
from handlers.cdc.metrics import count
from handlers.cdc.namespace import SEPARATOR, check_namespace
from handlers.cdc.retry_after import RetryAfter
from handlers.cdc.time_budget import RESERVE, OutOfTime
from handlers.cdc.unrun import Unrun, check_it_ran

P = ParamSpec("P")
R = TypeVar("R")
Mode = Literal["at_least_once", "at_most_once"]

logger = logging.getLogger("handlers.cdc")

#: Longer than every route that brings a record back: the stream (24 h), an archive, a dead letter kept for a year.
KEEP = timedelta(days=400)
#: How long a crashed worker's lease lasts beyond its invocation: clocks of two hosts differ.
LEASE_MARGIN_SECONDS = 1.0
#: The lease where there is no invocation that could end, e.g. in a script.
LEASE_OUTSIDE_LAMBDA_SECONDS = 60.0
_LONGEST_POLL_SECONDS = 1.0
#: A stored result is paid for with every later write of its entry.
LONGEST_RESULT_BYTES = 32 * 1024
#: Bytes of a key of a DynamoDB table at most, namespace included (docs/aws-semantics.md §1.4).
LONGEST_KEY_BYTES: Final = 2048


class EffectInProgress(RuntimeError):
    """Another worker holds this effect, and its lease outlasts the time this invocation has left.

    The record fails and is delivered again; by then the effect is done or its lease is over.
    """


class EffectUncertain(Discard):
    """An at-most-once effect may or may not have happened, so it is not repeated: its record is parked.

    Look whether the effect is there. If it is not, delete the effect's entry in the ledger and replay the record.
    """

    condition = "EffectUncertain"


class NotApplied(Exception):
    """Raised by an at-most-once action: nothing has happened yet, e.g. it was throttled, so it may be tried again."""


class LedgerStore(Protocol):
    """The place of a ledger's entries. Every method is one atomic, conditional write."""

    def claim(
        self,
        key: str,
        owner: str,
        *,
        now_ms: int,
        lease_until_ms: int,
        expires_at: int | None,
        take_over: bool,
        written: int | None = None,
    ) -> Entry | None:
        """Take `key` unless another owner has it.

        Args:
            key: The key, with its namespace.
            owner: A token of this attempt.
            now_ms: Milliseconds since 1970.
            lease_until_ms: End of the lease, in milliseconds since 1970.
            expires_at: When the entry may be forgotten, in seconds since 1970; `None` is never.
            take_over: Whether a claim whose lease is over may be taken from its owner.
            written: The time of the write that asks for the effect, in seconds since 1970; `None` if it is not known. A
                mark that a backfill left for changes before this time does not count.

        Returns:
            `None` when it is taken, else the entry that is there.
        """
        ...

    def mark(self, key: str, *, now: int, history_until: int, expires_at: int | None) -> None:
        """Mark an effect as done before a time, unless there is an entry of it.

        Args:
            key: The key, with its namespace.
            now: Seconds since 1970.
            history_until: Seconds since 1970. The mark does not count for changes that were written then or later.
            expires_at: As for `claim`.
        """
        ...

    def settle(self, key: str, owner: str, *, status: Status, expires_at: int | None, result: str | None) -> bool:
        """Mark the claim of `owner` as done or uncertain; return `False` if `owner` has lost it."""
        ...

    def release(self, key: str, owner: str) -> None:
        """Delete the claim of `owner`; does nothing if `owner` has lost it."""
        ...


class EffectLedger:
    """Runs an action once per key, whatever is delivered again.

    A worker claims the key, runs the action and marks the key as done. A worker that dies in between leaves its claim,
    which holds until its lease is over: as long as its invocation could still have run, plus a second. What happens
    then is the mode's promise:

    - `at_least_once`: the next delivery runs the action again. So an effect is repeated when a worker dies between the
      action's end and the mark, and when the mark fails because the table is down. An action that raises gives its
      claim back, so the record's retry runs at once.
    - `at_most_once`: the action is not run again. The record is parked as uncertain (`EffectUncertain`), and so is
      one whose action raised: a timeout says nothing about what the other side did. An action that raises `NotApplied`,
      `RetryAfter` or `Discard` says that nothing has happened, and gives its claim back.

    The change of a backfill runs nothing: its effects are marked as done before the consumer's time, and changes that
    were written since run theirs (docs/guides/backfill.md).

    A ledger that is throttled or down fails the record, which is then delivered again: nothing is skipped. No call of
    the ledger outlasts the invocation, and no action is started with less time left than the longest one of this ledger
    took in this environment; except the first of an invocation, or one long action would stop everything behind it.

    Making a ledger does no I/O. The table's name comes from `EFFECT_LEDGER_TABLE`, which `access=[ledger.access()]`
    sets in the program.

    Args:
        namespace: Name under which the keys live. Default: the consumer that runs, by its own name
            (`@consumer(name=)`, else its module's), whatever route its changes come by. Give one to keep the keys
            across a rename, or to share them between consumers on purpose. Outside a consumer, e.g. in a script, give
            one or use `with acting_for("…")`.
        mode: What a crash may cost: a repeated effect, or one that a person has to look at.
        lease: How long a claim outlives a crash. Default: the running invocation's remaining time plus 1 s.
        keep: How long a done key is remembered, at least 24 hours (what the stream can deliver again).
            Default 400 days; `None` is for ever.
        keep_result: Store the action's result with the key, as JSON of at most 32 KiB, so that a repeat returns it. Off
            by default: a result can be personal or large, and its entry is kept as long as `keep` says.
        store: The place of the entries; the DynamoDB table by default.
        clock: Seconds since 1970.
        sleep: Waits for a number of seconds.

    Raises:
        ValueError: `keep` is shorter than 24 hours, `lease` is not positive, there is no such mode, or `namespace` is
            empty or has a `#`.

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
        namespace: str | None = None,
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
        self.namespace = None if namespace is None else check_namespace(namespace)
        self.mode: Mode = mode
        self.lease = lease
        self.keep = keep
        self.keep_result = keep_result
        self.store: LedgerStore = LedgerTable() if store is None else store
        self._clock = clock
        self._sleep = sleep
        self._longest = RESERVE

    def once(self, key: str, action: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R | None:
        """Run `action(*args, **kwargs)` unless the effect `key` is done.

        Args:
            key: Names the effect, e.g. `welcome-email:u1#plan-pro`. It is stored and logged. It must hold everything
                that makes the effect another one: of 100 and then 250 charged under one key, only 100 are.
            action: Brings the effect about.
            args: For the action.
            kwargs: For the action.

        Returns:
            The action's result; `None` if the effect was done before. With `keep_result` a repeat returns the stored
            result as JSON gives it back (a tuple becomes a list), or `None` if it could not be stored.

        Raises:
            TypeError: `key` is not text, or the action has returned its work and not done it (a coroutine, say).
            ValueError: `key` is empty, or longer than 2,048 bytes together with its namespace.
            RuntimeError: There is no namespace: the code runs outside a consumer.
            EffectInProgress: Another worker's claim outlasts this invocation.
            EffectUncertain: With `at_most_once`, when the effect may or may not have happened.
            OutOfTime: Too little time is left to start the action, or for a call of the ledger.
            Exception: Whatever the action raises, with `at_least_once`; its claim is given back first.
        """
        key = self._full_key(key)
        change = _current_change()
        if change is not None and change.history_until is not None:
            self.store.mark(
                key, now=int(self._clock()), history_until=change.history_until, expires_at=self._expires_at()
            )
            count("EffectsMarked")
            return None
        owner = os.urandom(16).hex()  # not the request id: retries of a batch share it
        done = self._claim(key, owner)
        if done is not None:
            count("EffectsSuppressed")
            return None if done.result is None else json.loads(done.result)
        self._note_start(key, owner)
        began = self._clock()
        try:
            result = action(*args, **kwargs)
        except BaseException as error:
            self._after_an_error(key, owner, error, has_happened=_may_have_happened(error))
            raise
        finally:
            self._longest = max(self._longest, self._clock() - began)
        try:
            check_it_ran(action, result)
        except BaseException as error:
            may_have = not error.nothing_ran if isinstance(error, Unrun) else _may_have_happened(error)
            self._after_an_error(key, owner, error, has_happened=may_have)
            raise
        count("EffectsApplied")
        self._mark_as_done(key, owner, _as_json(key, result) if self.keep_result else None)
        return result

    def expected(self, key: str) -> ExpectedEffect:
        """Return an effect as an expectation, for `@handler.expects`.

        Args:
            key: The key that `once` is called with.

        Raises:
            TypeError: As for `once`.
            ValueError: As for `once`.
            RuntimeError: As for `once`.
        """
        return ExpectedEffect(self._full_key(key))

    def _full_key(self, key: object) -> str:
        if not isinstance(key, str):
            raise TypeError(f"the key of an effect is text, and this one is a {type(key).__name__}")
        if not key:
            raise ValueError("the key of an effect is empty: name the effect in it, e.g. welcome-email:u1#plan-pro")
        namespace = self.namespace or acting_consumer()
        if namespace is None:
            if not getattr(self.store, "takes_bare_keys", False):
                raise RuntimeError(
                    f"effect {key} has no namespace, since no consumer is running: make the ledger with "
                    'EffectLedger(namespace="…"), or call once inside `with acting_for("…")`, with the consumer\'s name'
                )
        else:
            key = f"{namespace}{SEPARATOR}{key}"
        if (size := len(key.encode())) > LONGEST_KEY_BYTES:
            raise ValueError(
                f"the key of an effect has {size} bytes with its namespace, and DynamoDB takes {LONGEST_KEY_BYTES}: "
                "put a hash of the long part into it"
            )
        return key

    def _note_start(self, key: str, owner: str) -> None:
        """Note that the action starts now, or give the claim back if too little time is left for it."""
        invocation = current()
        if invocation is None:
            return
        left, needed = remaining_seconds(), self._seconds_to_start()
        if left is not None and left < needed:
            self._release(key, owner)
            raise OutOfTime(
                f"effect {key} is not started: {left:.1f} s are left, and the longest one so far took {needed:.1f} s"
            )
        invocation.has_started_an_effect = True

    def _seconds_to_start(self) -> float:
        invocation = current()
        return self._longest if invocation is not None and invocation.has_started_an_effect else RESERVE

    def _after_an_error(self, key: str, owner: str, error: BaseException, *, has_happened: bool) -> None:
        """Give the claim back or mark the effect as uncertain, as the mode says.

        Args:
            key: The effect.
            owner: The claim's owner.
            error: The error that the action failed with.
            has_happened: Whether the effect may have happened.

        Raises:
            EffectUncertain: The effect may have happened, and must not be repeated.
        """
        if self.mode == "at_least_once" or not has_happened:
            self._release(key, owner)
        elif fails_the_record(error):
            self._settle(key, owner, "uncertain")
            count("EffectsUncertain")
            raise EffectUncertain(f"effect {key} was interrupted by {type(error).__name__}") from error

    def _mark_as_done(self, key: str, owner: str, result: str | None) -> None:
        try:
            is_ours = self._settle(key, owner, "done", result)
        except Exception:
            logger.warning("effect %s has happened and could not be marked as done", key)
            raise
        if not is_ours:
            # The action outlived its lease and another worker runs or ran it too.
            count("EffectsUncertain")
            logger.warning("effect %s took longer than its lease and may have been repeated", key)

    def _claim(self, key: str, owner: str) -> Entry | None:
        """Take the effect, waiting for a worker that has it.

        Returns:
            `None` when it is taken, and the entry when the effect is done.
        """
        left = remaining_seconds()
        patience = LEASE_OUTSIDE_LAMBDA_SECONDS if left is None else left
        deadline = self._clock() + patience - self._seconds_to_start()
        pause = 0.05
        while True:
            now = self._clock()
            entry = self._ask(key, owner, now)
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

    def _ask(self, key: str, owner: str, now: float) -> Entry | None:
        try:
            return self.store.claim(
                key,
                owner,
                now_ms=int(now * 1000),
                lease_until_ms=int((now + self._lease_seconds()) * 1000),
                expires_at=self._expires_at(),
                take_over=self.mode == "at_least_once",
                written=_written(),
            )
        except Exception as error:
            if is_transient(error):
                # The claim may have been written, and its answer lost. The action was not run.
                self._release(key, owner)
            raise

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


def _current_change() -> Change[Any] | None:
    invocation = current()
    return None if invocation is None else invocation.change


def _written() -> int | None:
    """Return the time of the write at hand, in whole seconds since 1970; `None` if it is not known."""
    change = _current_change()
    written = None if change is None else change.approximate_creation_time
    return None if written is None else int(written.timestamp())


def _may_have_happened(error: BaseException) -> bool:
    """Return whether an action that raised this error may have brought its effect about."""
    return isinstance(error, EffectUncertain) or not isinstance(error, NotApplied | RetryAfter | Discard)


def _as_json(key: str, result: object) -> str | None:
    """Return the result as it is stored; `None` if it is `None`, or cannot be stored, which is logged."""
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
