"""The table of entitlements."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import ClassVar

from ops.demo.mechanisms import Mechanism
from ops.demo.plan import Plan
from ops.demo.receivers.receiver import Change, Deployed, Receiver, plan_after, plan_changes, user_of


class Entitlements(Receiver):
    """A projection of the users' plans."""

    consumer: ClassVar[str] = "entitlements"
    claim: ClassVar[str] = "each of the {count} upgraded users has the features of the latest plan, and nobody else any"
    mechanism: ClassVar[Mechanism] = Mechanism.VERSION_GUARD

    def begin(self, deployed: Deployed, plan: Plan, without: Mechanism | None) -> None:  # noqa: ARG002
        """Without the guard, let an older change overwrite a newer one."""
        if without is Mechanism.VERSION_GUARD:
            deployed.endpoint.control.ignore_conditions(deployed.outputs["entitlementsTable"])

    def expected(self, plan: Plan, changes: Sequence[Change]) -> Counter[str]:  # noqa: ARG002 - the changes know
        """Return each changed user with the latest plan."""
        latest = {user_of(change): plan_after(change) for change in plan_changes(changes)}
        return Counter(f"{user} has {latest[user]}" for user in latest)

    def found(self, deployed: Deployed) -> Counter[str]:
        """Return each user of the table with the plan that the features are of."""
        items = deployed.items(deployed.outputs["entitlementsTable"])
        return Counter(f"{item['userId']['S']} has {item['plan']['S']}" for item in items)
