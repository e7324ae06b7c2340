"""The metrics and the log of pipes (docs/aws-semantics.md §3.6)."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local.engine.alarms.metrics import Metrics
from local.engine.clock import Clock
from local.engine.pipes.log_records import is_logged, record

NAMESPACE = "AWS/EventBridge/Pipes"

#: Metrics with other dimensions than the pipe's name alone.
_BY_ACCOUNT = ("Concurrency",)
_BY_ACCOUNT_AND_PIPE = ("Invocations", "ExecutionThrottled")


class Concurrency:
    """The number of running executions of all pipes. Safe for threads."""

    def __init__(self) -> None:
        self._running = 0
        self._lock = threading.Lock()

    @contextmanager
    def one_more(self) -> Generator[int]:
        """Count one more while the block runs; yields the number that then run."""
        with self._lock:
            self._running += 1
            running = self._running
        try:
            yield running
        finally:
            with self._lock:
                self._running -= 1


class PipeMetrics:
    """The metrics of one pipe."""

    def __init__(self, metrics: Metrics, clock: Clock, *, pipe_name: str, account_id: str) -> None:
        self._metrics = metrics
        self._clock = clock
        self._pipe = {"PipeName": pipe_name}
        self._account = {"AwsAccountId": account_id}

    def record(self, name: str, value: float = 1) -> None:
        """Add a datapoint."""
        dimensions = self._account if name in _BY_ACCOUNT else self._pipe
        if name in _BY_ACCOUNT_AND_PIPE:
            dimensions = self._account | self._pipe
        self._metrics.record(name, value, at=self._clock.now(), namespace=NAMESPACE, **dimensions)


class PipeLog:
    """Writes a pipe's log records to CloudWatch Logs.

    Args:
        configuration: The pipe's LogConfiguration.
        pipe_arn: The pipe's ARN.
        logs: A boto3 client of CloudWatch Logs.
        clock: The clock of the records' timestamps.
    """

    def __init__(self, configuration: Mapping[str, Any], *, pipe_arn: str, logs: Any, clock: Clock) -> None:
        self._level: str = configuration.get("Level", "OFF")
        self._with_data = "ALL" in configuration.get("IncludeExecutionData", [])
        self._group = log_group_of(configuration)
        self._pipe_arn = pipe_arn
        self._logs = logs
        self._clock = clock
        self._stream = f"{pipe_arn.rpartition('/')[2]}/{uuid.uuid4().hex}"
        self._stream_exists = False
        self._lock = threading.Lock()

    def write(
        self, step: str, execution_id: str, *, data: Mapping[str, Any], error: Mapping[str, Any] | None = None
    ) -> None:
        """Write a step of an execution, if the log level includes it."""
        if self._group is None or not is_logged(step, self._level):
            return
        made = record(
            step,
            data=data if self._with_data else {},
            error=error,
            pipe_arn=self._pipe_arn,
            execution_id=execution_id,
            now=self._clock.now(),
        )
        event = {"timestamp": made["timestamp"], "message": json.dumps(made, separators=(",", ":"))}
        try:
            with self._lock:
                if not self._stream_exists:
                    self._logs.create_log_stream(logGroupName=self._group, logStreamName=self._stream)
                    self._stream_exists = True
            self._logs.put_log_events(logGroupName=self._group, logStreamName=self._stream, logEvents=[event])
        except (ClientError, BotoCoreError):
            # Logging is best effort: a missing log group does not stop events.
            return


class ExecutionTrace:
    """`Trace` of one execution, into the pipe's log and metrics."""

    def __init__(self, log: PipeLog, metrics: PipeMetrics) -> None:
        self._log = log
        self._metrics = metrics
        self._execution_id = str(uuid.uuid4())

    def step(self, name: str, *, error: Mapping[str, Any] | None = None, **data: Any) -> None:
        """Log a step; `data` are any of `payload`, `awsRequest` and `awsResponse`."""
        self._log.write(name, self._execution_id, data=data, error=error)

    def count(self, name: str, value: float = 1) -> None:
        """Add a datapoint to a metric."""
        self._metrics.record(name, value)


def log_group_of(configuration: Mapping[str, Any]) -> str | None:
    """Return the log group's name in a LogConfiguration; `None` if it names none.

    >>> log_group_of({"CloudwatchLogsLogDestination": {"LogGroupArn": "arn:aws:logs:us-east-1:1:log-group:/pipes/a:*"}})
    '/pipes/a'
    """
    destination = configuration.get("CloudwatchLogsLogDestination")
    return destination["LogGroupArn"].split(":")[6] if destination else None
