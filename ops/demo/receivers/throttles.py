"""Writes of a consumer that its table throttles until the record fails."""

from __future__ import annotations

from collections.abc import Sequence

from ops.demo.receivers.receiver import Deployed

#: Attempts of a write within one invocation: as many throttles let the record fail.
ATTEMPTS_OF_A_WRITE = 5


def throttle_writes(deployed: Deployed, consumer: str, operation: str, names: Sequence[str]) -> None:
    """Throttle every attempt of one invocation to write items that contain these names."""
    for name in names:
        deployed.endpoint.control.throttle(
            operation, containing=name, function=deployed.function(consumer), times=ATTEMPTS_OF_A_WRITE
        )


def throttled_writes(deployed: Deployed, consumer: str, names: Sequence[str]) -> tuple[int, int]:
    """Count a consumer's throttled calls: those that were set, and those that came about."""
    function = deployed.function(consumer)
    faults = [each for each in deployed.endpoint.control.faults() if each["function"] == function]
    fired = sum(each["fired"] for each in faults if each["kind"] == "throttle")
    return ATTEMPTS_OF_A_WRITE * len(names), fired
