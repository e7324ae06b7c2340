"""The counters of users per plan and of upgrades per day."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC
from typing import ClassVar

from ops.demo.mechanisms import Mechanism
from ops.demo.plan import FREE_PLAN, PAID_PLAN, Plan
from ops.demo.receivers.receiver import Change, Deployed, Receiver, plan_after, plan_before

_COUNTED = "plan-counts#count#"


class PlanCounts(Receiver):
    """Counters, each an effect as often as its value says."""

    consumer: ClassVar[str] = "plan-counts"
    claim: ClassVar[str] = "users per plan and upgrades per day are counted exactly: {count} in all"
    mechanisms: ClassVar[tuple[Mechanism, ...]] = (Mechanism.COUNTER_MARKERS,)

    def begin(self, deployed: Deployed, plan: Plan, without: Mechanism | None) -> None:  # noqa: ARG002
        """Without markers, let every delivery count."""
        if without is Mechanism.COUNTER_MARKERS:
            deployed.endpoint.control.ignore_conditions(deployed.outputs["planCountsTable"])

    def expected(self, plan: Plan, changes: Sequence[Change]) -> Counter[str]:  # noqa: ARG002 - the changes know
        """Count the changes."""
        counted: Counter[str] = Counter()
        for change in changes:
            before, after = plan_before(change), plan_after(change)
            counted[f"users#{after}"] += 1
            if before is not None:
                counted[f"users#{before}"] -= 1
            if (before, after) == (FREE_PLAN, PAID_PLAN):
                written = change["dynamodb"]["ApproximateCreationDateTime"].astimezone(UTC)
                counted[f"upgrades#{written:%Y-%m-%d}"] += 1
        return +counted

    def found(self, deployed: Deployed) -> Counter[str]:
        """Add up the shards of each counter."""
        counted: Counter[str] = Counter()
        for item in deployed.items(deployed.outputs["planCountsTable"]):
            key = item["counterKey"]["S"]
            if key.startswith(_COUNTED):
                counted[key.removeprefix(_COUNTED).rpartition("#")[0]] += int(item["amount"]["N"])
        return +counted
