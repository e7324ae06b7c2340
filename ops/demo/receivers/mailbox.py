"""The inbox of the welcome mails."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import ClassVar

from ops.demo.mechanisms import Mechanism
from ops.demo.plan import PAID_PLAN, Plan, address_of
from ops.demo.receivers.receiver import Change, Deployed, Receiver, plan_after, plan_changes, user_of


class Mailbox(Receiver):
    """The welcome mails that SES accepted."""

    consumer: ClassVar[str] = "welcome-email"
    claim: ClassVar[str] = "each of the {count} healthy upgrades became exactly one mail, and nobody else got one"
    mechanisms: ClassVar[tuple[Mechanism, ...]] = (Mechanism.LEDGER,)

    def begin(self, deployed: Deployed, plan: Plan, without: Mechanism | None) -> None:
        """Let SES throttle some mails, and a mail end the function; of the ledger, store nothing."""
        function, control = deployed.function(self.consumer), deployed.endpoint.control
        for user in plan.throttled:
            control.throttle("sesv2:SendEmail", containing=address_of(user), function=function, times=1)
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
        fired = sum(
            fault["fired"]
            for fault in set_faults
            if fault["operation"] == "sesv2:SendEmail" and fault["kind"] == "throttle"
        )
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
        return mails(deployed, subject="Welcome to ")


def mails(deployed: Deployed, *, subject: str) -> Counter[str]:
    """Count the mails whose subject begins with a text, by their addresses."""
    sent = deployed.endpoint.control.mails()
    return Counter(address for mail in sent if mail["Subject"].startswith(subject) for address in mail["To"])
