"""The onboarding: one execution of a workflow per upgrade to a paid plan, with an approval and a way back."""

from __future__ import annotations

from handlers.cdc import Change, consumer, on
from handlers.cdc.workflow import Workflow
from handlers.plans import is_upgrade

workflow = Workflow("ONBOARDING_WORKFLOW")


@consumer(when=on.modify & on.changed("plan") & on.new("plan").is_in(["pro", "enterprise"]))
def handler(change: Change) -> None:
    """Start the onboarding of a user whose plan has become a higher one; a repeated change starts no second one."""
    user = change.item
    before = change.old.get("plan") if change.old is not None else None
    if not is_upgrade(before, user["plan"]):
        return
    upgrade = f"{user['userId']}#{user.get('version', change.event_id)}"
    workflow.start(
        f"onboarding:{upgrade}",
        {"upgrade": upgrade, "userId": user["userId"], "from": before or "none", "plan": user["plan"]},
    )
