"""`Sequencer`: one effect once the changes of several items have arrived, in whatever order.

A stream orders the changes of one item, and nothing orders those of two. So each change is written into an item that
waits for all of them, and whoever sees it complete runs the effect, through the effect ledger.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final, Protocol

from handlers.cdc.attribute_values import Wire, encode_item
from handlers.cdc.change import Change
from handlers.cdc.effect_ledger import KEEP, EffectLedger
from handlers.cdc.expectations import ExpectedPart, Place
from handlers.cdc.image import Image
from handlers.cdc.invocation import LambdaContext, running
from handlers.cdc.metrics import emit
from handlers.cdc.namespace import SEPARATOR, check_namespace
from handlers.cdc.projection import GuardNotAvailable
from handlers.cdc.sequencer_table import DOCUMENT, Documents, SequencerTable
from handlers.cdc.sequencer_timer import SequencerTimer

logger = logging.getLogger("handlers.cdc")

#: The environment variable of the table that `components.Sequencer` makes.
TABLE_VARIABLE: Final = "SEQUENCER_TABLE"


class SequencerStore(Protocol):
    """The place of a sequencer's items."""

    def put(
        self, key: str, part: str, version: int, document: Mapping[str, Wire], *, expires_at: int | None
    ) -> Documents:
        """Put the document of a part unless a newer or the same version of it lies there, in one atomic step.

        Args:
            key: The item's key, with the sequencer's name.
            part: The part that has arrived.
            version: The version of the part's own item.
            document: The document in DynamoDB's types.
            expires_at: When the item may be forgotten, in seconds since 1970; `None` is never.

        Returns:
            The documents of all parts that have arrived, as they are after this step.
        """
        ...

    def get(self, key: str) -> Documents:
        """Return the documents of all parts that have arrived.

        Args:
            key: The item's key, with the sequencer's name.
        """
        ...


class Timer(Protocol):
    """The starter of a sequencer's time-outs."""

    def start(self, name: str, key: str, moment: float) -> None:
        """Start the time-out of a key, unless it was started before.

        Args:
            name: The key with the sequencer's name.
            key: The key.
            moment: When the time is out, in seconds since 1970.
        """
        ...


#: A time-out's effect: it is called with the key, and the documents of the parts that have arrived.
WhenTimedOut = Callable[[str, Mapping[str, Mapping[str, Any]]], None]


