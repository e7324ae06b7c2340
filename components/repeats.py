"""Repeats: how a consumer makes a second delivery of a change harmless.

A fan-out, a pipe and a Kinesis stream deliver every change at least once. So each subscriber either uses something of
the runtime that makes repeats harmless, which is found in its module, or declares in words what does.
"""

from __future__ import annotations

import sys

from components.refusal import Refused
from handlers.cdc import Consumer, EffectLedger
from handlers.cdc.counters import Counters
from handlers.cdc.projection import DynamoDBProjection, search_version
from handlers.cdc.projection_redis import RedisProjection
from handlers.cdc.projection_sql import SqlProjection
from handlers.cdc.write_once import WriteOnceBucket

#: The runtime's means, and how each makes repeats harmless.
_FOUND: tuple[tuple[type, str], ...] = (
    (EffectLedger, "the effect ledger runs each effect once per key"),
    (Counters, "the counters count each change once, by a marker"),
    (DynamoDBProjection, "the projection's version guard ignores what it has seen"),
    (SqlProjection, "the projection's version guard ignores what it has seen"),
    (RedisProjection, "the projection's version guard ignores what it has seen"),
    (WriteOnceBucket, "an object of the bucket is written once and never replaced"),
)


def harmless_repeats(name: str, consumer: Consumer, declared: str | None) -> str:
    """Return how a consumer makes repeats harmless: in its own words, else by what its module uses.

    Args:
        name: The consumer's name, for the message.
        consumer: The consumer.
        declared: The words of `subscribe(repeats=…)`.

    Raises:
        Refused: Nothing is declared and nothing is found.
    """
    if declared is not None and declared.strip():
        return declared
    found = found_harmless(consumer)
    if found is None:
        raise Refused(
            f"{name}: a fan-out delivers every change at least once, and nothing in {consumer.module} makes a repeat "
            "harmless: an effect could happen twice; run it through effects.once(…) of handlers.cdc, count with "
            "Counters, write with a projection, or say in words what makes repeats harmless: "
            'subscribe(…, repeats="the object\'s key is the event id, so a second write changes nothing")'
        )
    return found


def found_harmless(consumer: Consumer) -> str | None:
    """Return how what a consumer's module uses makes repeats harmless; `None` if it uses nothing that does."""
    for value in vars(sys.modules[consumer.module]).values():
        if value is search_version:
            return "the search index takes a document only with a higher version"
        for kind, words in _FOUND:
            if isinstance(value, kind):
                return words
    return None
