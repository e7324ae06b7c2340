"""Counters that count every event exactly once, however often it is delivered.

An `ADD` is not idempotent: a repeated delivery counts twice. So each event leaves a marker, and the marker and the
addition are one transaction: either both are there or neither (docs/aws-semantics.md §7).
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final, Protocol

from handlers.cdc.attribute_values import check_key, number_text
from handlers.cdc.counter_table import EXACT, RESERVE_SECONDS, CounterContended, CounterTable
from handlers.cdc.effect_ledger import KEEP
from handlers.cdc.invocation import remaining_seconds

__all__ = ["Amount", "CounterContended", "CounterStore", "Counters", "Increments"]

DEFAULT_VARIABLE: Final = "COUNTER_TABLE"
#: Actions that fit into one transaction (docs/aws-semantics.md §7).
ACTIONS_PER_TRANSACTION: Final = 100
#: A stream delivers a record again for as long.
SHORTEST_KEEP: Final = timedelta(hours=24)
#: How long a conflict is retried outside an invocation.
PATIENCE_OUTSIDE_LAMBDA_SECONDS: Final = 60.0
_FIRST_PAUSE_SECONDS: Final = 0.025
_LONGEST_PAUSE_SECONDS: Final = 1.0

#: A number to add; negative to subtract. Not a `float`, which is not exact.
Amount = int | Decimal
#: Events to count: for each a key, the same at every delivery, and its amount per counter.
Increments = Mapping[str, Mapping[str, Amount]] | Iterable[tuple[str, Mapping[str, Amount]]]


class CounterStore(Protocol):
    """The place where counters and markers are kept. `CounterTable` is the one in DynamoDB."""

    def count(
        self,
        name: str,
        events: Sequence[str],
        amounts: Mapping[str, Decimal],
        *,
        now: int,
        keep: int | None,
    ) -> Collection[str]:
        """Mark events and add amounts in one atomic write, unless one of the events has a marker.

        Args:
            name: Name of the set of counters.
            events: Keys of the events.
            amounts: The events' amounts, added up per counter.
            now: Seconds since 1970. Markers that expired before are not there.
            keep: Lifetime of the markers in seconds; `None` is forever.

        Returns:
            The events that have a marker; then nothing was written.

        Raises:
            CounterContended: Nothing was written, and another attempt may succeed.
        """
        ...

    def total(self, name: str, counter: str) -> Decimal:
        """Return the value of a counter; 0 if nothing was added to it.

        Raises:
            CounterContended: The counter cannot be read now.
        """
        ...


class Counters:
    """A set of counters in a DynamoDB table, e.g. how many users are on each plan.

    The table's key is the string `counterKey`, its TTL attribute `expiresAt`. The function needs `dynamodb:PutItem`
    and `dynamodb:UpdateItem` on it, and `dynamodb:BatchGetItem` to read. A counter has 38 digits, as any number in
    DynamoDB.

    Args:
        name: Name of the set. Two sets in one table count the same event independently.
        variable: The environment variable that holds the table's name.
        shards: Number of items that each counter is spread over, 1 to 100. One item takes about 1,000 writes per
            second, and conflicts slow it down long before; reading costs one item per shard. It can be changed at any
            time: reading adds up all shards that were ever used.
        keep: How long a counted event is remembered, at least 24 hours (how long a stream delivers a record again).
            Default 400 days; `None` is forever.
        store: The place where counters are kept; the DynamoDB table by default.
        clock: Returns seconds since 1970.
        sleep: Waits for a number of seconds.

    Raises:
        ValueError: `shards` or `keep` is out of range, `name` is empty or contains a `#`, or `store` is given together
            with settings of the table.

    Example:
        >>> from handlers.cdc.counters import Counters
        >>> from handlers.cdc.testing import InMemoryCounters
        >>> plans = Counters("plans", store=InMemoryCounters())
        >>> plans.add("event-1", {"free": -1, "pro": +1})
        True
        >>> plans.add("event-1", {"free": -1, "pro": +1})
        False
        >>> plans.read("pro")
        1
    """

    def __init__(
        self,
        name: str,
        *,
        variable: str = DEFAULT_VARIABLE,
        shards: int = 1,
        keep: timedelta | None = KEEP,
        store: CounterStore | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if "#" in name:
            raise ValueError(f"name={name!r} must not contain a '#', which separates the parts of a key")
        if keep is not None and keep < SHORTEST_KEEP:
            raise ValueError(
                f"keep={keep} is shorter than the 24 hours in which a stream can deliver a record again: its event "
                "would be counted twice"
            )
        check_key(name, "the name of the counters")
        if store is not None and (shards != 1 or variable != DEFAULT_VARIABLE):
            raise ValueError("shards and variable are of the DynamoDB table, and store= takes its place")
        self.name = name
        self.keep = keep
        self.store: CounterStore = CounterTable(variable, shards=shards, sleep=sleep) if store is None else store
        self._clock = clock
        self._sleep = sleep

    def add(self, key: str, amounts: Mapping[str, Amount]) -> bool:
        """Count one event, unless it was counted before.

        Args:
            key: The same at every delivery of the event, e.g. `change.event_id`.
            amounts: The amount to add to each counter, at most 99 of them; negative amounts subtract.

        Returns:
            True if it was counted now, `False` if it had been counted before.

        Raises:
            TypeError: An amount is not an `int` or a `Decimal`, or a key is not text.
            ValueError: More than 99 counters, a number that DynamoDB cannot store, or a key that is empty or longer
                than DynamoDB's 2,048 bytes.
            CounterContended: The counter stayed contended for as long as this invocation could wait. The event was not
                counted; its record fails and is delivered again.
            botocore.exceptions.ClientError: The table is down. The event was not counted, or its answer was lost: its
                record fails, and its next delivery finds out.
        """
        return self.add_all([(key, amounts)]) == 1

    def add_all(self, increments: Increments) -> int:
        """Count many events with as few writes as possible: their amounts are added up first.

        One transaction takes up to 99 events. When it fails, the events of the transactions before it stay counted,
        and a repeat of the whole call counts the rest. Nothing is written if an argument is refused.

        Args:
            increments: The arguments of `add` for each event: a mapping from keys to amounts, or pairs of them.

        Returns:
            Number of events that were counted now.

        Raises:
            ValueError: As for `add`; or an event occurs twice, so that one of its amounts would be lost. Give all its
                amounts at once.
            TypeError: As for `add`.
            CounterContended: As for `add`.
            botocore.exceptions.ClientError: As for `add`.
        """
        pairs: Any = increments.items() if isinstance(increments, Mapping) else increments
        events: dict[str, dict[str, Decimal]] = {}
        for key, amounts in pairs:
            if key in events:
                raise ValueError(
                    f"the event {key!r} occurs twice in one call, and its marker would count it once: give all its "
                    "amounts in one mapping, or build a dict of events if it may be the same one delivered twice"
                )
            events[self._checked(key, "event", "the key of an event")] = self._amounts(amounts)
        return sum(self._commit(chunk) for chunk in _chunks(events))

    def read(self, counter: str) -> Amount:
        """Read the value of a counter. A counter without additions is 0.

        Returns:
            An `int` if the value is whole, else a `Decimal`.

        Raises:
            CounterContended: The table is throttled.
            botocore.exceptions.ClientError: The table is down.
        """
        total = self.store.total(self.name, self._checked(counter, "count", "a counter's name"))
        return int(total) if total == total.to_integral_value() else total

    def _checked(self, key: str, kind: str, what: str) -> str:
        # The longest key of this kind in the table; a shard's number has two digits.
        check_key(key, what, around=f"{self.name}#{kind}#" + ("#99" if kind == "count" else ""))
        return key

    def _amounts(self, amounts: Mapping[str, Amount]) -> dict[str, Decimal]:
        if len(amounts) >= ACTIONS_PER_TRANSACTION:
            raise ValueError(
                f"an event with {len(amounts)} counters does not fit into a transaction, which takes "
                f"{ACTIONS_PER_TRANSACTION - 1} and its marker"
            )
        return {
            self._checked(counter, "count", "a counter's name"): _amount(counter, amount)
            for counter, amount in amounts.items()
        }

    def _commit(self, chunk: Mapping[str, Mapping[str, Decimal]]) -> int:
        """Write one transaction, without the events that were counted before."""
        left = remaining_seconds()
        deadline = self._clock() + (PATIENCE_OUTSIDE_LAMBDA_SECONDS if left is None else left) - RESERVE_SECONDS
        keep = None if self.keep is None else int(self.keep.total_seconds())
        attempt = 0
        while chunk:
            try:
                counted = self.store.count(self.name, list(chunk), _totals(chunk), now=int(self._clock()), keep=keep)
            except CounterContended:
                pause = _pause(attempt)
                if self._clock() + pause > deadline:
                    raise
                self._sleep(pause)
                attempt += 1
                continue
            if not counted:
                return len(chunk)
            chunk = {key: amounts for key, amounts in chunk.items() if key not in counted}
        return 0


def _amount(counter: str, amount: Any) -> Decimal:
    if isinstance(amount, bool) or not isinstance(amount, int | Decimal):
        hint = ", which is not exact: use a Decimal" if isinstance(amount, float) else ""
        raise TypeError(
            f"the amount for {counter!r} is a {type(amount).__name__}{hint}; it must be an int or a Decimal"
        )
    try:
        number_text(amount)
    except ValueError as error:
        raise ValueError(f"the amount for {counter!r} cannot be stored: {error}") from None
    return Decimal(amount)


def _totals(chunk: Mapping[str, Mapping[str, Decimal]]) -> dict[str, Decimal]:
    totals: dict[str, Decimal] = {}
    for amounts in chunk.values():
        for counter, amount in amounts.items():
            totals[counter] = EXACT.add(totals.get(counter, Decimal(0)), amount)
    return {counter: total for counter, total in totals.items() if total}


def _chunks(events: Mapping[str, Mapping[str, Decimal]]) -> Iterator[dict[str, Mapping[str, Decimal]]]:
    """Divide the events into portions of one transaction: one marker per event, one update per counter."""
    chunk: dict[str, Mapping[str, Decimal]] = {}
    counters: set[str] = set()
    for key, amounts in events.items():
        if len(chunk) + 1 + len(counters | amounts.keys()) > ACTIONS_PER_TRANSACTION:
            yield chunk
            chunk, counters = {}, set()
        chunk[key] = amounts
        counters |= amounts.keys()
    if chunk:
        yield chunk


def _pause(attempt: int) -> float:
    """Return the seconds to wait before the next attempt: doubling, and random so that rivals do not meet again."""
    longest = min(_FIRST_PAUSE_SECONDS * 2**attempt, _LONGEST_PAUSE_SECONDS)
    return longest * (0.5 + random.random() / 2)  # noqa: S311 - no secret
