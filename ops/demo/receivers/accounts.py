"""The mails to users with a paid plan and an account, and the table in which each waits for the other."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from typing import ClassVar

from ops.demo.mechanisms import Mechanism
from ops.demo.plan import PAID_PLAN, Plan, account_of, address_of
from ops.demo.receivers.mailbox import mails
from ops.demo.receivers.receiver import Change, Deployed, Receiver, Served, plan_after, plan_changes, user_of
from ops.demo.receivers.throttles import throttle_writes, throttled_writes


class _Accounts(Receiver):
    """A consumer of one of the two tables; both write into the table that waits, and either may send the mail."""

    @contextlib.contextmanager
    def serving(self, without: Mechanism | None) -> Generator[Served]:  # noqa: ARG002 - its tables are the endpoint's
        """Switch accounts on."""
        yield Served({"weir:accounts": "true"})


class ReadyMails(_Accounts):
    """The mails that an account is ready; the consumer reads the users."""

    consumer: ClassVar[str] = "account-ready"
    companions: ClassVar[tuple[str, ...]] = ("account-ready-accounts",)
    claim: ClassVar[str] = (
        "each of the {count} users with a paid plan and an account got one mail about it, whichever came first"
    )
    mechanisms: ClassVar[tuple[Mechanism, ...]] = (Mechanism.LEDGER,)

    def begin(self, deployed: Deployed, plan: Plan, without: Mechanism | None) -> None:  # noqa: ARG002
        """Let the ledger forget what is written to it."""
        if without is Mechanism.LEDGER:
            deployed.endpoint.control.lose_writes(deployed.outputs["effectLedgerTable"])

    def poison(self, plan: Plan) -> frozenset[str]:
        """Return the users without a usable address, to whom no mail can be sent."""
        return plan.no_address

    def expected(self, plan: Plan, changes: Sequence[Change]) -> Counter[str]:
        """Return one mail to each user who was upgraded, however often, and has an account."""
        upgraded = {user_of(change) for change in plan_changes(changes) if plan_after(change) == PAID_PLAN}
        return Counter(address_of(user) for user in upgraded & plan.accounts - plan.no_address)

    def found(self, deployed: Deployed) -> Counter[str]:
        """Count the mails to each address."""
        return mails(deployed, subject="Your account ")


class WaitingAccounts(_Accounts):
    """The accounts in the table that waits; the consumer reads the accounts."""

    consumer: ClassVar[str] = "account-ready-accounts"
    companions: ClassVar[tuple[str, ...]] = ("account-ready",)
    claim: ClassVar[str] = "each of the {count} opened accounts is noted for its user"
    mechanisms: ClassVar[tuple[Mechanism, ...]] = (Mechanism.PARTIAL_BATCH_RESPONSE,)

    def begin(self, deployed: Deployed, plan: Plan, without: Mechanism | None) -> None:  # noqa: ARG002
        """Let the table throttle the write of some accounts until the record fails."""
        throttle_writes(deployed, self.consumer, "dynamodb:UpdateItem", [account_of(user) for user in plan.throttled])

    def faults(self, deployed: Deployed, plan: Plan) -> Mapping[str, tuple[int, int]]:
        """Count the throttled writes."""
        return {"throttled writes of accounts": throttled_writes(deployed, self.consumer, plan.throttled)}

    def expected(self, plan: Plan, changes: Sequence[Change]) -> Counter[str]:  # noqa: ARG002 - the changes know
        """Return every account."""
        return Counter(f"{change['dynamodb']['Keys']['accountId']['S']} of {user_of(change)}" for change in changes)

    def found(self, deployed: Deployed) -> Counter[str]:
        """Return the accounts in the table, each with the user whom it was noted for."""
        items = deployed.items(deployed.outputs["waitingTable"])
        noted = {item["sequenceKey"]["S"]: item.get("document#account", {}).get("M") for item in items}
        return Counter(
            f"{account['accountId']['S']} of {key.partition('#')[2]}" for key, account in noted.items() if account
        )
