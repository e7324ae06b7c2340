"""A consumer that brings one of two parts, and what is done if the other one never comes."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from handlers.cdc import Change, consumer
from handlers.cdc.sequencer import Sequencer

logger = logging.getLogger(__name__)
ready = Sequencer("in-time", parts=["user", "account"], patience=timedelta(days=1))


@consumer
def handler(change: Change) -> None:
    """Bring the part of a user."""
    user = change.item
    ready.arrived(change, "user", user["userId"], {"plan": user["plan"]}, then=send)


def send(parts: Mapping[str, Mapping[str, Any]]) -> None:
    """Note both in the log, as their effect."""
    logger.info("plan %s of account %s", parts["user"]["plan"], parts["account"]["accountId"])


@ready.timed_out
def overdue(key: str, parts: Mapping[str, Mapping[str, Any]]) -> None:
    """Note in the log that one of them never came."""
    logger.info("only %s came of %s", ", ".join(parts), key)
