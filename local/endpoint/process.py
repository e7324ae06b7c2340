"""`Endpoint`: an AWS on this machine, in a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, cast

from local.endpoint import journal
from local.endpoint.clients import Connection
from local.endpoint.control.client import Control
from local.endpoint.credentials import Credentials
from local.endpoint.owned_directory import OwnedDirectory, abandoned

#: Variables that the endpoint inherits. It inherits no others: the caller's secrets stay with the caller. The first one
#: is set while coverage is measured, and would otherwise end at the process's border.
INHERITED = ("COVERAGE_PROCESS_CONFIG", "LANG", "LC_ALL", "PATH", "TZ")

#: Seconds that the endpoint gets to end by itself after a signal.
STOP_SECONDS = 30.0

#: Beginning of the names of endpoints' directories.
PREFIX = "weir-aws-"


class EndpointError(Exception):
    """The endpoint did not start; the message says why."""


class Endpoint:
    """An AWS endpoint on 127.0.0.1, which runs while the `with` block runs.

    Args:
        port: The port; a free one by default.
        region: The region to simulate.
        account_id: The account to simulate, twelve digits.
        state: The directory for its journal (`local.endpoint.journal`) and its keys (`local.endpoint.credentials`); by
            default it keeps neither. Endpoints that belong together may share it at the same time.
        command: The name of the command that starts it, for the journal.

    Attributes:
        url: The root of its addresses.
        region: The simulated region.
        account_id: The simulated account.
        access_key_id: The id of its access key: random, and the same for every endpoint with the same `state`.
        secret_access_key: The key's secret.
        control_token: The token of its control API.
        control: The client of its control API.
        lost: Journals of former endpoints with the same `state` that were killed, each reported once. They are known
            after the start. If this endpoint ended before it was stopped, its own journal follows.

    Raises:
        EndpointError: The port is in use, or the process ended before it served.

    >>> with Endpoint() as aws:
    ...     aws.client("sts").get_caller_identity()["Account"]
    '111122223333'
    """

    def __init__(
        self,
        *,
        port: int = 0,
        region: str = "us-east-1",
        account_id: str = "111122223333",
        state: Path | None = None,
        command: str = "",
    ) -> None:
        self.region = region
        self.account_id = account_id
        credentials = Credentials.random() if state is None else Credentials.kept(state)
        self.access_key_id = credentials.access_key_id
        self.secret_access_key = credentials.secret_access_key
        self.control_token = credentials.control_token
        self.url = ""
        self.lost: list[journal.Journal] = []
        self._port = port
        self._state = state
        self._command = command
        self._directory: OwnedDirectory | None = None
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def connection(self) -> Connection:
        """The endpoint's address and keys."""
        return Connection(self.url, self.region, self.account_id, self.access_key_id, self.secret_access_key)

    @property
    def control(self) -> Control:
        """The client of its control API."""
        return Control(self.url, self.control_token)

    def client(self, service: str) -> Any:
        """Make a boto3 client with the endpoint's keys. Calls are not retried."""
        return self.connection.client(service)

    def api_url(self, api_id: str) -> str:
        """Return the address of an HTTP API's `$default` stage."""
        return f"{self.url}/_aws/execute-api/{api_id}"

    def start(self) -> None:
        """Start it and wait until it serves. The directories of killed endpoints are removed first."""
        temporary = Path(tempfile.gettempdir())
        for base in {temporary, self._state or temporary}:
            found = [journal.read(left) for left in abandoned(base, PREFIX)]
            self.lost += [each for each in found if each is not None]
        directory = self._directory = OwnedDirectory(self._state or temporary, PREFIX)
        environment = {name: os.environ[name] for name in INHERITED if name in os.environ}
        environment |= {
            "HOME": str(directory.path),
            "TMPDIR": str(directory.path),
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "local.endpoint.server"],
                cwd=directory.path,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                # Ctrl-C is for the parent, which then stops the endpoint in order.
                start_new_session=True,
                pass_fds=[directory.lock],
            )
            self.url = self._say_hello(self._process, directory.path)
        except BaseException:
            self.stop()
            raise

    def wait(self, seconds: float | None = None) -> str | None:
        """Wait until it ends without being stopped.

        Args:
            seconds: Maximum of seconds to wait; forever by default.

        Returns:
            The way it ended, e.g. "was killed by SIGKILL"; `None` if it still runs or was stopped.
        """
        if self._process is None:
            return None
        try:
            status = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        return f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"

    def stop(self) -> None:
        """End it, its functions and its directory. Does nothing if it is not running."""
        process, self._process = self._process, None
        directory, self._directory = self._directory, None
        if process is not None:
            reaped = process.returncode is not None
            if process.poll() is not None and directory is not None:
                held = journal.read(directory.path)
                self.lost += [] if held is None else [held]
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS)
            # The rest of its session, functions included. After it was reaped, another process may have its id.
            if not reaped:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    stream.close()
        if directory is not None:
            directory.remove()

    def _say_hello(self, process: subprocess.Popen[str], directory: Path) -> str:
        settings = {
            "port": self._port,
            "directory": str(directory),
            "command": None if self._state is None else self._command,
            "control_token": self.control_token,
            "connection": {
                "region": self.region,
                "account_id": self.account_id,
                "access_key_id": self.access_key_id,
                "secret_access_key": self.secret_access_key,
            },
        }
        stdin, stdout = cast("IO[str]", process.stdin), cast("IO[str]", process.stdout)
        with contextlib.suppress(BrokenPipeError):
            stdin.write(json.dumps(settings) + "\n")
            stdin.flush()
        line = stdout.readline()
        answer = json.loads(line or '{"error": "its process ended at once"}')
        if "error" in answer:
            raise EndpointError(f"the local endpoint did not start: {answer['error']}")
        return answer["url"]
