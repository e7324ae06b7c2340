"""`Receiver`: the receiving side of one consumer in the demo."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

from local.endpoint import Endpoint
from ops.demo.mechanisms import Mechanism
from ops.demo.plan import Plan

Change = Mapping[str, Any]


@dataclass(frozen=True)
class Deployed:
    """The deployed stack that the demo runs on.

    Attributes:
        endpoint: Its endpoint.
        outputs: Its outputs.
    """

    endpoint: Endpoint
    outputs: Mapping[str, Any]

    @cached_property
    def dynamodb(self) -> Any:
        """A client of DynamoDB."""
        return self.endpoint.client("dynamodb")

    def function(self, consumer: str) -> str:
        """Return the name of a consumer's function."""
        return self.outputs["functionNames"][consumer]

    def items(self, table: str) -> list[Mapping[str, Any]]:
        """Read every item of a table, in DynamoDB's JSON."""
        pages = self.dynamodb.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
        return [item for page in pages for item in page["Items"]]


@dataclass(frozen=True)
class Served:
    """The configuration of a stack with a backend, by full key (`weir:crmUrl`).

    Attributes:
        config: Values in clear.
        secrets: Values that are secrets.
    """

    config: Mapping[str, str] = field(default_factory=dict[str, str])
    secrets: Mapping[str, str] = field(default_factory=dict[str, str])


class Receiver(ABC):
    """The receiving side of one consumer: the effects that the changes must have, and those that they had.

    An effect is a short text, such as a user and a plan. Both sides are counted, so that a missing, a repeated and a
    strange effect all show.
    """

    #: The consumer's name.
    consumer: ClassVar[str]
    #: The claim about its effects; `{count}` is how many there must be.
    claim: ClassVar[str]
    #: The mechanisms without each of which the claim breaks.
    mechanisms: ClassVar[tuple[Mechanism, ...]]
    #: Whether a pipe reads its queue, and no function.
    is_pipe: ClassVar[bool] = False
    #: Whether its backend is a server that only `serving` starts.
    has_server: ClassVar[bool] = False
    #: Consumers that have to be shown with it.
    companions: ClassVar[tuple[str, ...]] = ()
    #: The text of the step in which people do their part, see `act`; empty if they have none.
    by_hand: ClassVar[str] = ""

    @contextlib.contextmanager
    def serving(self, without: Mechanism | None) -> Generator[Served]:  # noqa: ARG002 - most need no server
        """Run a block with the consumer's backend.

        Args:
            without: The mechanism to switch off, if that is done in the backend.

        Yields:
            The configuration that switches the consumer on.
        """
        yield Served()

    @abstractmethod
    def begin(self, deployed: Deployed, plan: Plan, without: Mechanism | None) -> None:
        """Arrange the faults of this receiver alone, and switch the mechanism off if that is done on the endpoint."""

    def before_repeats(self, deployed: Deployed) -> None:  # noqa: B027 - few have something to remember
        """Remember what must not change when old changes come again."""

    def faults(self, deployed: Deployed, plan: Plan) -> Mapping[str, tuple[int, int]]:  # noqa: ARG002 - most have none
        """Return how often each of those faults had to come about, and how often it did."""
        return {}

    def is_settled(self, deployed: Deployed, accepted: int) -> bool:  # noqa: ARG002 - most are told at once
        """Return whether everything has arrived that a pipe has sent on.

        Args:
            deployed: The stack.
            accepted: The number of changes that the pipe has accepted, repeats counted.
        """
        return True

    def act(self, deployed: Deployed, plan: Plan, tell: Callable[[str], None]) -> None:  # noqa: B027 - most have no people
        """Do what people do when all is quiet.

        Args:
            deployed: The stack.
            plan: What they do.
            tell: Called with the progress.
        """

    def poison(self, plan: Plan) -> frozenset[str]:  # noqa: ARG002 - most have none
        """Return the users whose upgrade this consumer must give up."""
        return frozenset()

    @abstractmethod
    def expected(self, plan: Plan, changes: Sequence[Change]) -> Counter[str]:
        """Return the effects that the table's changes must have had."""

    @abstractmethod
    def found(self, deployed: Deployed) -> Counter[str]:
        """Return the effects that they had."""


def user_of(change: Change) -> str:
    """Return the user of a change: of the user's own item, or of the account."""
    parts = change["dynamodb"]
    return {**parts.get("OldImage", {}), **parts.get("NewImage", {}), **parts["Keys"]}["userId"]["S"]


def plan_before(change: Change) -> str | None:
    """Return the user's plan before a change."""
    return change["dynamodb"].get("OldImage", {}).get("plan", {}).get("S")


def plan_after(change: Change) -> str | None:
    """Return the user's plan after a change."""
    return change["dynamodb"].get("NewImage", {}).get("plan", {}).get("S")


def plan_changes(changes: Sequence[Change]) -> list[Change]:
    """List the changes of items that existed before: of users, these are all of plans."""
    return [change for change in changes if change["eventName"] == "MODIFY"]
