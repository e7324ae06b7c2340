"""Expectations: the effects and rows that the present content of an item implies. No I/O.

A consumer declares them with `@handler.expects`. A reconciliation looks each of them up, and gives the consumer the
items of those that are missing (docs/guides/reconciliation.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from handlers.cdc.attribute_values import Wire, decode
from handlers.cdc.ledger_table import TABLE_VARIABLE
from handlers.cdc.projection_writes import Guard

#: `uncertain` is an effect whose outcome no one knows: it is in a dead letter, and a person has to look at it.
State = Literal["there", "missing", "uncertain"]


class Place(NamedTuple):
    """The place of an item to look up.

    Attributes:
        variable: The environment variable with the name of the item's table.
        key: The item's key.
    """

    variable: str
    key: Mapping[str, Wire]


@dataclass(frozen=True)
class ExpectedEffect:
    """An effect that must be done. `EffectLedger.expected` makes it.

    Attributes:
        name: The effect's key, with its namespace.
    """

    name: str

    @property
    def places(self) -> Sequence[Place]:
        """The place of its item."""
        return (Place(TABLE_VARIABLE, {"effectKey": {"S": self.name}}),)

    def state(self, found: Sequence[Mapping[str, Any] | None], now: float) -> State:
        """Return whether the effect is done, by its item.

        Args:
            found: The item; `None` in place of one that is not there.
            now: Seconds since 1970.
        """
        (entry,) = found
        if entry is None or _has_expired(entry, now):
            return "missing"
        match entry["status"]["S"]:
            case "done":
                return "there"
            case "uncertain":
                return "uncertain"
            case _:  # a claim whose lease is over is that of a worker that died
                return "there" if int(entry["leaseUntil"]["N"]) >= now * 1000 else "missing"


@dataclass(frozen=True)
class ExpectedRow:
    """A row that must be as new as its item. `DynamoDBProjection.expected` makes it.

    Attributes:
        variable: The environment variable with the name of the table that holds it.
        key: Its key.
        guard: The guard of the item.
        attributes: Attributes of the row. One that has its value is up to date, whatever its guard: writes that change
            nothing of it may have passed the consumer by.
    """

    variable: str
    key: Mapping[str, Wire]
    guard: Guard
    attributes: Mapping[str, Wire]

    @property
    def name(self) -> str:
        """The row's key, for reports."""
        return ", ".join(f"{name}={decode(value)}" for name, value in self.key.items())

    @property
    def places(self) -> Sequence[Place]:
        """The place of the row."""
        return (Place(self.variable, self.key),)

    def state(self, found: Sequence[Mapping[str, Any] | None], now: float) -> State:  # noqa: ARG002 - as for effects
        """Return whether the row is as new as its item; a tombstone is one too.

        Args:
            found: The row; `None` in place of one that is not there.
            now: Seconds since 1970.
        """
        (row,) = found
        if row is None:
            return "missing"
        if not self.guard.is_newer(row.get(self.guard.by)):
            return "there"
        behind = [
            name
            for name, value in self.attributes.items()
            if self.guard.is_newer(row.get(self.guard.of(name)))
            and (name not in row or decode(row[name]) != decode(value))
        ]
        return "missing" if behind or not self.attributes else "there"


@dataclass(frozen=True)
class ExpectedPart:
    """A part that must have arrived at a sequencer, and the effect if all parts have. `Sequencer.expected` makes it.

    Attributes:
        effect: The effect of all parts, or that of the time-out in its place.
        waiting: The place of the item that waits for the parts.
        own: The attribute of this part in that item.
        every: The attributes of all parts.
    """

    effect: ExpectedEffect
    waiting: Place
    own: str
    every: Sequence[str]

    @property
    def name(self) -> str:
        """The effect's key, for reports."""
        return self.effect.name

    @property
    def places(self) -> Sequence[Place]:
        """The places of the effect and of the item that waits."""
        return (*self.effect.places, self.waiting)

    def state(self, found: Sequence[Mapping[str, Any] | None], now: float) -> State:
        """Return whether the effect is done, or the part waits for another one, which its own item answers for.

        Args:
            found: The effect's item, and the item that waits; `None` in place of one that is not there.
            now: Seconds since 1970.
        """
        entry, waiting = found
        effect = self.effect.state([entry], now)
        if effect != "missing":
            return effect
        if waiting is None or _has_expired(waiting, now) or self.own not in waiting:
            return "missing"
        return "missing" if all(each in waiting for each in self.every) else "there"


def _has_expired(item: Mapping[str, Any], now: float) -> bool:
    return "expiresAt" in item and int(item["expiresAt"]["N"]) < now


Expected = ExpectedEffect | ExpectedRow | ExpectedPart
#: The result of a function that `@handler.expects` decorates.
Expectations = Expected | Iterable[Expected] | None


def listed(expectations: Expectations) -> list[Expected]:
    """Return the expectations of an item as a list.

    Raises:
        TypeError: Something is not an expectation, e.g. the key of an effect as text.
    """
    given: Any = expectations
    if given is None:
        return []
    found: list[Any] = [given] if isinstance(given, Expected | str | bytes) else list(given)
    for each in found:
        if not isinstance(each, Expected):
            raise TypeError(
                f"an expectation is a {type(each).__name__}: return ledger.expected(key), projection.expected(item, "
                "key), sequencer.expected(part, key), a list of them, or None"
            )
    return found
