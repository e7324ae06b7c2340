"""The effect ledger's DynamoDB table: each operation is one conditional write.

Item: `effectKey` (the table's key), `status` (`claimed` or `done`), `owner` (a token of one attempt), `leaseUntil`
(milliseconds since 1970) while claimed, and `expiresAt` (seconds since 1970, the table's TTL attribute) unless the
effect is kept for ever. Expiry is a condition too, because TTL deletes late (docs/aws-semantics.md §1.4).
"""

from __future__ import annotations

import os
from typing import Any

from handlers.cdc.clients import client

TABLE_VARIABLE = "EFFECT_LEDGER_TABLE"

_CLAIM = (
    "attribute_not_exists(effectKey) OR expiresAt < :now"
    " OR (#status = :claimed AND (leaseUntil < :now_ms OR #owner = :owner))"
)
_NAMES = {"#status": "status", "#owner": "owner"}


class LedgerTable:
    """`LedgerStore` on the table named by `EFFECT_LEDGER_TABLE`, which is read at the first use."""

    def __init__(self) -> None:
        # A lost ledger write costs a repeated effect: worth more attempts than an ordinary call. Repeats are safe,
        # since each condition lets the owner's own write through again.
        self._dynamodb: Any = client("dynamodb", attempts=5)

    def claim(
        self, key: str, owner: str, *, now_ms: int, lease_until_ms: int, expires_at: int | None
    ) -> tuple[str, int] | None:
        """Put a claim unless there is a live one or the effect is done; then its status and lease (milliseconds)."""
        item: dict[str, Any] = {
            "effectKey": {"S": key},
            "status": {"S": "claimed"},
            "owner": {"S": owner},
            "leaseUntil": {"N": str(lease_until_ms)},
        }
        if expires_at is not None:
            item["expiresAt"] = {"N": str(expires_at)}
        try:
            self._dynamodb.put_item(
                TableName=_table(),
                Item=item,
                ConditionExpression=_CLAIM,
                ExpressionAttributeNames=_NAMES,
                ExpressionAttributeValues={
                    ":now": {"N": str(now_ms // 1000)},
                    ":now_ms": {"N": str(now_ms)},
                    ":claimed": {"S": "claimed"},
                    ":owner": {"S": owner},
                },
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException as refused:
            held = refused.response["Item"]
            return held["status"]["S"], int(held.get("leaseUntil", {"N": "0"})["N"])
        return None

    def complete(self, key: str, owner: str, *, expires_at: int | None) -> bool:
        """Mark the claim of `owner` as done; `False` when somebody else took it over."""
        values = {":done": {"S": "done"}, ":owner": {"S": owner}}
        keep = "SET #status = :done REMOVE leaseUntil"
        if expires_at is None:
            keep += ", expiresAt"
        else:
            keep = "SET #status = :done, expiresAt = :expires REMOVE leaseUntil"
            values[":expires"] = {"N": str(expires_at)}
        try:
            self._dynamodb.update_item(
                TableName=_table(),
                Key={"effectKey": {"S": key}},
                UpdateExpression=keep,
                ConditionExpression="#owner = :owner",
                ExpressionAttributeNames=_NAMES,
                ExpressionAttributeValues=values,
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def release(self, key: str, owner: str) -> None:
        """Delete the claim of `owner`; nothing when it is no longer its."""
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
