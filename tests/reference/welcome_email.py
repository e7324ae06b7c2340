"""A consumer with a condition and a ledger, which needs neither a table nor a permission."""

from __future__ import annotations

from typing import Any

from handlers.cdc import Change, EffectLedger, consumer, on


class Nowhere:
    """A ledger's store that keeps nothing: deployments look at it and never run it."""

    def claim(self, key: str, owner: str, **_: Any) -> None:
        """Accept every claim."""

    def mark(self, key: str, **_: Any) -> None:
        """Accept every mark."""

    def settle(self, key: str, owner: str, **_: Any) -> bool:
        """Accept every result."""
        return True

    def release(self, key: str, owner: str) -> None:
        """Forget a claim."""


mails = EffectLedger(keep=None, store=Nowhere())


@consumer(when=on.modify & on.changed("plan") & on.new("plan").is_in(["pro", "enterprise"]))
def handler(change: Change) -> None:
    """Welcome a user whose plan has just become a paid one."""
    mails.once(f"welcome-email:{change.item['userId']}", print, change.item["userId"])
