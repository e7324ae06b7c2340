"""The inbox of the welcome mails."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import ClassVar

from ops.demo.mechanisms import Mechanism
from ops.demo.plan import PAID_PLAN, Plan, address_of
from ops.demo.receivers.receiver import Change, Deployed, Receiver, plan_after, plan_changes, user_of


class Mailbox(Receiver):
    """The mails that SES accepted."""

    consumer: ClassVar[str] = "welcome-email"
    claim: ClassVar[str] = "each of the {count} healthy upgrades became exactly one mail, and nobody else got one"
    mechanism: ClassVar[Mechanism] = Mechanism.LEDGER

    def begin(self, deployed: Deployed, plan: Plan, without: Mechanism | None) -> None:
        """Let SES throttle some mails, and a mail end the function; of the ledger, store nothing."""
        function, control = deployed.function(self.consumer), deployed.endpoint.control
        for user in plan.throttled:
            control.throttle("sesv2:SendEmail", containing=address_of(user), times=1)
        for user in plan.crashing:
            if "forwarder" in deployed.outputs:
                control.kill("sesv2:SendEmail", containing=address_of(user), function=function)
            else:  # a batch of the stream ends at the record, wherever in the handler that is
                control.crash(user, function=function)
        if without is Mechanism.LEDGER:
            control.lose_writes(deployed.outputs["effectLedgerTable"])

    def faults(self, deployed: Deployed, plan: Plan) -> Mapping[str, tuple[int, int]]:
        """Count the throttled mails."""
        set_faults = deployed.endpoint.control.faults()
        fired = sum(fault["fired"] for fault in set_faults if fault["kind"] == "throttle")
        return {"throttled mails": (len(plan.throttled), fired)}

    def poison(self, plan: Plan) -> frozenset[str]:
        """Return the users without a usable address, and the one whose mail ends the function."""
        return plan.poison

    def expected(self, plan: Plan, changes: Sequence[Change]) -> Counter[str]:
        """Return one mail to each healthy user who was upgraded, however often."""
        upgraded = {user_of(change) for change in plan_changes(changes) if plan_after(change) == PAID_PLAN}
        return Counter(address_of(user) for user in upgraded - plan.poison)

    def found(self, deployed: Deployed) -> Counter[str]:
        """Count the mails to each address."""
        return Counter(address for mail in deployed.endpoint.control.mails() for address in mail["To"])
