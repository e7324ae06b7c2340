"""The effect ledger's DynamoDB table: each operation is one conditional write.

Item: `effectKey` (the table's key: `<consumer>#<key>`), `status`, `owner` (a token of one attempt), `leaseUntil`
(milliseconds since 1970), `result` (JSON) of a done effect that has one, `correlationId` of the change that asked for
it, and `expiresAt` (seconds since 1970, the table's TTL attribute) unless the effect is kept for ever. Expiry is a
condition too, because TTL deletes late (docs/aws-semantics.md §1.4). `historyUntil` (seconds since 1970) is there if a
backfill marked the effect as done: it counts for changes that were written before.
"""

from __future__ import annotations

import os
from typing import Any, Literal, NamedTuple

from handlers.cdc.bounded_client import BoundedClient
from handlers.cdc.invocation import correlation_id

TABLE_VARIABLE = "EFFECT_LEDGER_TABLE"

#: `claimed` by a worker, `done`, or `uncertain`: begun, and no one knows how it ended.
Status = Literal["claimed", "done", "uncertain"]


class Entry(NamedTuple):
    """An entry of a ledger: status, lease (milliseconds since 1970), and a done effect's result as JSON."""

    status: Status
    lease_until_ms: int
    result: str | None


# The owner's own claim is free to it: a repeat inside the client, whose first answer was lost, must succeed.
_FREE = "attribute_not_exists(effectKey) OR expiresAt < :now OR (#status = :claimed AND #owner = :owner)"
#: A backfill's mark, which says nothing about later changes.
_IS_HISTORY = " OR historyUntil <= :written"
_LEASE_IS_OVER = " OR (#status = :claimed AND leaseUntil < :now_ms)"
_NAMES = {"#status": "status", "#owner": "owner"}


class LedgerTable:
    """`LedgerStore` on the table named by `EFFECT_LEDGER_TABLE`, which is read at the first use."""

    def __init__(self) -> None:
        # Repeats are safe, since each condition lets the owner's own write through again.
        self._dynamodb = BoundedClient("dynamodb")

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
        """Put a claim, or return the entry that is there: a live claim or a settled effect."""
        item: dict[str, Any] = {
            "effectKey": {"S": key},
            "status": {"S": "claimed"},
            "owner": {"S": owner},
            "leaseUntil": {"N": str(lease_until_ms)},
        }
        if expires_at is not None:
            item["expiresAt"] = {"N": str(expires_at)}
        if (correlation := correlation_id()) is not None:
            item["correlationId"] = {"S": correlation}
        values = {
            ":now": {"N": str(now_ms // 1000)},
            ":claimed": {"S": "claimed"},
            ":owner": {"S": owner},
        }
        condition = _FREE
        if take_over:
            values[":now_ms"] = {"N": str(now_ms)}
            condition += _LEASE_IS_OVER
        if written is not None:
            values[":written"] = {"N": str(written)}
            condition += _IS_HISTORY
        try:
            self._dynamodb.put_item(
                TableName=_table(),
                Item=item,
                ConditionExpression=condition,
                ExpressionAttributeNames=_NAMES,
                ExpressionAttributeValues=values,
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException as refused:
            held = refused.response["Item"]
            return Entry(held["status"]["S"], int(held["leaseUntil"]["N"]), held.get("result", {}).get("S"))
        return None

    def mark(self, key: str, *, now: int, history_until: int, expires_at: int | None) -> None:
        """Put an effect that was done before a time; does nothing if there is an entry."""
        item: dict[str, Any] = {
            "effectKey": {"S": key},
            "status": {"S": "done"},
            "leaseUntil": {"N": "0"},
            "historyUntil": {"N": str(history_until)},
        }
        if expires_at is not None:
            item["expiresAt"] = {"N": str(expires_at)}
        try:
            self._dynamodb.put_item(
                TableName=_table(),
                Item=item,
                ConditionExpression="attribute_not_exists(effectKey) OR expiresAt < :now",
                ExpressionAttributeValues={":now": {"N": str(now)}},
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            return

    def settle(self, key: str, owner: str, *, status: Status, expires_at: int | None, result: str | None) -> bool:
        """Mark the claim of `owner` as done or uncertain; return `False` if another owner took it over."""
        changes = ["#status = :status"]
        values = {":status": {"S": status}, ":owner": {"S": owner}}
        if expires_at is not None:
            changes.append("expiresAt = :expires")
            values[":expires"] = {"N": str(expires_at)}
        if result is not None:
            changes.append("#result = :result")
            values[":result"] = {"S": result}
        try:
            self._dynamodb.update_item(
                TableName=_table(),
                Key={"effectKey": {"S": key}},
                UpdateExpression="SET " + ", ".join(changes),
                ConditionExpression="#owner = :owner",
                ExpressionAttributeNames=_NAMES if result is None else {**_NAMES, "#result": "result"},
                ExpressionAttributeValues=values,
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def release(self, key: str, owner: str) -> None:
        """Delete the claim of `owner`; does nothing if `owner` has lost it."""
        try:
            self._dynamodb.delete_item(
                TableName=_table(),
                Key={"effectKey": {"S": key}},
                ConditionExpression="#owner = :owner AND #status = :claimed",
                ExpressionAttributeNames=_NAMES,
                ExpressionAttributeValues={":owner": {"S": owner}, ":claimed": {"S": "claimed"}},
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            return


def _table() -> str:
    name = os.environ.get(TABLE_VARIABLE)
    if not name:
        raise RuntimeError(
            f"{TABLE_VARIABLE} is not set, so there is no ledger to ask whether an effect is done: "
            "subscribe the consumer with access=[ledger.access()]"
        )
    return name
