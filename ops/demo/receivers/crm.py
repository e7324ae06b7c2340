"""The CRM, a real HTTP server on 127.0.0.1."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from typing import ClassVar

from ops.demo.mechanisms import Mechanism
from ops.demo.plan import Plan
from ops.demo.receivers.crm_server import CrmServer
from ops.demo.receivers.receiver import Change, Deployed, Receiver, Served, plan_after, plan_changes, user_of


class Crm(Receiver):
    """The updates that the CRM applied."""

    consumer: ClassVar[str] = "crm-sync"
    claim: ClassVar[str] = "each of the {count} changes of a plan was applied once in the CRM"
    has_server: ClassVar[bool] = True
    mechanisms: ClassVar[tuple[Mechanism, ...]] = (Mechanism.IDEMPOTENCY_KEY,)

    def __init__(self) -> None:
        self._server: CrmServer | None = None

    @contextlib.contextmanager
    def serving(self, without: Mechanism | None) -> Generator[Served]:
        """Run a block with the CRM; without the mechanism it does not look at idempotency keys."""
        with CrmServer(recognises_repeats=without is not Mechanism.IDEMPOTENCY_KEY).running() as server:
            self._server = server
            yield Served({"weir:crmUrl": server.url}, {"weir:crmToken": "the-demo's-token"})

    def begin(self, deployed: Deployed, plan: Plan, without: Mechanism | None) -> None:  # noqa: ARG002
        """Let the CRM apply some updates without an answer."""
        self.server.lost.update(plan.throttled)

    def faults(self, deployed: Deployed, plan: Plan) -> Mapping[str, tuple[int, int]]:  # noqa: ARG002
        """Count the answers that the CRM did not give."""
        return {"answers lost by the CRM": (len(plan.throttled), len(plan.throttled) - len(self.server.lost))}

    def expected(self, plan: Plan, changes: Sequence[Change]) -> Counter[str]:  # noqa: ARG002 - the changes know
        """Return every change of a plan."""
        return Counter(f"{user_of(change)} on {plan_after(change)}" for change in plan_changes(changes))

    def found(self, deployed: Deployed) -> Counter[str]:  # noqa: ARG002 - it is no part of the stack
        """Return every update that was applied."""
        return Counter(f"{user} on {body['plan']}" for user, body in self.server.applied)

    @property
    def server(self) -> CrmServer:
        """The CRM; it serves while `serving` runs."""
        if self._server is None:
            raise RuntimeError("the CRM does not serve yet")
        return self._server
