"""Counters that count every event exactly once, however often it is delivered.

An `ADD` is not idempotent: a repeated delivery counts twice. So each event leaves a marker, and the marker and the
addition are one transaction: either both are there or neither (docs/aws-semantics.md §7).
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from handlers.cdc.clients import client
from handlers.cdc.effect_ledger import KEEP
from handlers.cdc.invocation import correlation_id, remaining_seconds

#: Actions that fit into one transaction (docs/aws-semantics.md §7).
ACTIONS_PER_TRANSACTION: Final = 100
#: Seconds that retries of a conflict do not use, so that the batch can still be answered.
RESERVE_SECONDS: Final = 1.0
#: How long a conflict is retried outside an invocation.
PATIENCE_OUTSIDE_LAMBDA_SECONDS: Final = 60.0
_FIRST_PAUSE_SECONDS: Final = 0.025
_LONGEST_PAUSE_SECONDS: Final = 1.0
#: Cancellation reasons that pass: another transaction holds the item, or the table is busy.
_TRANSIENT: Final = {"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"}

#: Events to count: for each a key, the same at every delivery, and its amount per counter.
Increments = Iterable[tuple[str, Mapping[str, int]]]


class Counters:
    """A set of counters in a DynamoDB table, e.g. how many users are on each plan.

    The table's key is the string `counterKey`, its TTL attribute `expiresAt`. The function needs `dynamodb:PutItem`
    and `dynamodb:UpdateItem` on it, and `dynamodb:BatchGetItem` to read.

    Args:
        name: Name of the set. Two sets in one table count the same event independently.
        variable: The environment variable that holds the table's name.
        shards: Number of items that each counter is spread over, 1 to 100. One item takes about 1,000 writes per
            second, and conflicts slow it down long before; reading costs one item per shard.
        keep: How long a counted event is remembered. Default 400 days; `None` is forever.
        clock: Returns seconds since 1970.
        sleep: Waits for a number of seconds.

    Raises:
        ValueError: `shards` is out of range, or `name` contains a `#`.

    Example (one that runs: docs/guides/counters.md):
        plans = Counters("plans", shards=4)
        plans.add(change.event_id, {"free": -1, "pro": +1})
        plans.read("pro")
    """

    def __init__(
        self,
        name: str,
        *,
        variable: str = "COUNTER_TABLE",
        shards: int = 1,
        keep: timedelta | None = KEEP,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if not 1 <= shards <= 100:
            raise ValueError(f"shards={shards} must be 1 to 100, which is what one read can fetch")
        if "#" in name:
            raise ValueError(f"name={name!r} must not contain a '#', which separates the parts of a key")
        self.name = name
        self.variable = variable
        self.shards = shards
        self.keep = keep
        self._clock = clock
        self._sleep = sleep
        self._dynamodb: Any = client("dynamodb", attempts=5)

    def add(self, key: str, amounts: Mapping[str, int]) -> bool:
        """Count one event, unless it was counted before.

        Args:
            key: The same at every delivery of the event, e.g. `change.event_id`.
            amounts: The amount to add to each counter, at most 99 of them; negative amounts subtract.

        Returns:
            True if it was counted now, `False` if it had been counted before.

        Raises:
            ValueError: More than 99 counters.
            botocore.exceptions.ClientError: The table is down, or the counter stays contended for as long as this
                invocation can wait. The event was not counted; its record fails and is delivered again.
        """
        return self.add_all([(key, amounts)]) == 1

    def add_all(self, increments: Increments) -> int:
        """Count many events with as few writes as possible: their amounts are added up first.

        One transaction takes up to 99 events. When it fails, the events of the transactions before it stay counted,
        and a repeat of the whole call counts the rest.

        Args:
            increments: The arguments of `add`, for each event. An event that occurs twice is counted once.

        Returns:
            Number of events that were counted now.

        Raises:
            ValueError: An event has more than 99 counters.
            botocore.exceptions.ClientError: As for `add`.
        """
        return sum(self._commit(chunk) for chunk in _chunks(increments))

    def read(self, counter: str) -> int:
        """Read the value of a counter: the sum of its shards. A counter without additions is 0."""
        table = self._table()
        keys = [{"counterKey": _text(key)} for key in self._shard_keys(counter)]
        wanted: dict[str, Any] = {table: {"Keys": keys, "ConsistentRead": True}}
        total = 0
        for attempt in range(10):
            answer = self._dynamodb.batch_get_item(RequestItems=wanted)
            total += sum(int(item["amount"]["N"]) for item in answer["Responses"].get(table, []))
            wanted = answer.get("UnprocessedKeys") or {}
            if not wanted:
                return total
            self._sleep(_pause(attempt))
        raise TimeoutError(f"counter {counter} of {self.name} could not be read: the table is throttled")

    def _commit(self, chunk: dict[str, Mapping[str, int]]) -> int:
        """Write one transaction, without the events that were counted before."""
        left = remaining_seconds()
        deadline = self._clock() + (PATIENCE_OUTSIDE_LAMBDA_SECONDS if left is None else left) - RESERVE_SECONDS
        attempt = 0
        while chunk:
            try:
                self._dynamodb.transact_write_items(TransactItems=self._transaction(chunk))
            except self._dynamodb.exceptions.TransactionCanceledException as cancelled:
                codes: Sequence[str | None] = [
                    reason.get("Code") for reason in cancelled.response.get("CancellationReasons", [])
                ]
                # The markers come first, in the order of the events.
                fresh = {
                    key: chunk[key] for key, code in zip(chunk, codes, strict=False) if code != "ConditionalCheckFailed"
                }
                if len(fresh) < len(chunk) and codes:
                    chunk = fresh
                    continue
                pause = _pause(attempt)
                if not _TRANSIENT.issuperset(set(codes) - {None, "None"}) or self._clock() + pause > deadline:
                    raise
                self._sleep(pause)
                attempt += 1
            else:
                return len(chunk)
        return 0

    def _transaction(self, chunk: Mapping[str, Mapping[str, int]]) -> list[dict[str, Any]]:
        table, now = self._table(), int(self._clock())
        marker: dict[str, Any] = {}
        if self.keep is not None:
            marker["expiresAt"] = _number(now + int(self.keep.total_seconds()))
        if (correlation := correlation_id()) is not None:
            marker["correlationId"] = _text(correlation)
        markers = [
            {
                "Put": {
                    "TableName": table,
                    "Item": {"counterKey": _text(f"{self.name}#event#{key}"), **marker},
                    # TTL deletes late, so expiry is a condition too.
                    "ConditionExpression": "attribute_not_exists(counterKey) OR expiresAt < :now",
                    "ExpressionAttributeValues": {":now": _number(now)},
                }
            }
            for key in chunk
        ]
        totals: Counter[str] = Counter()
        for amounts in chunk.values():
            totals.update(amounts)
        updates = [
            {
                "Update": {
                    "TableName": table,
                    # Each attempt picks a shard anew, so that it need not meet the same conflict again.
                    "Key": {"counterKey": _text(random.choice(self._shard_keys(counter)))},  # noqa: S311 - no secret
                    "UpdateExpression": "ADD amount :amount",
                    "ExpressionAttributeValues": {":amount": _number(amount)},
                }
            }
            for counter, amount in totals.items()
            if amount
        ]
        return [*markers, *updates]

    def _shard_keys(self, counter: str) -> list[str]:
        return [f"{self.name}#count#{counter}#{shard}" for shard in range(self.shards)]

    def _table(self) -> str:
        name = os.environ.get(self.variable)
        if not name:
            raise RuntimeError(
                f"{self.variable} is not set, so there is no table to count in: give the consumer access"
            )
        return name


def _chunks(increments: Increments) -> Iterator[dict[str, Mapping[str, int]]]:
    """Divide the events into portions of one transaction: one marker per event, one update per counter."""
    chunk: dict[str, Mapping[str, int]] = {}
    counters: set[str] = set()
    for key, amounts in increments:
        if len(amounts) >= ACTIONS_PER_TRANSACTION:
            raise ValueError(
                f"an event with {len(amounts)} counters does not fit into a transaction, which takes "
                f"{ACTIONS_PER_TRANSACTION - 1} and its marker"
            )
        if key not in chunk and len(chunk) + 1 + len(counters | amounts.keys()) > ACTIONS_PER_TRANSACTION:
            yield chunk
            chunk, counters = {}, set()
        if key not in chunk:
            chunk[key] = amounts
            counters |= amounts.keys()
    if chunk:
        yield chunk


def _pause(attempt: int) -> float:
    """Return the seconds to wait before the next attempt: doubling, and random so that rivals do not meet again."""
    longest = min(_FIRST_PAUSE_SECONDS * 2**attempt, _LONGEST_PAUSE_SECONDS)
    return longest * (0.5 + random.random() / 2)  # noqa: S311 - no secret


def _text(value: str) -> dict[str, str]:
    return {"S": value}


def _number(value: int) -> dict[str, str]:
    return {"N": str(value)}
