"""`Endpoint`: an AWS on this machine, in a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, cast

from local.clients import Connection
from local.control import Control

#: Variables that the endpoint inherits. Nothing else does: the caller's secrets stay with the caller. The first is set
#: while coverage is measured, and would otherwise end at the process's border.
INHERITED = ("COVERAGE_PROCESS_CONFIG", "LANG", "LC_ALL", "PATH", "TZ")

#: Seconds the endpoint gets to end by itself.
STOP_SECONDS = 5.0


class EndpointError(Exception):
    """The endpoint did not start; the message says why."""


class Endpoint:
    """An AWS endpoint on 127.0.0.1, up while the `with` block runs.

    Args:
        port: The port, a free one by default.
        region: The region it plays.
        account_id: The account it plays, twelve digits.

    Attributes:
        url: Its root.
        region: As given.
        account_id: As given.
        access_key_id: Made at random at every start, like `secret_access_key`.
        control: The control API.

    Raises:
        EndpointError: The port is in use, or the process ended before it served.

    >>> with Endpoint() as aws:
    ...     aws.client("sts").get_caller_identity()["Account"]
    '111122223333'
    """

    def __init__(self, *, port: int = 0, region: str = "us-east-1", account_id: str = "111122223333") -> None:
        self.region = region
        self.account_id = account_id
        self.access_key_id = f"AKIA{secrets.token_hex(8).upper()}"
        self.secret_access_key = secrets.token_urlsafe(30)
        self.url = ""
        self._port = port
        self._directory: Path | None = None
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
        """Where it is and its keys."""
        return Connection(self.url, self.region, self.account_id, self.access_key_id, self.secret_access_key)

    @property
    def control(self) -> Control:
        """Its control API."""
        return Control(self.url)

    def client(self, service: str) -> Any:
        """A boto3 client with the endpoint's keys. Calls are not retried."""
        return self.connection.client(service)

    def api_url(self, api_id: str) -> str:
        """Where an HTTP API's `$default` stage is called."""
        return f"{self.url}/_aws/execute-api/{api_id}"

    def start(self) -> None:
        """Start it and wait until it serves."""
        self._directory = Path(tempfile.mkdtemp(prefix="weir-endpoint-"))
        environment = {name: os.environ[name] for name in INHERITED if name in os.environ}
        environment |= {
            "HOME": str(self._directory),
            "TMPDIR": str(self._directory),
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "local.server"],
                cwd=self._directory,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                # Ctrl-C is for the parent, which then stops the endpoint in order.
                start_new_session=True,
            )
            self.url = self._say_hello(self._process)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End it, its functions and its directory. Does nothing when it is not running."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS)
            # Whatever is left of its session, functions included.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    stream.close()
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)

    def _say_hello(self, process: subprocess.Popen[str]) -> str:
        told = {
            "port": self._port,
            "directory": str(self._directory),
            "connection": {
                "region": self.region,
                "account_id": self.account_id,
                "access_key_id": self.access_key_id,
                "secret_access_key": self.secret_access_key,
            },
        }
        stdin, stdout = cast("IO[str]", process.stdin), cast("IO[str]", process.stdout)
        with contextlib.suppress(BrokenPipeError):
            stdin.write(json.dumps(told) + "\n")
            stdin.flush()
        line = stdout.readline()
        answer = json.loads(line or '{"error": "its process ended at once"}')
        if "error" in answer:
            raise EndpointError(f"the local endpoint did not start: {answer['error']}")
        return answer["url"]
