"""A consumer that brings one of two parts, and runs an effect once both are there."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from handlers.cdc import Change, consumer
from handlers.cdc.sequencer import Sequencer

logger = logging.getLogger(__name__)
ready = Sequencer("together", parts=["user", "account"])


@consumer
def handler(change: Change) -> None:
    """Bring the part of a user."""
    user = change.item
    ready.arrived(change, "user", user["userId"], {"plan": user["plan"]}, then=send)


def send(parts: Mapping[str, Mapping[str, Any]]) -> None:
    """Note both in the log, as their effect."""
    logger.info("plan %s of account %s", parts["user"]["plan"], parts["account"]["accountId"])
