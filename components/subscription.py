"""The name under which a consumer subscribes, on every way from a change to a worker."""

from __future__ import annotations

from collections.abc import Container

from components.refusal import Refused
from handlers.cdc import Consumer


def subscription_name(consumer: object, name: str | None, *, taken: Container[str], of: str) -> str:
    """Return the name of a new consumer.

    Args:
        consumer: The handler module's `@consumer`.
        name: The name that was given; the consumer's own without it.
        taken: Names of the consumers so far.
        of: Name of what they read, for the message.

    Raises:
        Refused: `consumer` is not decorated with `@consumer`, or the name is taken.
    """
    if not isinstance(consumer, Consumer):
        raise Refused(
            f"subscribe takes what @consumer made, not {consumer!r}: pass the module's handler, "
            "e.g. welcome_email.handler, and decorate it with @consumer"
        )
    name = name or consumer.name
    if name in taken:
        raise Refused(
            f"{name} reads {of} already, and a second one would do everything twice: take one away, or "
            "give this one a name of its own"
        )
    return name
