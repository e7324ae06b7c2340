"""The tables of projections: one row for each user, which follows the latest plan."""

from __future__ import annotations

import contextlib
from abc import abstractmethod
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from typing import Any, ClassVar

from ops.demo.mechanisms import Mechanism
from ops.demo.plan import Plan
from ops.demo.receivers.receiver import Change, Deployed, Receiver, Served, plan_changes, user_of

Image = Mapping[str, Any]


class ProjectedTable(Receiver):
    """The rows of a projection in DynamoDB, of users whom the API has upgraded."""

    mechanisms: ClassVar[tuple[Mechanism, ...]] = (Mechanism.VERSION_GUARD,)
    #: The stack's output with the table's name.
    output: ClassVar[str]

    def begin(self, deployed: Deployed, plan: Plan, without: Mechanism | None) -> None:  # noqa: ARG002
        """Without the guard, let an older change overwrite a newer one."""
        if without is Mechanism.VERSION_GUARD:
            deployed.endpoint.control.ignore_conditions(deployed.outputs[self.output])

    def expected(self, plan: Plan, changes: Sequence[Change]) -> Counter[str]:  # noqa: ARG002 - the changes know
        """Return the row of each changed user's latest image."""
        latest = {user_of(change): change["dynamodb"]["NewImage"] for change in plan_changes(changes)}
        return Counter(row for image in latest.values() if (row := self.row(image)))

    def found(self, deployed: Deployed) -> Counter[str]:
        """Return the table's rows."""
        items = deployed.items(deployed.outputs[self.output])
        return Counter(self.row(item) for item in items if "deleted" not in item)

    @abstractmethod
    def row(self, item: Image) -> str:
        """Return the row of a user's item, or a row of the table, as a text; empty where there must be none."""


class Entitlements(ProjectedTable):
    """The plans whose features the users have."""

    consumer: ClassVar[str] = "entitlements"
    claim: ClassVar[str] = "each of the {count} upgraded users has the features of the latest plan, and nobody else any"
    output: ClassVar[str] = "entitlementsTable"

    def row(self, item: Image) -> str:
        """Return the user and the plan."""
        return f"{item['userId']['S']} has {item['plan']['S']}"


class UsersByEmail(ProjectedTable):
    """The users under their addresses."""

    consumer: ClassVar[str] = "users-by-email"
    claim: ClassVar[str] = "each of the {count} upgraded users with an address is found by it, with the latest plan"
    output: ClassVar[str] = "usersByEmailTable"

    @contextlib.contextmanager
    def serving(self, without: Mechanism | None) -> Generator[Served]:  # noqa: ARG002 - its table is the endpoint's
        """Switch it on."""
        yield Served({"weir:usersByEmail": "true"})

    def row(self, item: Image) -> str:
        """Return the address and the plan."""
        return f"{item['email']['S']} has {item['plan']['S']}" if "email" in item else ""
