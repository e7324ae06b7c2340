"""`Sequencer`: one effect once the changes of several items have arrived, in whatever order.

A stream orders the changes of one item, and nothing orders those of two. So each change is written into an item that
waits for all of them, and whoever sees it complete runs the effect, through the effect ledger.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final, Protocol

from handlers.cdc.attribute_values import Wire, encode_item
from handlers.cdc.change import Change
from handlers.cdc.effect_ledger import KEEP, EffectLedger
from handlers.cdc.image import Image
from handlers.cdc.namespace import SEPARATOR, check_namespace
from handlers.cdc.projection import GuardNotAvailable
from handlers.cdc.sequencer_table import Documents, SequencerTable

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

    Raises:
        ValueError: There are fewer than two parts, one is named twice or is empty, `keep` is shorter than 24 hours, or
            `name` is empty or has a `#`.

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
        self.ledger = EffectLedger(namespace=name, keep=None) if ledger is None else ledger
        self.keep = keep
        self.store: SequencerStore = SequencerTable(variable) if store is None else store
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
            True if all parts have arrived, and the effect is done; `False` if one is still missing.

        Raises:
            ValueError: There is no such part, or the key is empty.
            GuardNotAvailable: The item has no version.
            TypeError: DynamoDB has no type for a value of the document.
            Exception: Whatever the effect or its ledger raises; the part is stored, and the record is delivered again.
        """
        if part not in self.parts:
            raise ValueError(f"{self.name} waits for {', '.join(self.parts)}, and not for {part!r}")
        if not key:
            raise ValueError(f"the key of {self.name} is empty: name what its parts have in common, e.g. a user's id")
        if (version := change.version) is None:
            raise GuardNotAvailable(
                f"the item has no version, so {self.name} cannot tell which of its changes is newer: "
                "advance it in every write (SET version = if_not_exists(version, :now) + :one)"
            )
        expires_at = None if self.keep is None else int(self._clock() + self.keep.total_seconds())
        documents = self.store.put(
            f"{self.name}{SEPARATOR}{key}", part, version, encode_item(document), expires_at=expires_at
        )
        if any(each not in documents for each in self.parts):
            return False
        self.ledger.once(key, then, {each: Image(documents[each]) for each in self.parts})
        return True
