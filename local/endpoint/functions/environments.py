"""Execution environments: every function runs in processes of its own.

ministack keeps functions and their configuration. Invocations run here, since ministack's own runner passes the
endpoint's environment on, ends the process of a handler that raises, knows one error type only, gives every retry a new
request id, and waits 50 ms for a log that may not come.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import uuid
import zipfile
from collections.abc import Generator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from typing import IO, Any, Protocol, cast

from local.endpoint import ministack_internals
from local.endpoint.authorization.sessions import IssueKeys, SessionKeys
from local.endpoint.clients import Connection
from local.endpoint.functions.runtime_packages import link_runtime_packages
from local.engine.alarms.metrics import Metrics
from local.engine.clock import Clock

#: Type of the error of a function that ran out of time.
TIMED_OUT = "Sandbox.Timedout"

#: Maximum of seconds to load a handler, which do not count against the function's timeout.
INIT_SECONDS = 30.0

#: Environments that load their handlers at the same time. AWS has a machine for each; here more would slow one another
#: down, while an environment that is free again soon serves whoever waits.
STARTS_AT_ONCE = max(2, os.cpu_count() or 1)
#: Maximum of seconds that an invocation waits for its turn to start an environment: a handler that is being loaded may
#: itself call a function.
PATIENCE_SECONDS = 20.0

_BOOTSTRAP = Path(__file__).with_name("bootstrap.py")

_request_id: ContextVar[str | None] = ContextVar("request_id", default=None)

Configuration = Mapping[str, Any]


class MayLog(Protocol):
    """Decides whether a role lets a function write its log."""

    def __call__(self, role_arn: str, function: str, group: str, stream: str, *, new_group: bool) -> bool:
        """Return whether it does."""
        ...


@contextlib.contextmanager
def named(request_id: str | None) -> Generator[None]:
    """Give the block's invocations this request id instead of a new one."""
    token = _request_id.set(request_id)
    try:
        yield
    finally:
        _request_id.reset(token)


class Failure(Exception):
    """An invocation that failed.

    Attributes:
        document: Lambda's answer: errorMessage, errorType and, from a handler, stackTrace.
    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        super().__init__(document["errorMessage"])
        self.document = document


def timeout_error(request_id: str, phase: str, seconds: float) -> Failure:
    """Make Lambda's error for a function that ran out of time."""
    message = f"RequestId: {request_id} Error: {phase} timed out after {seconds:.2f} seconds"
    return Failure({"errorType": TIMED_OUT, "errorMessage": message})


@dataclass
class Trace:
    """Output and duration of one invocation.

    Attributes:
        log: Lines of the handler's output.
        seconds: Seconds that the handler ran; loading it is not part of them.
        init_seconds: Seconds that loading took; `None` if the handler was loaded already.
    """

    log: list[str] = field(default_factory=list[str])
    seconds: float = 0.0
    init_seconds: float | None = None


def exit_error(request_id: str, status: int = 1) -> Failure:
    """Make Lambda's error for a process that ended during an invocation."""
    how = f"Runtime exited with error: exit status {status}" if status else "Runtime exited without providing a reason"
    return Failure({"errorType": "Runtime.ExitError", "errorMessage": f"RequestId: {request_id} Error: {how}"})


