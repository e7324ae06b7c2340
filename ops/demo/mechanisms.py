"""Mechanisms that can be switched off, to see the harm they prevent."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from local.deploy.program import Registration

_MAPPING_TYPE = "aws:lambda/eventSourceMapping:EventSourceMapping"


class Mechanism(StrEnum):
    """A part of the program that the demo's claims rest on."""

    LEDGER = "ledger"
    PARTIAL_BATCH_RESPONSE = "partial-batch-response"
    BISECT = "bisect"
    FAILURE_DESTINATION = "failure-destination"


#: The mapping's input that each mechanism consists of. The ledger is none: its table forgets what is written.
_INPUTS = {
    Mechanism.PARTIAL_BATCH_RESPONSE: "functionResponseTypes",
    Mechanism.BISECT: "bisectBatchOnFunctionError",
    Mechanism.FAILURE_DESTINATION: "destinationConfig",
}


def inputs_without(mechanism: Mechanism | None, registration: Registration) -> Mapping[str, Any]:
    """Return the inputs of a resource without its part of the mechanism."""
    left_out = _INPUTS.get(mechanism) if mechanism is not None else None
    if registration.type != _MAPPING_TYPE or left_out is None:
        return registration.inputs
    return {name: value for name, value in registration.inputs.items() if name != left_out}
