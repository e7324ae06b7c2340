"""The DynamoDB table of a projection: conditional writes, so that no newer change is lost."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any, Final

from handlers.cdc.attribute_values import Wire
from handlers.cdc.bounded_client import BoundedClient
from handlers.cdc.projection_writes import DELETED, EXPIRES_AT, Item, PartWrite, WholeWrite, Write

_ATTEMPTS: Final = 10


class ProjectionContended(RuntimeError):
    """Others changed the item whenever it was about to be written. The record fails and is delivered again."""


class ProjectionTable:
    """A `ProjectionStore` in DynamoDB.

    Args:
        variable: The environment variable that holds the table's name.
    """

    def __init__(self, variable: str) -> None:
        self.variable = variable
        self._dynamodb: Any = BoundedClient("dynamodb")

    def apply(self, write: Write) -> bool:
        """Apply a write to the stored item, as `ProjectionStore.apply` describes.

        The first attempt is made without knowing the item: in nearly every case the whole of a write is newer. If it
        is not, DynamoDB answers with the item, and what is newer is written on the condition that no guard changed.
        """
        stored: Item | None = None
        condition = _everything_is_older(write)
        for _ in range(_ATTEMPTS):
            request = (
                _put(write, stored, condition) if isinstance(write, WholeWrite) else _update(write, stored, condition)
            )
            if request is None:
                return False
            operation, arguments = request
            try:
                getattr(self._dynamodb, operation)(
                    TableName=self._table(), ReturnValuesOnConditionCheckFailure="ALL_OLD", **arguments
                )
            except self._dynamodb.exceptions.ConditionalCheckFailedException as refused:
                stored = refused.response.get("Item")
                condition = _guards_are_those_of(stored or {}, write)
            else:
                return True
        raise ProjectionContended(f"an item of {self.variable} was changed by others before each of {_ATTEMPTS} writes")

    def _table(self) -> str:
        name = os.environ.get(self.variable)
        if not name:
            raise RuntimeError(f"{self.variable} is not set, so there is no table to project into")
        return name


@dataclass
class _Expression:
    """A condition, with the names and values that its placeholders stand for."""

    terms: list[str] = field(default_factory=list[str])
    names: dict[str, str] = field(default_factory=dict[str, str])
    values: dict[str, Wire] = field(default_factory=dict[str, Wire])

    def name(self, attribute: str) -> str:
        """Return the placeholder of an attribute's name."""
        placeholder = f"#n{len(self.names)}"
        self.names[placeholder] = attribute
        return placeholder

    def value(self, wire: Wire) -> str:
        """Return the placeholder of a value."""
        placeholder = f":v{len(self.values)}"
        self.values[placeholder] = wire
        return placeholder


def _everything_is_older(write: Write) -> _Expression:
    """Return a condition under which the whole write may be applied to an unknown item."""
    condition, guard = _Expression(), write.guard
    value = condition.value(guard.wire)
    older = "<=" if isinstance(write, WholeWrite) and write.is_tombstone else "<"
    guards = [guard.by] if isinstance(write, WholeWrite) else [guard.by, *write.guards(write.attributes)]
    for attribute in guards:
        name = condition.name(attribute)
        condition.terms.append(f"(attribute_not_exists({name}) OR {name} {older} {value})")
    if isinstance(write, WholeWrite):
        condition.terms.append(f"attribute_not_exists({condition.name(guard.names)})")
    return condition


def _guards_are_those_of(stored: Item, write: Write) -> _Expression:
    """Return a condition that holds as long as the item's guards are those of `stored`."""
    condition, guard = _Expression(), write.guard
    for attribute in (guard.by, DELETED, guard.names, *(guard.of(name) for name in guard.alone(stored))):
        name = condition.name(attribute)
        if attribute in stored:
            condition.terms.append(f"{name} = {condition.value(stored[attribute])}")
        else:
            condition.terms.append(f"attribute_not_exists({name})")
    return condition


def _put(write: WholeWrite, stored: Item | None, condition: _Expression) -> tuple[str, dict[str, Any]] | None:
    item = write.after(stored)
    return None if item is None else ("put_item", {"Item": item, **_arguments(condition)})


def _update(write: PartWrite, stored: Item | None, condition: _Expression) -> tuple[str, dict[str, Any]] | None:
    newer = write.newer(stored)
    if not newer:
        return None
    # Attributes that others keep in the item stay, so this is no PutItem.
    sets = ", ".join(
        f"{condition.name(name)} = {condition.value(wire)}" for name, wire in {**newer, **write.guards(newer)}.items()
    )
    add = f"{condition.name(write.guard.names)} {condition.value({'SS': sorted(newer)})}"
    remove = f"{condition.name(DELETED)}, {condition.name(EXPIRES_AT)}"
    update = f"SET {sets} ADD {add} REMOVE {remove}"
    return "update_item", {"Key": write.key, "UpdateExpression": update, **_arguments(condition)}


def _arguments(condition: _Expression) -> dict[str, Any]:
    request = {
        "ConditionExpression": " AND ".join(condition.terms),
        "ExpressionAttributeNames": condition.names,
        "ExpressionAttributeValues": condition.values,
    }
    return {name: value for name, value in request.items() if value}
