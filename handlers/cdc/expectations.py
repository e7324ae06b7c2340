"""Expectations: the effects and rows that the present content of an item implies. No I/O.

A consumer declares them with `@handler.expects`. A reconciliation looks each of them up, and gives the consumer the
items of those that are missing (docs/guides/reconciliation.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from handlers.cdc.attribute_values import Wire, decode
from handlers.cdc.ledger_table import TABLE_VARIABLE
from handlers.cdc.projection_writes import Guard

#: `uncertain` is an effect whose outcome no one knows: it is in a dead letter, and a person has to look at it.
State = Literal["there", "missing", "uncertain"]


@dataclass(frozen=True)
class ExpectedEffect:
    """An effect that must be done. `EffectLedger.expected` makes it.

    Attributes:
        name: The effect's key, with its namespace.
    """

    name: str

    @property
    def variable(self) -> str:
        """The environment variable with the name of the table that holds it."""
        return TABLE_VARIABLE

    @property
    def key(self) -> Mapping[str, Wire]:
        """The key of its item."""
        return {"effectKey": {"S": self.name}}

    def state(self, found: Mapping[str, Any] | None, now: float) -> State:
        """Return whether the effect is done, by its item.

        Args:
            found: The item; `None` if there is none.
            now: Seconds since 1970.
        """
        if found is None or ("expiresAt" in found and int(found["expiresAt"]["N"]) < now):
            return "missing"
        match found["status"]["S"]:
            case "done":
                return "there"
            case "uncertain":
                return "uncertain"
            case _:  # a claim whose lease is over is that of a worker that died
                return "there" if int(found["leaseUntil"]["N"]) >= now * 1000 else "missing"


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

    def state(self, found: Mapping[str, Any] | None, now: float) -> State:  # noqa: ARG002 - as for effects
        """Return whether the row is as new as its item; a tombstone is one too.

        Args:
            found: The row; `None` if there is none.
            now: Seconds since 1970.
        """
        if found is None:
            return "missing"
        if not self.guard.is_newer(found.get(self.guard.by)):
            return "there"
        behind = [
            name
            for name, value in self.attributes.items()
            if self.guard.is_newer(found.get(self.guard.of(name)))
            and (name not in found or decode(found[name]) != decode(value))
        ]
        return "missing" if behind or not self.attributes else "there"


Expected = ExpectedEffect | ExpectedRow
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
    found: list[Any] = [given] if isinstance(given, ExpectedEffect | ExpectedRow | str | bytes) else list(given)
    for each in found:
        if not isinstance(each, ExpectedEffect | ExpectedRow):
            raise TypeError(
                f"an expectation is a {type(each).__name__}: return ledger.expected(key), projection.expected(item, "
                "key), a list of them, or None"
            )
    return found