class Sequencer:
    """A wait for changes of several items, e.g. of a user and of the user's account, and one effect when all are there.

    Each arrival is one conditional write that also returns the other parts. DynamoDB orders the writes of one item, so
    at least one delivery sees all parts, and every later delivery of any part does too. Each of them calls the effect
    under one key of the ledger, which runs it once. A worker that dies between the write and the effect fails its
    record, whose next delivery goes on where it stopped. What is promised is thus what the ledger's mode promises.

    Args:
        name: Name under which the keys live, in the table and in the ledger. All consumers that bring parts share it.
        parts: Names of what has to arrive, at least two.
        variable: The environment variable that holds the table's name.
        ledger: The ledger of the effect; by default one that remembers it for ever, under `name`.
        keep: Lifetime of an item after its last new part, at least 24 hours (how long a stream delivers a record
            again). A part that comes later than that waits alone. Default 400 days; `None` is for ever.
        store: The place of the items; the DynamoDB table by default.
        clock: Returns seconds since 1970.
        patience: Time after the write of the first part until the wait is over, shorter than `keep`; `None` for a wait
            without end. Then the function runs that is decorated with `timed_out`, unless all parts have arrived.
        timer: The starter of time-outs; EventBridge Scheduler by default.

    Raises:
        ValueError: There are fewer than two parts, one is named twice or is empty, `keep` is shorter than 24 hours,
            `patience` is not positive or not shorter than `keep`, or `name` is empty or has a `#`.

    Example:
        >>> from handlers.cdc import EffectLedger
        >>> from handlers.cdc.testing import InMemoryLedger, InMemorySequences, change
        >>> ledger = EffectLedger(namespace="ready", store=InMemoryLedger())
        >>> ready = Sequencer("ready", parts=["user", "account"], ledger=ledger, store=InMemorySequences())
        >>> user, account = change(new={"userId": "u1", "version": 1}), change(new={"accountId": "a1", "version": 1})
        >>> def greet(parts):
        ...     print(parts["user"]["name"], "has", parts["account"]["accountId"])
        >>> ready.arrived(account, "account", "u1", {"accountId": "a1"}, then=greet)
        False
        >>> ready.arrived(user, "user", "u1", {"name": "Ada"}, then=greet)
        Ada has a1
        True
        >>> ready.arrived(user, "user", "u1", {"name": "Ada"}, then=greet)  # delivered again
        True
    """

    def __init__(
        self,
        name: str,
        *,
        parts: Sequence[str],
        variable: str = TABLE_VARIABLE,
        ledger: EffectLedger | None = None,
        keep: timedelta | None = KEEP,
        store: SequencerStore | None = None,
        clock: Callable[[], float] = time.time,
        patience: timedelta | None = None,
        timer: Timer | None = None,
    ) -> None:
        self.name = check_namespace(name)
        self.parts = tuple(parts)
        if len(self.parts) < 2 or len({*self.parts}) < len(self.parts) or not all(self.parts):
            raise ValueError(f"parts={list(self.parts)} must name two or more different things that have to arrive")
        if keep is not None and keep < timedelta(hours=24):
            raise ValueError(
                f"keep={keep} is shorter than the 24 hours a stream can deliver a record again: a part could be "
                "forgotten while the other is on its way"
            )
        if patience is not None and not timedelta(0) < patience < (keep or timedelta.max):
            raise ValueError(
                f"patience={patience} must be positive, and shorter than keep={keep}: an item is forgotten then"
            )
        self.ledger = EffectLedger(namespace=name, keep=None) if ledger is None else ledger
        self.keep = keep
        self.variable = variable
        self.store: SequencerStore = SequencerTable(variable) if store is None else store
        self.patience = patience
        self.timer: Timer | None = timer if timer is not None or patience is None else SequencerTimer()
        self._clock = clock

    def arrived(
        self,
        change: Change[Any],
        part: str,
        key: str,
        document: Mapping[str, Any],
        *,
        then: Callable[[Mapping[str, Mapping[str, Any]]], None],
    ) -> bool:
        """Note that a part has arrived, and run the effect if all parts have.

        Args:
            change: The change that brings the part. Its item's `version` keeps an older change from replacing a newer
                document.
            part: Name of the part, as in `parts`.
            key: The identity that the parts have in common, e.g. a user's id. It is stored and logged.
            document: Those attributes of the item that the effect needs. They are stored for as long as `keep` says.
            then: The effect. It is called with the document of each part, by its name.

        Returns:
            True if all parts have arrived, and the effect is done, or the time-out's in its place; `False` if one is
            still missing.

        Raises:
            ValueError: There is no such part, or the key is empty.
            GuardNotAvailable: The item has no version.
            TypeError: DynamoDB has no type for a value of the document.
            Exception: Whatever the effect or its ledger raises; the part is stored, and the record is delivered again.
        """
        self._check(part, key)
        if (version := change.version) is None:
            raise GuardNotAvailable(
                f"the item has no version, so {self.name} cannot tell which of its changes is newer: "
                "advance it in every write (SET version = if_not_exists(version, :now) + :one)"
            )
        expires_at = None if self.keep is None else int(self._clock() + self.keep.total_seconds())
        documents = self.store.put(self._named(key), part, version, encode_item(document), expires_at=expires_at)
        if any(each not in documents for each in self.parts):
            self._start_timer(change, key)
            return False
        self.ledger.once(key, then, {each: Image(documents[each]) for each in self.parts})
        return True

    def expected(self, part: str, key: str) -> ExpectedPart:
        """Return an item's part as an expectation, for `@handler.expects`.

        It is met when the effect is done, or the time-out's in its place, and also while the part waits for another
        one. That other part's own item implies it: a reconciliation of each table finds a loss of either.

        Args:
            part: Name of the part that the item is.
            key: The identity that the parts have in common, as for `arrived`.

        Raises:
            ValueError: There is no such part, or the key is empty.
        """
        self._check(part, key)
        waiting = Place(self.variable, {"sequenceKey": {"S": self._named(key)}})
        return ExpectedPart(
            self.ledger.expected(key), waiting, f"{DOCUMENT}{part}", tuple(f"{DOCUMENT}{each}" for each in self.parts)
        )

    def timed_out(self, action: WhenTimedOut) -> TimeOut:
        """Make a handler of what is done when a part has not come in time, for `components.Sequencer`.

        The time-out takes the effect's key in the ledger, so that one of the two happens and never both.

        Args:
            action: The effect of a time-out.
        """
        return TimeOut(self, action)

    def end_wait(self, key: str, action: WhenTimedOut) -> bool:
        """Run a time-out's effect, unless all parts have arrived or one of the two effects is done.

        Args:
            key: The identity that the parts have in common.
            action: The effect of a time-out.

        Returns:
            Whether a part is missing.

        Raises:
            Exception: Whatever the effect or its ledger raises; the time-out is tried again.
        """
        documents = self.store.get(self._named(key))
        # The delivery that saw all parts runs the effect, or is delivered again until it has. No item: it has expired.
        if not documents or all(each in documents for each in self.parts):
            return False
        self.ledger.once(key, action, key, {each: Image(found) for each, found in documents.items()})
        return True

    def _check(self, part: str, key: str) -> None:
        if part not in self.parts:
            raise ValueError(f"{self.name} waits for {', '.join(self.parts)}, and not for {part!r}")
        if not key:
            raise ValueError(f"the key of {self.name} is empty: name what its parts have in common, e.g. a user's id")

    def _named(self, key: str) -> str:
        return f"{self.name}{SEPARATOR}{key}"

    def _start_timer(self, change: Change[Any], key: str) -> None:
        """Start the time-out, from the time of the write: a repeat that comes late does not wait anew."""
        if self.timer is None or self.patience is None or change.history_until is not None:
            return
        written, now = change.approximate_creation_time, self._clock()
        over = (now if written is None else written.timestamp()) + self.patience.total_seconds()
        # What AWS does with a moment that is over is not known.
        self.timer.start(self._named(key), key, max(over, now + 60))


class TimeOut:
    """The Lambda handler of a sequencer's time-outs, which EventBridge Scheduler calls with the key.

    Args:
        sequencer: The sequencer.
        action: The effect of a time-out.

    Attributes:
        module: Name of the module that it is defined in.
        entry_point: The handler's name for Lambda, e.g. `handlers.account_ready.overdue`.
    """

    def __init__(self, sequencer: Sequencer, action: WhenTimedOut) -> None:
        self.sequencer = sequencer
        self.action = action
        self.module = action.__module__
        self.entry_point = f"{self.module}.{getattr(action, '__name__', '')}"

    def __call__(self, event: Mapping[str, Any], context: LambdaContext | None = None) -> None:
        """Answer one call."""
        with running(context) as invocation:
            try:
                missing = self.sequencer.end_wait(event["key"], self.action)
                logger.info(
                    "the wait of %s for %s is over, parts missing: %s", self.sequencer.name, event["key"], missing
                )
            finally:
                emit(invocation.counts)
