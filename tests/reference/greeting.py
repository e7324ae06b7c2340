"""A consumer that greets a user once per plan, and expects to have done so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from handlers.cdc import Change, EffectLedger, Expectations, consumer, on

effects = EffectLedger()


@consumer(when=on.modify & on.changed("plan"))
def handler(change: Change) -> None:
    """Greet a user."""
    effects.once(f"{change.item['userId']}#{change.item['plan']}", dict)


@handler.expects
def greeted(user: Mapping[str, Any]) -> Expectations:
    """Expect a greeting for each plan."""
    return effects.expected(f"{user['userId']}#{user['plan']}")
