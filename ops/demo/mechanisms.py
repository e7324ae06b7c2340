"""Mechanisms that can be switched off, to see the harm they prevent."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from local.deploy.program import Registration

_MAPPING_TYPE = "aws:lambda/eventSourceMapping:EventSourceMapping"
_WORKFLOW_TYPE = "aws:sfn/stateMachine:StateMachine"

#: Invocations of one consumer at a time: a process each, and this machine is no cloud.
_CONCURRENCY = 2


class Mechanism(StrEnum):
    """A part of the program that the demo's claims rest on."""

    LEDGER = "ledger"
    VERSION_GUARD = "version-guard"
    COUNTER_MARKERS = "counter-markers"
    IDEMPOTENCY_KEY = "idempotency-key"
    WRITE_ONCE = "write-once"
    EVENT_ID = "event-id"
    EXECUTION_NAME = "execution-name"
    COMPENSATION = "compensation"
    PARTIAL_BATCH_RESPONSE = "partial-batch-response"
    BISECT = "bisect"
    FAILURE_DESTINATION = "failure-destination"

    @property
    def switched_off(self) -> str:
        """A sentence about the program without it."""
        return _SWITCHED_OFF[self]


_SWITCHED_OFF = {
    Mechanism.LEDGER: "the effect ledger forgets what is written to it",
    Mechanism.VERSION_GUARD: "projections are written without comparing versions",
    Mechanism.COUNTER_MARKERS: "counters count every delivery of a change",
    Mechanism.IDEMPOTENCY_KEY: "the CRM does not look at idempotency keys",
    Mechanism.WRITE_ONCE: "entries of the audit log may be overwritten",
    Mechanism.EVENT_ID: "receivers of webhooks do not look at event ids",
    Mechanism.EXECUTION_NAME: "every start of a workflow gets a name of its own",
    Mechanism.COMPENSATION: "a workflow that fails does not undo what it has done",
    Mechanism.PARTIAL_BATCH_RESPONSE: "Lambda does not look at the failures that functions report",
    Mechanism.BISECT: "Lambda does not split a batch that fails",
    Mechanism.FAILURE_DESTINATION: "records that are given up go nowhere",
}

#: The mapping's input that a mechanism consists of.
_INPUTS = {
    Mechanism.PARTIAL_BATCH_RESPONSE: "functionResponseTypes",
    Mechanism.BISECT: "bisectBatchOnFunctionError",
    Mechanism.FAILURE_DESTINATION: "destinationConfig",
}

#: Mechanisms that are part of every consumer, whatever its effects are.
OF_EVERY_CONSUMER = frozenset(_INPUTS)

#: Mechanisms that an event source mapping of a stream has, and one of a queue has not.
OF_STREAMS = frozenset({Mechanism.BISECT, Mechanism.FAILURE_DESTINATION})


def demo_inputs(
    mechanism: Mechanism | None, consumers: Collection[str], registration: Registration
) -> Mapping[str, Any]:
    """Return the inputs of a resource in the demo.

    Workflows and mappings lack their part of the mechanism, and mappings of consumers that are not shown are disabled.
    A queue's mapping runs few invocations at a time.
    """
    if registration.type == _WORKFLOW_TYPE and mechanism is Mechanism.COMPENSATION:
        return {**registration.inputs, "definition": _without_catch(registration.inputs["definition"])}
    if registration.type != _MAPPING_TYPE:
        return registration.inputs
    left_out = _INPUTS.get(mechanism) if mechanism is not None else None
    inputs = {name: value for name, value in registration.inputs.items() if name != left_out}
    if "scalingConfig" in inputs:
        inputs["scalingConfig"] = {"maximumConcurrency": _CONCURRENCY}
    if registration.name not in consumers and not registration.name.endswith("-forwarder"):
        inputs["enabled"] = False
    return inputs


def _without_catch(definition: str) -> str:
    """Return a state machine's definition whose errors are caught nowhere."""
    document = json.loads(definition)
    states = {name: {key: state[key] for key in state if key != "Catch"} for name, state in document["States"].items()}
    return json.dumps({**document, "States": states})
