"""The table of a `Sequencer`: an item for each key, with the newest document of each part that has arrived.

Item: `sequenceKey` (the table's key: `<sequencer>#<key>`), `document#<part>` and `version#<part>` for each part, and
`expiresAt` (seconds since 1970, the table's TTL attribute) unless it is kept for ever.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final

from handlers.cdc.attribute_values import Wire
from handlers.cdc.bounded_client import BoundedClient

#: An item's documents in DynamoDB's types, by part.
Documents = Mapping[str, Mapping[str, Wire]]

#: The name of a part's attribute, before that of the part.
DOCUMENT: Final = "document#"


class SequencerTable:
    """A `SequencerStore` in DynamoDB.

    Args:
        variable: The environment variable that holds the table's name.
    """

    def __init__(self, variable: str) -> None:
        self.variable = variable
        self._dynamodb: Any = BoundedClient("dynamodb")

    def put(
        self, key: str, part: str, version: int, document: Mapping[str, Wire], *, expires_at: int | None
    ) -> Documents:
        """Put a part's document and read all parts, in one conditional write, as `SequencerStore.put` describes."""
        table = self._table()
        changes = ["#document = :document", "#version = :version"]
        names = {"#document": f"{DOCUMENT}{part}", "#version": f"version#{part}"}
        values: dict[str, Any] = {":document": {"M": document}, ":version": {"N": str(version)}}
        if expires_at is not None:
            changes.append("expiresAt = :expires")
            values[":expires"] = {"N": str(expires_at)}
        try:
            item = self._dynamodb.update_item(
                TableName=table,
                Key={"sequenceKey": {"S": key}},
                UpdateExpression="SET " + ", ".join(changes),
                ConditionExpression="attribute_not_exists(#version) OR #version < :version",
                ExpressionAttributeNames=names,
                ExpressionAttributeValues=values,
                ReturnValues="ALL_NEW",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )["Attributes"]
        except self._dynamodb.exceptions.ConditionalCheckFailedException as refused:
            item = refused.response["Item"]
        return _documents(item)

    def get(self, key: str) -> Documents:
        """Read all parts, as `SequencerStore.get` describes."""
        found = self._dynamodb.get_item(TableName=self._table(), Key={"sequenceKey": {"S": key}}, ConsistentRead=True)
        return _documents(found.get("Item", {}))

    def _table(self) -> str:
        name = os.environ.get(self.variable)
        if not name:
            raise RuntimeError(f"{self.variable} is not set, so there is no table to wait in: give the consumer access")
        return name


def _documents(item: Mapping[str, Wire]) -> Documents:
    return {name.removeprefix(DOCUMENT): value["M"] for name, value in item.items() if name.startswith(DOCUMENT)}
