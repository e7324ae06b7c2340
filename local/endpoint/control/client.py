"""Client of the control API: the state of mappings, metrics, mails, alarms, and fault injection."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit


class ControlError(Exception):
    """The control API refused a request; the message says why."""


@dataclass(frozen=True)
class MappingStatus:
    """Status of an event source mapping.

    Attributes:
        uuid: The mapping's UUID.
        functionName: Name of the function.
        sourceArn: ARN of the stream or queue that it reads.
        state: The mapping's state, e.g. `Enabled`.
        idle: Whether every record that was written is finished.
        unfinished: Number of records that were read and are not finished.
        invocations: Number of attempts, throttled ones included.
        retries: Number of attempts at a batch after its first.
        bisections: Number of batches that were split.
        givenUp: Number of batches that were given up.
        throttledReads: Number of reads that were refused because a shard had more readers than it serves.
    """

    uuid: str
    functionName: str  # noqa: N815 - the document's own names
    sourceArn: str  # noqa: N815
    state: str
    idle: bool
    unfinished: int
    invocations: int
    retries: int
    bisections: int
    givenUp: int  # noqa: N815
    throttledReads: int  # noqa: N815


@dataclass(frozen=True)
class PipeStatus:
    """Status of a pipe; it counts executions as `MappingStatus` counts invocations."""

    name: str
    sourceArn: str  # noqa: N815 - the document's own names
    state: str
    idle: bool
    unfinished: int
    invocations: int
    retries: int
    bisections: int
    givenUp: int  # noqa: N815
    throttledReads: int  # noqa: N815


class Control:
    """The control API of one endpoint.

    Args:
        url: The root of the endpoint's addresses.
        token: The endpoint's control token (`local.endpoint.credentials`).
    """

    def __init__(self, url: str, token: str) -> None:
        self._address = urlsplit(url).netloc
        self._token = token

    def mappings(self) -> list[MappingStatus]:
        """List every event source mapping."""
        return [MappingStatus(**each) for each in self._call("GET", "mappings")]

    def mapping(self, uuid: str) -> MappingStatus:
        """Return the status of one event source mapping."""
        return MappingStatus(**self._call("GET", f"mappings/{uuid}"))

    def history(self, uuid: str, *, after: int = 0) -> list[dict[str, Any]]:
        """List what a mapping did, oldest first: `Invocation` and `GivenUp` (`local.endpoint.delivery.history`).

        Args:
            uuid: The mapping's.
            after: Number of entries to leave out, counted from its first one.
        """
        return self._call("GET", f"mappings/{uuid}/history?after={after}")

    def pipes(self) -> list[PipeStatus]:
        """List every pipe."""
        return [PipeStatus(**each) for each in self._call("GET", "pipes")]

    def pipe(self, name: str) -> PipeStatus:
        """Return the status of one pipe."""
        return PipeStatus(**self._call("GET", f"pipes/{name}"))

    def pipe_history(self, name: str, *, after: int = 0) -> list[dict[str, Any]]:
        """List what a pipe did, oldest first; see `history`. Identifiers are event IDs, or a queue's message ids."""
        return self._call("GET", f"pipes/{name}/history?after={after}")

    def wait_until_idle(self, uuids: Iterable[str], *, timeout: float = 180.0) -> None:
        """Wait until these mappings have nothing to do.

        Raises:
            TimeoutError: They still had after `timeout` seconds.
        """
        deadline = time.monotonic() + timeout
        waited_for = list(uuids)
        while not all(self.mapping(uuid).idle for uuid in waited_for):
            if time.monotonic() > deadline:
                raise TimeoutError(f"mappings were still busy after {timeout:g} s: {waited_for}")
            time.sleep(0.02)

    def metrics(self) -> list[dict[str, Any]]:
        """List every metric: namespace, name, dimensions, and the count, sum and maximum of its values."""
        return self._call("GET", "metrics")

    def metric_sum(self, name: str, **dimensions: str) -> float:
        """Return the sum of a metric's values; 0 if nothing was recorded."""
        found = [each["sum"] for each in self.metrics() if (each["name"], each["dimensions"]) == (name, dimensions)]
        return sum(found)

    def throttling(self) -> list[dict[str, Any]]:
        """List the shards of tables' streams that refused reads: streamArn, shardId, throttledReads, and advice."""
        return self._call("GET", "throttling")

    def mails(self) -> list[dict[str, Any]]:
        """List the mails that SES accepted, oldest first: `To`, `Source`, `Subject`, `BodyText`."""
        return self._call("GET", "mails")

    def unjudged(self) -> list[str]:
        """Say what in the policies of functions, pipes and state machines the endpoint does not evaluate."""
        return self._call("GET", "unjudged")

    def advance_clock(self, seconds: float) -> float:
        """Advance the clock of tables, mappings, metrics and alarms; return the new time in seconds since 1970."""
        return self._call("POST", "clock", {"advance": seconds})["now"]

    def evaluate_alarms(self, at: float | None = None) -> dict[str, str]:
        """Evaluate every alarm at a time in seconds since 1970, by default now; return the states by alarm name.

        States change here only: DescribeAlarms shows what the last evaluation found, and a change runs the actions.
        """
        return self._call("POST", "alarms", {} if at is None else {"at": at})

    def faults(self) -> list[dict[str, Any]]:
        """List every fault that was set, with `fired`, the number of calls that it hit."""
        return self._call("GET", "faults")

    def clear_faults(self) -> None:
        """Remove every fault."""
        self._call("DELETE", "faults")

    def fail(
        self, operation: str, *, times: int | None = 1, containing: str | None = None, function: str | None = None
    ) -> None:
        """Fail the next calls of an operation, e.g. `sesv2:SendEmail`, with an internal failure.

        Args:
            operation: Service and operation.
            times: Number of calls; `None` for all.
            containing: A text; only calls that carry it as a whole value, e.g. an address, fail.
            function: Name of a function; only calls of its own, or its invocations, fail.
        """
        self.set_fault(kind="fail", operation=operation, times=times, containing=containing, function=function)

    def throttle(
        self, operation: str, *, times: int | None = 1, containing: str | None = None, function: str | None = None
    ) -> None:
        """Throttle the next calls of an operation; see `fail`."""
        self.set_fault(kind="throttle", operation=operation, times=times, containing=containing, function=function)

    def drop_answer(self, containing: str | None = None, *, times: int = 1, function: str | None = None) -> None:
        """Lose the answer of the next invocations that contain a record with this value; the function runs."""
        self.set_fault(kind="drop answer", times=times, containing=containing, function=function)

    def crash(self, containing: str, *, times: int | None = None, function: str | None = None) -> None:
        """End invocations at the record with this value; the records before it are processed."""
        self.set_fault(kind="crash", times=times, containing=containing, function=function)

    def kill(
        self,
        operation: str,
        *,
        times: int | None = None,
        containing: str | None = None,
        function: str | None = None,
    ) -> None:
        """End the process of a function that makes this call, before the call is made; see `fail`."""
        self.set_fault(kind="kill", operation=operation, times=times, containing=containing, function=function)

    def ignore_conditions(
        self, table: str | None = None, *, bucket: str | None = None, operation: str | None = None
    ) -> None:
        """Write to a table, or to a bucket, whatever the conditions of the calls say.

        Args:
            table: The table's name.
            bucket: The bucket's name.
            operation: `stepfunctions:StartExecution`, to start an execution at each call.
        """
        self.set_fault(kind="ignore conditions", table=table, bucket=bucket, operation=operation)

    def lose_writes(self, table: str) -> None:
        """Answer success to every write to a table and store nothing."""
        self.set_fault(kind="lose writes", table=table)

    def set_fault(self, **description: Any) -> None:
        """Set a fault by the attributes of `local.endpoint.control.faults.Fault`.

        Raises:
            ControlError: No such fault can exist.
        """
        self._call("POST", "faults", {name: value for name, value in description.items() if value is not None})

    def _call(self, method: str, path: str, document: Any = None) -> Any:
        connection = http.client.HTTPConnection(self._address, timeout=30)
        try:
            body = None if document is None else json.dumps(document)
            headers = {"content-type": "application/json", "authorization": f"Bearer {self._token}"}
            connection.request(method, f"/_weir/{path}", body=body, headers=headers)
            response = connection.getresponse()
            answer = json.loads(response.read())
        finally:
            connection.close()
        if response.status >= 400:
            raise ControlError(answer["message"])
        return answer
