"""The receiving sides of the program's consumers."""

from __future__ import annotations

from ops.demo.receivers.accounts import ReadyMails, WaitingAccounts
from ops.demo.receivers.audit import AuditLog
from ops.demo.receivers.crm import Crm
from ops.demo.receivers.leaderboard import Leaderboard
from ops.demo.receivers.mailbox import Mailbox
from ops.demo.receivers.onboarding import Onboarding
from ops.demo.receivers.plan_counts import PlanCounts
from ops.demo.receivers.projections import Entitlements, UsersByEmail
from ops.demo.receivers.read_models import CachedUsers, PostgresqlUsers
from ops.demo.receivers.receiver import Deployed, Receiver
from ops.demo.receivers.webhooks import Partner, Subscriber

__all__ = ["RECEIVERS", "Deployed", "Receiver"]

#: Every consumer that the demo shows, in the order of its report.
RECEIVERS: tuple[type[Receiver], ...] = (
    *(Mailbox, Entitlements, PlanCounts, Crm, AuditLog),
    *(UsersByEmail, Onboarding, PostgresqlUsers, CachedUsers),
    *(Partner, Subscriber, ReadyMails, WaitingAccounts, Leaderboard),
)
