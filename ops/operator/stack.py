"""`Stack`: the deployed program that a command works on, known by its outputs."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aws_semantics.limits import FUNCTION_TIMEOUT
from ops.running import FILE, state_directory

if TYPE_CHECKING:
    from local.endpoint.control.client import Control

PROGRAM = Path(__file__).resolve().parents[2]
LOCAL = "local"

#: Services with a call that answers when code is done. boto3 gives up after a minute and calls again, while the code of
#: the first call still runs: each record would be in work twice.
_WAITING = ("lambda", "stepfunctions")
_READ_SECONDS = 60


class NoStack(Exception):
    """The stack cannot be found or read; the message says why, and what to do."""


@dataclass(frozen=True)
class Stack:
    """A deployed stack.

    Attributes:
        name: Its name, `local` for the one that `weir local up` runs.
        outputs: Its outputs.
        environment: The variables of the local endpoint; `None` for AWS, where the caller's own credentials count.
    """

    name: str
    outputs: Mapping[str, Any]
    environment: Mapping[str, str] | None = None

    def client(self, service: str) -> Any:
        """Return a boto3 client; it retries as boto3's standard mode does."""
        if self.environment is None:
            return _client(service, self.region)
        names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
        keys = [self.environment.get(name) for name in names]
        return _client(service, self.environment["AWS_REGION"], self.environment["AWS_ENDPOINT_URL"], *keys)

    @property
    def control(self) -> Control | None:
        """The control API of the local endpoint; `None` on AWS."""
        from local.endpoint.control.client import Control

        if self.environment is None or "WEIR_CONTROL_TOKEN" not in self.environment:
            return None
        return Control(self.environment["AWS_ENDPOINT_URL"], self.environment["WEIR_CONTROL_TOKEN"])

    @property
    def region(self) -> str | None:
        """The region of the stack's table; `None` where no output is an ARN."""
        arns = [value for value in self.outputs.values() if isinstance(value, str) and value.startswith("arn:")]
        return next((region for arn in arns if (region := arn.split(":")[3])), None)

    @property
    def option(self) -> str:
        """The option that names this stack, for commands to type next; empty for the local one."""
        return "" if self.environment is not None else f" -s {self.name}"


@cache
def _client(
    service: str,
    region: str | None,
    endpoint: str | None = None,
    access_key_id: str | None = None,
    secret_access_key: str | None = None,
    session_token: str | None = None,
) -> Any:
    """Make a client, once: a service's model takes a tenth of a second to read."""
    from botocore.config import Config

    return _session().client(
        service,
        region_name=region,
        endpoint_url=endpoint,
        aws_access_key_id=access_key_id,
        aws_secret_access_key=secret_access_key,
        aws_session_token=session_token,
        config=Config(
            retries={"mode": "standard", "total_max_attempts": 5},
            read_timeout=FUNCTION_TIMEOUT.maximum + 10 if service in _WAITING else _READ_SECONDS,
            tcp_keepalive=True,  # what lies between closes a connection that is silent for minutes
            user_agent_extra="weir",
        ),
    )


@cache
def _session() -> Any:
    import boto3

    return boto3.Session()


def find(name: str | None, state: Path | None, *, program: Path = PROGRAM) -> Stack:
    """Find a stack by its name or by a file.

    Args:
        name: The stack's name; `None` or `local` for the running `weir local up`.
        state: A file that holds the stack instead: what `pulumi stack export`, `pulumi stack output --json` or
            `weir local up --json` printed.
        program: Directory of the Pulumi program.

    Raises:
        NoStack: It does not run, does not exist, or the file holds none.
    """
    if state is not None:
        return _from_file(name or state.stem, state)
    if name in (None, LOCAL):
        file = state_directory(program, LOCAL) / FILE
        if not file.exists():
            raise NoStack("no local stack runs: start it with `weir local up`, or name a stack of AWS with -s")
        return _from_file(LOCAL, file)
    return Stack(str(name), _pulumi_outputs(str(name), program))


def _from_file(name: str, file: Path) -> Stack:
    try:
        document = json.loads(file.read_text(encoding="utf-8").partition("\n")[0] or "null")
    except ValueError:
        document = _whole(file)
    except OSError as error:
        raise NoStack(f"{file} cannot be read: {error.strerror}") from None
    match document:
        case {"environment": dict(environment), "outputs": dict(outputs)}:
            return Stack(name, outputs, environment)
        case {"deployment": {"resources": list(resources)}}:
            stacks = [each for each in resources if each.get("type") == "pulumi:pulumi:Stack"]
            if not stacks:
                raise NoStack(f"{file} holds a deployment without a stack: export it after `pulumi up`")
            return Stack(name, stacks[0].get("outputs", {}))
        case {"consumers": dict()}:
            return Stack(name, document)
        case _:
            raise NoStack(
                f"{file} holds no stack: it takes what `pulumi stack export`, `pulumi stack output --json` or "
                "`weir local up --json` prints"
            )


def _whole(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise NoStack(f"{file} is not JSON: {error}") from None


def _pulumi_outputs(name: str, program: Path) -> Mapping[str, Any]:
    pulumi = shutil.which("pulumi")
    if pulumi is None:
        raise NoStack(
            "the Pulumi CLI is not installed, which knows the stack's outputs: install it, or pass a file with --state"
        )
    command = [pulumi, "stack", "output", "--json", "--show-secrets", "--stack", name]
    done = subprocess.run(command, cwd=program, capture_output=True, text=True, check=False)  # noqa: S603 - no shell
    if done.returncode:
        raise NoStack(f"pulumi does not know the outputs of the stack {name}: {done.stderr.strip()}")
    return json.loads(done.stdout)
