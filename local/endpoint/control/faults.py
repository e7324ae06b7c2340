"""Fault injection for the demo and the tests. Every fault counts how often it fired."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from local.endpoint.api.aws_call import SERVICES, AwsCall, service_model
from local.endpoint.api.errors import AwsError
from local.endpoint.api.writes import written_tables
from local.endpoint.functions.names import name_of

Kind = Literal["fail", "throttle", "drop answer", "crash", "kill", "lose writes", "ignore conditions"]

KINDS: tuple[Kind, ...] = get_args(Kind)

#: The members of a fault's description, separated by spaces.
FAULT_MEMBERS = "kind operation containing table bucket function times"

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
            the records of an invocation before the one that contains the text, and then ends it. `kill` ends the
            process of the function that makes a call, and the call is not made. `lose writes` answers success to
            writes to a table and stores nothing; of a batch or transaction, nothing at all. `ignore conditions` writes
            to a table or bucket whatever the conditions of the call say, and lets each StartExecution start one.
        operation: The operation to hit, e.g. `sesv2:SendEmail`. Some kinds have one of their own.
        containing: A text; only calls that carry it as a whole value, e.g. a key or an address, are hit.
        table: Name of the table whose writes are lost, or whose conditions are ignored.
        bucket: Name of the bucket whose conditions are ignored.
        function: Name of a function; only its invocations, and calls that it makes itself, are hit.
        times: How often it fires; `None` for always.
        fired: How often it has fired.
    """

    kind: Kind
    operation: str = ""
    containing: str | None = None
    table: str | None = None
    bucket: str | None = None
    function: str | None = None
    times: int | None = None
    fired: int = 0

    def applies(self, call: AwsCall, caller: str | None) -> bool:
        """Return whether it would fire for a call.

        Args:
            call: The call.
            caller: Name of the function that makes it; `None` for any other client.
        """
        if self.times is not None and self.fired >= self.times:
            return False
        if self.function is not None and self.function not in (caller, _invoked(call)):
            return False
        if self.kind == "ignore conditions" and self.operation:
            return str(call) == self.operation
        if self.kind == "ignore conditions" and self.bucket is not None:
            return str(call) == "s3:PutObject" and call.parameters["Bucket"] == self.bucket
        if self.kind in ("lose writes", "ignore conditions"):
            return self.table in written_tables(call)
        if self.kind == "kill" and caller is None:
            return False
        if str(call) != self.operation:
            return False
        return self.containing is None or contains(call.parameters, self.containing)

    def error(self, call: AwsCall) -> AwsError:
        """Make the error that `fail` and `throttle` answer with."""
        if self.kind == "throttle":
            code, status = _THROTTLED.get(call.service, ("ThrottlingException", 400))
            return AwsError(code, "Rate exceeded (fault injected)", status=status)
        return AwsError("InternalFailure", "The request failed (fault injected)", status=500)


#: The member that a kind cannot do without, or several of which it needs one.
_NEEDED = {
    "fail": ("operation",),
    "throttle": ("operation",),
    "kill": ("operation",),
    "crash": ("containing",),
    "lose writes": ("table",),
    "ignore conditions": ("table", "bucket", "operation"),
}


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

    def fire(self, call: AwsCall, caller: str | None = None) -> Fault | None:
        """Count and return the first fault that hits this call. A crash is first of all: nothing runs after it.

        Args:
            call: The call.
            caller: Name of the function that makes it; `None` for any other client.
        """
        with self._lock:
            for fault in sorted(self._faults, key=lambda fault: fault.kind not in ("crash", "kill")):
                if fault.applies(call, caller):
                    fault.fired += 1
                    return fault
        return None


def contains(value: Any, text: str) -> bool:
    """Return whether any value in a document is this text. A body that is a JSON object is searched as well.

    >>> contains({"Payload": b'{"Records": [{"userId": {"S": "u1"}}]}'}, "u1")
    True
    >>> contains({"Records": [{"body": '{"userId": {"S": "u1"}}'}]}, "u1")
    True
    """
    match value:
        case str():
            return value == text or (value.startswith("{") and contains(value.encode(), text))
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


def without_conditions(call: AwsCall) -> AwsCall:
    """Return a write to DynamoDB or S3 without its conditions, or a start of an execution without its name."""
    if call.service == "s3":
        parameters = {name: value for name, value in call.parameters.items() if name != "IfNoneMatch"}
        headers = {name: value for name, value in call.request.headers.items() if name != "if-none-match"}
        return replace(call, parameters=parameters, request=replace(call.request, headers=headers))
    document = json.loads(call.request.body)
    if call.service == "stepfunctions":
        document.pop("name", None)
    else:
        document = _unconditional(document)
    return replace(call, parameters=document, request=call.request.with_body(json.dumps(document).encode()))


def _unconditional(value: Any) -> Any:
    match value:
        case Mapping():
            kept = {name: _unconditional(each) for name, each in value.items() if name != "ConditionExpression"}
            return _with_used_names(kept) if "ConditionExpression" in value else kept
        case list():
            # A check alone is all condition.
            return [
                _unconditional(each) for each in value if not isinstance(each, Mapping) or "ConditionCheck" not in each
            ]
        case _:
            return value


def _with_used_names(write: dict[str, Any]) -> dict[str, Any]:
    """Leave out the names and values that only the condition used: DynamoDB refuses those that nothing uses."""
    for member in ("ExpressionAttributeNames", "ExpressionAttributeValues"):
        used = {
            name: each
            for name, each in write.pop(member, {}).items()
            if re.search(re.escape(name) + r"(?!\w)", write.get("UpdateExpression", ""))
        }
        if used:
            write[member] = used
    return write


def _invoked(call: AwsCall) -> str | None:
    """Return the name of the function that a call invokes."""
    return name_of(call.parameters["FunctionName"]) if str(call) == "lambda:Invoke" else None


def _fault(description: Mapping[str, Any]) -> Fault:
    kind = description.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise ValueError(f"{kind!r} is not a fault: choose one of {', '.join(KINDS)}")
    needed = _NEEDED.get(kind, ())
    if needed and not any(description.get(each) for each in needed):
        raise ValueError(f"the fault {kind!r} needs {' or '.join(map(repr, needed))}")
    unknown = set(description) - set(FAULT_MEMBERS.split())
    if unknown:
        raise ValueError(f"a fault has no {', '.join(sorted(unknown))}")
    for name in ("operation", "containing", "table", "bucket", "function"):
        if not isinstance(description.get(name, ""), str):
            raise ValueError(f"{name!r} of a fault must be a text, not {description[name]!r}")
    times = description.get("times", 1)
    if isinstance(times, bool) or not isinstance(times, int) or times < 1:
        raise ValueError(f"'times' of a fault must be a whole number from 1, not {times!r}; leave it out for always")
    if kind in ("drop answer", "crash"):
        description = {**description, "operation": "lambda:Invoke"}
    if kind == "ignore conditions" and description.get("operation") not in (None, "stepfunctions:StartExecution"):
        raise ValueError("'operation' of the fault 'ignore conditions' can only be stepfunctions:StartExecution")
    if "operation" in description:
        _check_operation(description["operation"])
    return Fault(**description)


def _check_operation(operation: str) -> None:
    service, _, name = operation.partition(":")
    if service not in SERVICES or not name:
        raise ValueError(f"{operation!r} is not an operation: write service:Operation, e.g. sesv2:SendEmail")
    if name not in service_model(service).operation_names:
        raise ValueError(f"{service} has no operation {name}")
