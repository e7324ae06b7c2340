"""The DynamoDB table of `Counters`: a marker per event, and items that counters are spread over.

| `counterKey` | attributes |
|---|---|
| `<set>#event#<event>` | `expiresAt`, `correlationId` |
| `<set>#count#<counter>#<shard>` | `amount` |
| `<set>#shards` | `shards`: the largest number that the set's counters were ever spread over |
"""

from __future__ import annotations

import contextlib
import os
import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Context, Decimal
from typing import Any, Final

from handlers.cdc.attribute_values import number_text
from handlers.cdc.bounded_client import BoundedClient
from handlers.cdc.invocation import correlation_id, remaining_seconds

#: Keys that one BatchGetItem takes.
_KEYS_PER_READ: Final = 100
_READS: Final = 10
_READ_PAUSE_SECONDS: Final = 0.05
_LONGEST_PAUSE_SECONDS: Final = 1.0
#: Seconds that waiting for the table does not use, so that the batch can still be answered.
RESERVE_SECONDS: Final = 1.0
#: Cancellation reasons that pass: another transaction holds the item, or the table is busy.
_TRANSIENT: Final = {"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"}
#: Enough digits for an exact sum of any numbers that DynamoDB can store.
EXACT: Final = Context(prec=300)


class CounterContended(RuntimeError):
    """A counter stayed contended, or its table throttled, for as long as the invocation could wait.

    The event was not counted. Its record fails and is delivered again.
    """


class CounterTable:
    """A `CounterStore` in DynamoDB.

    Args:
        variable: The environment variable that holds the table's name.
        shards: Number of items that each counter is spread over, 1 to 100.
        sleep: Waits for a number of seconds.
        table: The table's name, outside a function, where no variable holds it.
        dynamodb: A boto3 client of DynamoDB, outside a function.

    Raises:
        ValueError: `shards` is out of range.
    """

    def __init__(
        self,
        variable: str,
        *,
        shards: int = 1,
        sleep: Callable[[float], None] = time.sleep,
        table: str | None = None,
        dynamodb: Any = None,
    ) -> None:
        if not 1 <= shards <= 100:
            raise ValueError(f"shards={shards} must be 1 to 100: a counter is read with one item per shard")
        self.variable = variable
        self.shards = shards
        self._sleep = sleep
        self._dynamodb: Any = BoundedClient("dynamodb") if dynamodb is None else dynamodb
        self._table_name = table
        self._widened: set[str] = set()

    def count(
        self,
        name: str,
        events: Sequence[str],
        amounts: Mapping[str, Decimal],
        *,
        now: int,
        keep: int | None,
    ) -> set[str]:
        """Count events in one transaction, as `CounterStore.count` describes."""
        self._widen(name)
        table = self._table()
        writes = [self._marker(table, name, event, now, keep) for event in events]
        writes += [self._addition(table, name, counter, amount) for counter, amount in amounts.items()]
        try:
            self._dynamodb.transact_write_items(TransactItems=writes)
        except self._dynamodb.exceptions.TransactionCanceledException as cancelled:
            reasons = cancelled.response.get("CancellationReasons", [])
            codes: Sequence[str | None] = [reason.get("Code") for reason in reasons]
            # The markers come first, in the order of the events.
            counted = {event for event, code in zip(events, codes, strict=False) if code == "ConditionalCheckFailed"}
            if counted:
                return counted
            if codes and _TRANSIENT.issuperset(set(codes) - {None, "None"}):
                raise CounterContended(f"the counters of {name} are contended") from cancelled
            raise
        return set()

    def total(self, name: str, counter: str) -> Decimal:
        """Add up a counter's shards, as `CounterStore.total` describes."""
        widest = f"{name}#shards"
        items = self._read([widest, *_shard_keys(name, counter, range(self.shards))])
        stored = int(items.pop(widest)["shards"]["N"]) if widest in items else 1
        items |= self._read(_shard_keys(name, counter, range(self.shards, stored)))
        total = Decimal(0)
        for item in items.values():
            total = EXACT.add(total, Decimal(item["amount"]["N"]))
        return total

    def _widen(self, name: str) -> None:
        """Note how many shards readers have to add up, once per environment: a later deployment may use fewer."""
        if self.shards == 1 or name in self._widened:
            return
        with contextlib.suppress(self._dynamodb.exceptions.ConditionalCheckFailedException):  # it had more before
            self._dynamodb.update_item(
                TableName=self._table(),
                Key={"counterKey": {"S": f"{name}#shards"}},
                UpdateExpression="SET shards = :shards",
                ConditionExpression="attribute_not_exists(shards) OR shards < :shards",
                ExpressionAttributeValues={":shards": {"N": str(self.shards)}},
            )
        self._widened.add(name)

    def _marker(self, table: str, name: str, event: str, now: int, keep: int | None) -> dict[str, Any]:
        item = {"counterKey": {"S": f"{name}#event#{event}"}}
        if keep is not None:
            item["expiresAt"] = {"N": str(now + keep)}
        if (correlation := correlation_id()) is not None:
            item["correlationId"] = {"S": correlation}
        return {
            "Put": {
                "TableName": table,
                "Item": item,
                # TTL deletes late, so expiry is a condition too.
                "ConditionExpression": "attribute_not_exists(counterKey) OR expiresAt < :now",
                "ExpressionAttributeValues": {":now": {"N": str(now)}},
            }
        }

    def _addition(self, table: str, name: str, counter: str, amount: Decimal) -> dict[str, Any]:
        # Each attempt picks a shard anew, so that it need not meet the same conflict again.
        (key,) = _shard_keys(name, counter, [random.randrange(self.shards)])  # noqa: S311 - no secret
        return {
            "Update": {
                "TableName": table,
                "Key": {"counterKey": {"S": key}},
                "UpdateExpression": "ADD amount :amount",
                "ExpressionAttributeValues": {":amount": {"N": number_text(amount)}},
            }
        }

    def _read(self, keys: Sequence[str]) -> dict[str, Any]:
        items: dict[str, Any] = {}
        for first in range(0, len(keys), _KEYS_PER_READ):
            wanted = [{"counterKey": {"S": key}} for key in keys[first : first + _KEYS_PER_READ]]
            items |= self._read_batch(wanted)
        return items

    def _read_batch(self, keys: Sequence[Any]) -> dict[str, Any]:
        table, items = self._table(), dict[str, Any]()
        wanted: Any = {table: {"Keys": keys, "ConsistentRead": True}}
        for attempt in range(_READS):
            answer = self._dynamodb.batch_get_item(RequestItems=wanted)
            items |= {item["counterKey"]["S"]: item for item in answer["Responses"].get(table, [])}
            wanted = answer.get("UnprocessedKeys")
            if not wanted:
                return items
            pause = min(_READ_PAUSE_SECONDS * 2**attempt, _LONGEST_PAUSE_SECONDS)
            if (left := remaining_seconds()) is not None and left < pause + RESERVE_SECONDS:
                break
            self._sleep(pause)
        raise CounterContended("the counters could not be read: their table is throttled")

    def _table(self) -> str:
        name = self._table_name or os.environ.get(self.variable)
        if not name:
            raise RuntimeError(
                f"{self.variable} is not set, so there is no table to count in: give the consumer access"
            )
        return name


def _shard_keys(name: str, counter: str, shards: Iterable[int]) -> list[str]:
    return [f"{name}#count#{counter}#{shard}" for shard in shards]
