"""`SequencerTimer`: the time-outs of a `Sequencer`, each a one-time schedule of EventBridge Scheduler.

A schedule's name is the hash of its key, 64 hexadecimal digits and thus all that a name may have, in a group of the
sequencer's own. The name is the idempotency: a second start under it is refused.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
from datetime import UTC, datetime
from typing import Any, Final

from handlers.cdc.bounded_client import BoundedClient

#: The environment variable that `components.Sequencer` sets: JSON of `group`, `function`, `role` and `deadLetters`.
TIMER_VARIABLE: Final = "SEQUENCER_TIMER"


class SequencerTimer:
    """A `Timer` in EventBridge Scheduler.

    Args:
        variable: The environment variable that names the group, the function and the role.
    """

    def __init__(self, variable: str = TIMER_VARIABLE) -> None:
        self.variable = variable
        self._scheduler: Any = BoundedClient("scheduler")

    def start(self, name: str, key: str, moment: float) -> None:
        """Start the time-out of a key, unless it was started before, as `Timer.start` describes."""
        given = self._given()
        # Rounded up: a schedule has whole seconds, and none ends a wait too early.
        at = datetime.fromtimestamp(math.ceil(moment), UTC)
        # A conflict: it was started before.
        with contextlib.suppress(self._scheduler.exceptions.ConflictException):
            self._scheduler.create_schedule(
                Name=hashlib.sha256(name.encode()).hexdigest(),
                GroupName=given["group"],
                ScheduleExpression=f"at({at:%Y-%m-%dT%H:%M:%S})",
                FlexibleTimeWindow={"Mode": "OFF"},
                ActionAfterCompletion="DELETE",
                Target={
                    "Arn": given["function"],
                    "RoleArn": given["role"],
                    "Input": json.dumps({"key": key}),
                    "DeadLetterConfig": {"Arn": given["deadLetters"]},
                },
            )

    def _given(self) -> dict[str, str]:
        text = os.environ.get(self.variable)
        if not text:
            raise RuntimeError(
                f"{self.variable} is not set, so nothing can end the wait: give the consumer access to a sequencer "
                "with timed_out="
            )
        return json.loads(text)
