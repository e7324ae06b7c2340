"""`Refusal`: the reason why a role may not do something."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Refusal:
    """Reason why a role may not do something.

    Attributes:
        operation: The first operation that was refused, such as `SendMessage`.
        message: AWS's words.
        simulated: Whether AWS would refuse it too; otherwise that depends on something that is not evaluated here, and
            the message names it.
    """

    operation: str
    message: str
    simulated: bool = True
