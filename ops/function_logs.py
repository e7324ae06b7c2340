"""The logs of functions: lines of Lambda and of the consumers' runtime, read from CloudWatch Logs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["start", "end", "report", "metrics", "failure", "parked", "log", "dead letter", "mail"]

_PLATFORM = re.compile(r"(START|END|REPORT) RequestId: ([0-9a-f-]+)")
_PLATFORM_KINDS: Mapping[str, Kind] = {"START": "start", "END": "end", "REPORT": "report"}
_RUNTIME = "handlers.cdc"


@dataclass(frozen=True)
class LogLine:
    """One event of a function's log.

    Attributes:
        at: Seconds since 1970.
        function: The function's name.
        stream: The log stream, one per execution environment.
        kind: Its meaning: lines of the platform, metrics that the runtime counted, a record that failed or was parked,
            or any other line. A dead letter and a mail are not lines of a log: their text is the location, or the
            receiver and the subject.
        level: `ERROR`, `WARNING`, `INFO` and so on; empty where the line has none.
        request_id: The invocation's; empty where the line does not name it.
        text: The message, with the type and text of an exception.
        members: All members of a line in JSON.
    """

    at: float
    function: str
    stream: str
    kind: Kind
    level: str
    request_id: str
    text: str
    members: Mapping[str, Any]


def parse(event: Mapping[str, Any], function: str) -> LogLine:
    """Parse an event as FilterLogEvents returns it."""
    text = str(event["message"]).rstrip("\n")
    kind: Kind = "log"
    level, request_id = "", ""
    members: Mapping[str, Any] = {}
    if platform := _PLATFORM.match(text):
        kind, request_id = _PLATFORM_KINDS[platform[1]], platform[2]
    elif found := _object(text):
        members = found
        level, request_id = str(found.get("level", "")), str(found.get("requestId", ""))
        if {"resourceArn", "executionId", "messageType"} <= found.keys():
            return _step_of_pipe(event, function, found)
        if "_aws" in found:
            kind = "metrics"
        elif found.get("logger") == _RUNTIME:
            message = str(found.get("message", ""))
            kind = "parked" if " is parked: " in message else "failure" if level == "ERROR" else "log"
        text = _with_exception(found) if kind != "metrics" else text
    return LogLine(
        event["timestamp"] / 1000, function, event.get("logStreamName", ""), kind, level, request_id, text, members
    )


def _step_of_pipe(event: Mapping[str, Any], pipe: str, members: Mapping[str, Any]) -> LogLine:
    """Read a step of a pipe's execution (docs/aws-semantics.md §3.6)."""
    level, step, error = str(members.get("logLevel", "")), str(members["messageType"]), members.get("error")
    text = f"{step}: {error.get('message', '')}" if isinstance(error, Mapping) else step
    kind: Kind = "failure" if level == "ERROR" else "log"
    at, stream = event["timestamp"] / 1000, event.get("logStreamName", "")
    return LogLine(at, pipe, stream, kind, level, str(members["executionId"]), text, members)


class LogReader:
    """Reads a function's log on and on, each event once.

    Args:
        logs: A boto3 client of CloudWatch Logs.
        function: The function's name, which lines carry.
        group: The log group.
        since: The time of the first event, in seconds since 1970.
    """

    def __init__(self, logs: Any, *, function: str, group: str, since: float) -> None:
        self._logs = logs
        self._function = function
        self._group = group
        self._from = int(since * 1000)
        self._seen: set[tuple[str, int, str]] = set()

    def new(self) -> Iterator[LogLine]:
        """Yield the events that were written since the last call, in the order of CloudWatch."""
        pages = self._logs.get_paginator("filter_log_events").paginate(logGroupName=self._group, startTime=self._from)
        read: list[tuple[str, int, str]] = []
        for page in pages:
            for event in page["events"]:
                # Several events have the same time, and the local endpoint gives them no eventId.
                identity = (event.get("logStreamName", ""), event["timestamp"], event["message"])
                read.append(identity)
                if identity not in self._seen:
                    yield parse(event, self._function)
        if read:
            self._from = max(at for _, at, _ in read)
            self._seen = {identity for identity in read if identity[1] == self._from}


def _object(text: str) -> Mapping[str, Any] | None:
    if not text.startswith("{"):
        return None
    try:
        return json.loads(text)
    except ValueError:
        return None


def _with_exception(members: Mapping[str, Any]) -> str:
    error = ": ".join(str(members[name]) for name in ("errorType", "errorMessage") if members.get(name))
    message = str(members.get("message", ""))
    return f"{message}: {error}" if message and error else message or error or json.dumps(members)


def log_group_of(functions: Any, function: str) -> str:
    """Return the log group of a function.

    Args:
        functions: A boto3 client of Lambda.
        function: Name of the function.
    """
    return log_group_in(functions.get_function_configuration(FunctionName=function))


def log_group_in(configuration: Mapping[str, Any]) -> str:
    """Return the log group in what GetFunctionConfiguration answers."""
    group = configuration.get("LoggingConfig", {}).get("LogGroup")
    return group or f"/aws/lambda/{configuration['FunctionName']}"
