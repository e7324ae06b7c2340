"""Fault injection for the demo and the tests. Every fault counts how often it fired."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from local.endpoint.api.aws_call import SERVICES, AwsCall, service_model
from local.endpoint.api.errors import AwsError
from local.endpoint.api.writes import written_tables

Kind = Literal["fail", "throttle", "drop answer", "crash", "lose writes"]

KINDS: tuple[Kind, ...] = ("fail", "throttle", "drop answer", "crash", "lose writes")

#: The members of a fault's description, separated by spaces.
FAULT_MEMBERS = "kind operation containing table times"

#: Code and status of throttling, by service; the others answer ThrottlingException with 400.
_THROTTLED = {
    "dynamodb": ("ProvisionedThroughputExceededException", 400),
    "lambda": ("TooManyRequestsException", 429),
    "s3": ("SlowDown", 503),
    "sesv2": ("TooManyRequestsException", 429),
}


@dataclass(kw_only=True)
class Fault:
    """One fault.

    Attributes:
        kind: `fail` and `throttle` refuse a call. `drop answer` runs an invocation and loses its answer. `crash` runs
            the records of an invocation before the one that contains the text, and then ends it. `lose writes` answers
            success to writes to a table and stores nothing; of a batch or transaction, nothing at all.
        operation: The operation to hit, e.g. `sesv2:SendEmail`. Some kinds have one of their own.
        containing: A text; only calls that carry it as a whole value, e.g. a key or an address, are hit.
        table: Name of the table whose writes are lost.
        times: How often it fires; `None` for always.
        fired: How often it has fired.
    """

    kind: Kind
    operation: str = ""
    containing: str | None = None
    table: str | None = None
    times: int | None = None
    fired: int = 0

    def applies(self, call: AwsCall) -> bool:
        """Return whether it would fire for a call."""
        if self.times is not None and self.fired >= self.times:
            return False
        if self.kind == "lose writes":
            return self.table in written_tables(call)
        if str(call) != self.operation:
            return False
        return self.containing is None or contains(call.parameters, self.containing)

    def error(self, call: AwsCall) -> AwsError:
        """Make the error that `fail` and `throttle` answer with."""
        if self.kind == "throttle":
            code, status = _THROTTLED.get(call.service, ("ThrottlingException", 400))
            return AwsError(code, "Rate exceeded (fault injected)", status=status)
        return AwsError("InternalFailure", "The request failed (fault injected)", status=500)


class Faults:
    """The faults that are set. Safe for threads."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, description: Mapping[str, Any]) -> Fault:
        """Set a fault, by its attributes.

        Raises:
            ValueError: No such fault can exist.
        """
        fault = _fault(description)
        with self._lock:
            self._faults.append(fault)
        return fault

    def all(self) -> list[Fault]:
        """Return every fault that was set, with its count."""
        with self._lock:
            return list(self._faults)

    def clear(self) -> None:
        """Remove all faults."""
        with self._lock:
            self._faults.clear()

    def fire(self, call: AwsCall) -> Fault | None:
        """Count and return the first fault that hits this call. A crash is first of all: nothing runs after it."""
        with self._lock:
            for fault in sorted(self._faults, key=lambda fault: fault.kind != "crash"):
                if fault.applies(call):
                    fault.fired += 1
                    return fault
        return None


def contains(value: Any, text: str) -> bool:
    """Return whether any value in a document is this text. A body that is JSON is searched as well.

    >>> contains({"Payload": b'{"Records": [{"userId": {"S": "u1"}}]}'}, "u1")
    True
    """
    match value:
        case str():
            return value == text
        case bytes():
            try:
                return contains(json.loads(value), text)
            except ValueError:
                return False
        case Mapping():
            return any(contains(member, text) for member in value.values())
        case list():
            return any(contains(member, text) for member in value)
        case _:
            return False


def records_before(call: AwsCall, text: str) -> AwsCall | None:
    """Cut an invocation off before its first record that contains a text; `None` if no record is left."""
    event = json.loads(call.request.body)
    records = event.get("Records", []) if isinstance(event, dict) else []
    hit = next((index for index, record in enumerate(records) if contains(record, text)), 0)
    if not hit:
        return None
    payload = json.dumps({**event, "Records": records[:hit]}).encode()
    return replace(call, parameters={**call.parameters, "Payload": payload}, request=call.request.with_body(payload))


def _fault(description: Mapping[str, Any]) -> Fault:
    kind = description.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise ValueError(f"{kind!r} is not a fault: choose one of {', '.join(KINDS)}")
    needed = {"fail": "operation", "throttle": "operation", "crash": "containing", "lose writes": "table"}.get(kind)
    if needed is not None and not description.get(needed):
        raise ValueError(f"the fault {kind!r} needs {needed!r}")
    unknown = set(description) - set(FAULT_MEMBERS.split())
    if unknown:
        raise ValueError(f"a fault has no {', '.join(sorted(unknown))}")
    for name in ("operation", "containing", "table"):
        if not isinstance(description.get(name, ""), str):
            raise ValueError(f"{name!r} of a fault must be a text, not {description[name]!r}")
    times = description.get("times", 1)
    if isinstance(times, bool) or not isinstance(times, int) or times < 1:
        raise ValueError(f"'times' of a fault must be a whole number from 1, not {times!r}; leave it out for always")
    if kind in ("drop answer", "crash"):
        description = {**description, "operation": "lambda:Invoke"}
    if "operation" in description:
        _check_operation(description["operation"])
    return Fault(**description)


def _check_operation(operation: str) -> None:
    service, _, name = operation.partition(":")
    if service not in SERVICES or not name:
        raise ValueError(f"{operation!r} is not an operation: write service:Operation, e.g. sesv2:SendEmail")
    if name not in service_model(service).operation_names:
        raise ValueError(f"{service} has no operation {name}")