class Environment:
    """A process with the function's code. It runs one invocation at a time and is reused until it ends.

    Attributes:
        log_group: The log group of its invocations.
        log_stream: The log stream of its invocations.
        access_key_id: The id of the access key that it calls AWS with.
    """

    def __init__(
        self,
        configuration: Configuration,
        code: bytes,
        packages: Sequence[Path],
        *,
        connection: Connection,
        keys: SessionKeys,
    ) -> None:
        self._configuration = configuration
        self.access_key_id = keys.access_key_id
        name, version = configuration["FunctionName"], configuration.get("Version", "$LATEST")
        self.log_group: str = configuration.get("LoggingConfig", {}).get("LogGroup", f"/aws/lambda/{name}")
        self.log_stream = f"{time.strftime('%Y/%m/%d')}/[{version}]{uuid.uuid4().hex}"
        self._ended = False
        self._directory = Path(tempfile.mkdtemp(prefix="weir-function-"))
        with zipfile.ZipFile(io.BytesIO(code)) as archive:
            archive.extractall(self._directory)
        self._process = subprocess.Popen(  # noqa: S603 - the function's own code is what this is for
            [sys.executable, "-S", "-P", str(_BOOTSTRAP), *map(str, packages)],
            cwd=self._directory,
            env=self._variables(connection, keys),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        )

    @property
    def alive(self) -> bool:
        """`True` if it can run another invocation; a process that was told to end cannot."""
        return not self._ended and self._process.poll() is None

    def load(self, request_id: str, trace: Trace) -> None:
        """Wait until the handler's module is imported; this is the first invocation's part of Lambda's init phase.

        Args:
            request_id: The request id of the invocation that waits.
            trace: Gets the module's output, and how long it took.

        Raises:
            Failure: The import failed, ended the process or took too long.
        """
        begun = time.monotonic()
        answer = self._answer(INIT_SECONDS, trace.log, request_id, "Init")
        trace.init_seconds = time.monotonic() - begun
        if "failure" in answer:
            raise Failure(answer["failure"])

    def invoke(self, event: Any, request_id: str, trace: Trace) -> Any:
        """Run an invocation in an environment that has loaded its handler, and return the handler's result.

        Args:
            event: The handler's event.
            request_id: The invocation's request id.
            trace: Gets the handler's output, and how long it ran.

        Raises:
            Failure: The handler raised, ended its process or ran out of time.
        """
        timeout = float(self._configuration["Timeout"])
        invocation = {
            "requestId": request_id,
            "functionArn": self._configuration["FunctionArn"],
            "deadline": time.time() + timeout,
        }
        with contextlib.suppress(BrokenPipeError):
            stdin = cast("IO[str]", self._process.stdin)
            text = event if isinstance(event, ministack_internals.RawJson) else json.dumps(event)
            stdin.write(f'{{"event": {text}, {json.dumps(invocation)[1:]}\n')
            stdin.flush()
        begun = time.monotonic()
        try:
            answer = self._answer(timeout, trace.log, request_id, "Task")
        finally:
            trace.seconds = min(time.monotonic() - begun, timeout)
        if "failure" in answer:
            raise Failure(answer["failure"])
        return answer["result"]

    def kill(self) -> None:
        """End the process, as a fault of the function's code would."""
        self._ended = True
        self._process.kill()

    def close(self) -> None:
        """End the process and remove its files."""
        self.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _variables(self, connection: Connection, keys: SessionKeys) -> dict[str, str]:
        """Return the process's whole environment: Lambda's variables and the function's own."""
        configuration, directory = self._configuration, str(self._directory)
        return {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "TZ": ":UTC",
            "TMPDIR": tempfile.gettempdir(),
            "HOME": directory,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": connection.url,
            "AWS_REGION": connection.region,
            "AWS_DEFAULT_REGION": connection.region,
            "AWS_ACCESS_KEY_ID": keys.access_key_id,
            "AWS_SECRET_ACCESS_KEY": keys.secret_access_key,
            "AWS_SESSION_TOKEN": keys.session_token,
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{configuration.get('Runtime', '')}",
            "AWS_LAMBDA_FUNCTION_NAME": configuration["FunctionName"],
            "AWS_LAMBDA_FUNCTION_VERSION": configuration.get("Version", "$LATEST"),
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(configuration.get("MemorySize", 128)),
            "AWS_LAMBDA_LOG_FORMAT": configuration.get("LoggingConfig", {}).get("LogFormat", "Text"),
            "AWS_LAMBDA_LOG_GROUP_NAME": self.log_group,
            "AWS_LAMBDA_LOG_STREAM_NAME": self.log_stream,
            "LAMBDA_TASK_ROOT": directory,
            "_HANDLER": configuration["Handler"],
            **configuration.get("Environment", {}).get("Variables", {}),
        }

    def _answer(self, seconds: float, log: list[str], request_id: str, phase: str) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        timer = threading.Timer(seconds, self.kill)
        timer.start()
        answer: dict[str, Any] | None = None
        try:
            for line in cast("IO[str]", self._process.stdout):
                if line.startswith("\0"):
                    answer = json.loads(line[1:])
                    break
                if line != "\n":
                    log.append(line.rstrip("\n"))
        finally:
            timer.cancel()
        # An answer that came too late is none, although the timer has not ended the process yet.
        if time.monotonic() >= deadline:
            self.kill()
            raise timeout_error(request_id, phase, seconds)
        if answer is None:
            self._ended = True
            raise exit_error(request_id, self._process.wait())
        return answer


