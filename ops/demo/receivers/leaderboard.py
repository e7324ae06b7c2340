"""The table of the most recent upgrades."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from datetime import UTC
from typing import ClassVar

from ops.demo.mechanisms import Mechanism
from ops.demo.plan import FREE_PLAN, PAID_PLAN, Plan
from ops.demo.receivers.receiver import (
    Change,
    Deployed,
    Receiver,
    Served,
    plan_after,
    plan_before,
    plan_changes,
    user_of,
)
from ops.demo.receivers.throttles import throttle_writes, throttled_writes


class Leaderboard(Receiver):
    """The rows of the leaderboard. Each upgrade has a key of its own, so a repeat adds none: only a loss can harm."""

    consumer: ClassVar[str] = "leaderboard"
    claim: ClassVar[str] = "the leaderboard equals a recount of the {count} upgrades, each at its time"
    mechanisms: ClassVar[tuple[Mechanism, ...]] = (Mechanism.PARTIAL_BATCH_RESPONSE,)

    @contextlib.contextmanager
    def serving(self, without: Mechanism | None) -> Generator[Served]:  # noqa: ARG002 - its table is the endpoint's
        """Switch it on."""
        yield Served({"weir:leaderboard": "true"})

    def begin(self, deployed: Deployed, plan: Plan, without: Mechanism | None) -> None:  # noqa: ARG002
        """Let the table throttle the rows of some users until the record fails."""
        throttle_writes(deployed, self.consumer, "dynamodb:PutItem", plan.throttled)

    def faults(self, deployed: Deployed, plan: Plan) -> Mapping[str, tuple[int, int]]:
        """Count the throttled writes."""
        return {"throttled rows of the leaderboard": throttled_writes(deployed, self.consumer, plan.throttled)}

    def expected(self, plan: Plan, changes: Sequence[Change]) -> Counter[str]:  # noqa: ARG002 - the changes know
        """Return each upgrade below its day, with its time, its user and the item's version."""
        counted: Counter[str] = Counter()
        for change in plan_changes(changes):
            if (plan_before(change), plan_after(change)) == (FREE_PLAN, PAID_PLAN):
                written = change["dynamodb"]["ApproximateCreationDateTime"].astimezone(UTC)
                version = change["dynamodb"]["NewImage"]["version"]["N"]
                counted[f"{written:%Y-%m-%d %H:%M:%S}#{user_of(change)}#{version}"] += 1
        return counted

    def found(self, deployed: Deployed) -> Counter[str]:
        """Return the rows."""
        rows = deployed.items(deployed.outputs["leaderboardTable"])
        return Counter(f"{row['day']['S']} {row['place']['S']}" for row in rows)