class Functions:
    """Every execution environment, and the metrics and logs of their invocations."""

    def __init__(
        self, *, connection: Connection, clock: Clock, metrics: Metrics, issue_keys: IssueKeys, may_log: MayLog
    ) -> None:
        self._connection = connection
        self._issue_keys = issue_keys
        self._may_log = may_log
        self._clock = clock
        self._metrics = metrics
        self._packages = Path(tempfile.mkdtemp(prefix="weir-runtime-"))
        link_runtime_packages(self._packages)
        self._layers: dict[str, Path] = {}
        self._free: dict[str, list[Environment]] = {}
        self._all: set[Environment] = set()
        self._closed = False
        self._starting = 0
        self._lock = threading.Condition()

    def execute(
        self, function: Mapping[str, Any], configuration: Configuration, event: Any, request_id: str, _started: float
    ) -> dict[str, Any]:
        """Run one invocation (`local.endpoint.ministack_internals.Execute`), whose duration begins with the handler."""
        request_id = _request_id.get() or request_id
        name = configuration["FunctionName"]
        trace = Trace()
        answer: dict[str, Any]
        key = f"{configuration['FunctionArn']} {configuration['RevisionId']}"
        environment, new = self._take(key, configuration, function["code_zip"])
        try:
            if new:
                self._load(environment, request_id, trace)
            answer = {"body": environment.invoke(event, request_id, trace)}
        except Failure as failure:
            answer = {"body": dict(failure.document), "error": True, "function_error": "Unhandled"}
        finally:
            self._give_back(key, environment)
        text, error = "\n".join(trace.log), answer["body"].get("errorType", "") if "error" in answer else None
        # Record 0 for a success: an alarm then sees data, and the average is the error rate.
        self._metrics.record("Errors", 0 if error is None else 1, at=self._clock.now(), FunctionName=name)
        self._metrics.record("Invocations", 1, at=self._clock.now(), FunctionName=name)
        self._metrics.record("Duration", trace.seconds * 1000, at=self._clock.now(), FunctionName=name)
        if self._logs(environment, configuration["Role"], name):
            # CloudWatch takes the metrics of a log out of its lines.
            self._metrics.record_embedded(text, at=self._clock.now())
            lines = _platform_lines(configuration, request_id, trace, error)
            ministack_internals.write_log(environment.log_group, environment.log_stream, lines)
        return {**answer, "log": text}

    def kill(self, access_key_id: str) -> None:
        """End the process that calls AWS with an access key; its invocation ends as a crash."""
        with self._lock:
            environments = [each for each in self._all if each.access_key_id == access_key_id]
        for environment in environments:
            environment.kill()

    def _logs(self, environment: Environment, role: str, name: str) -> bool:
        group = environment.log_group
        new = not ministack_internals.has_log_group(group)
        return self._may_log(role, name, group, environment.log_stream, new_group=new)

    def close(self) -> None:
        """End every environment. Running invocations end as crashes."""
        with self._lock:
            self._closed = True
            environments, self._all = self._all, set()
            for free in self._free.values():
                free.clear()
            self._lock.notify_all()
        for environment in environments:
            environment.close()
        for directory in (self._packages, *self._layers.values()):
            shutil.rmtree(directory, ignore_errors=True)

    def _take(self, key: str, configuration: Configuration, code: bytes) -> tuple[Environment, bool]:
        """Take a free environment, or start one that has to be loaded (`True`)."""
        with self._lock:
            free = self._free.setdefault(key, [])
            self._lock.wait_for(lambda: free or self._closed or self._starting < STARTS_AT_ONCE, PATIENCE_SECONDS)
            waiting = self._take_living(free)
            if waiting is not None:
                return waiting, False
            self._starting += 1
        try:
            keys = self._issue_keys(configuration["Role"], configuration["FunctionName"])
            environment = Environment(
                configuration, code, self._import_path(configuration), connection=self._connection, keys=keys
            )
        except BaseException:
            self._end_start()
            raise
        with self._lock:
            self._all.add(environment)
            closed = self._closed
        if closed:
            environment.close()
        return environment, True

    def _take_living(self, free: list[Environment]) -> Environment | None:
        """Take a free environment whose process has not ended while it waited, and remove those whose has."""
        while free:
            environment = free.pop()
            if environment.alive:
                return environment
            self._all.discard(environment)
            environment.close()
        return None

    def _load(self, environment: Environment, request_id: str, trace: Trace) -> None:
        try:
            environment.load(request_id, trace)
        finally:
            self._end_start()

    def _end_start(self) -> None:
        with self._lock:
            self._starting -= 1
            self._lock.notify_all()

    def _import_path(self, configuration: Configuration) -> list[Path]:
        """List the directories behind the function's own: those of its layers, the last first, and the runtime's."""
        arns = [each["Arn"] for each in configuration.get("Layers", [])]
        with self._lock:
            for arn in arns:
                if arn not in self._layers:
                    self._layers[arn] = _extracted(ministack_internals.layer_content(arn), self._packages.parent)
        # https://docs.aws.amazon.com/lambda/latest/dg/packaging-layers.html: a layer is extracted into /opt.
        layers = [self._layers[arn] / "python" for arn in reversed(arns)]
        nested = [found for layer in layers for found in sorted(layer.glob("lib/python3.*/site-packages"))]
        return [*nested, *layers, self._packages]

    def _give_back(self, key: str, environment: Environment) -> None:
        with self._lock:
            if environment.alive and not self._closed:
                self._free.setdefault(key, []).append(environment)
                self._lock.notify_all()
                return
            self._all.discard(environment)
        environment.close()


def _extracted(content: bytes, parent: Path) -> Path:
    directory = Path(tempfile.mkdtemp(prefix="weir-layer-", dir=parent))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        archive.extractall(directory)
    return directory


def _platform_lines(configuration: Configuration, request_id: str, trace: Trace, error: str | None) -> list[str]:
    """Return an invocation's log: its output between Lambda's START, END and REPORT lines."""
    milliseconds = trace.seconds * 1000
    report = (
        f"REPORT RequestId: {request_id}\tDuration: {milliseconds:.2f} ms\tBilled Duration: {ceil(milliseconds)} ms\t"
        f"Memory Size: {configuration.get('MemorySize', 128)} MB"
    )
    if trace.init_seconds is not None:
        report += f"\tInit Duration: {trace.init_seconds * 1000:.2f} ms"
    output = "\n".join(trace.log).splitlines()
    if error == TIMED_OUT:
        output.append(f"{request_id} Task timed out after {trace.seconds:.2f} seconds")
        report += "\tStatus: timeout"
    start = f"START RequestId: {request_id} Version: {configuration.get('Version', '$LATEST')}"
    return [start, *output, f"END RequestId: {request_id}", report]
