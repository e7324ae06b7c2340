"""`Engine`: the Pulumi CLI, pointed at the endpoint that runs, for `weir local up` and `weir local pulumi`."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.deploy.deployment import DeployFailed
from local.deploy.engine_provider import served
from local.deploy.stubs import STACK_REFERENCE_TYPE, Stubs
from local.endpoint import Endpoint
from local.pulumi_host.cli import Cli
from local.pulumi_host.environment import engine_environment
from local.pulumi_host.foreign_stacks import create_stacks

#: Options of a command whose output a program reads.
_PLAIN = ("--non-interactive", "--color", "never")


@dataclass(frozen=True)
class Outcome:
    """The result of a deployment.

    Attributes:
        steps: The operation on each resource that was not left alone, by type and name.
        errors: The error messages of a failed one.
    """

    steps: Mapping[str, str]
    errors: str

    @classmethod
    def of(cls, events: Iterable[Mapping[str, Any]]) -> Outcome:
        """Read the engine's events."""
        steps: dict[str, str] = {}
        errors: list[str] = []
        for event in events:
            if (done := event.get("resOutputsEvent", {}).get("metadata")) and done["op"] != "same":
                steps[f"{done['type'].rpartition(':')[2]} {done['urn'].rpartition('::')[2]}"] = done["op"]
            if event.get("diagnosticEvent", {}).get("severity") == "error":
                errors.append(event["diagnosticEvent"]["message"].strip())
        return cls(steps, "\n".join(errors))


class Engine:
    """A CLI with one stack.

    Args:
        program: Directory of the program.
        stack: Name of the stack.
        environment: The CLI's variables; `engine_environment` makes them.
    """

    def __init__(self, program: Path, stack: str, environment: Mapping[str, str]) -> None:
        self.environment = {**environment, "PULUMI_STACK": stack, "PULUMI_DEBUG_COMMANDS": "true"}
        self._program = program
        self._stack = stack

    def run(self, *arguments: str) -> int:
        """Run a command on this terminal; its exit status."""
        self.recover()
        self._stand_in()
        command = [_cli(self.environment), *arguments]
        return subprocess.run(command, cwd=self._program, env=self.environment, check=False).returncode  # noqa: S603

    def initialise(self) -> None:
        """Create the stack.

        Raises:
            DeployFailed: The CLI refuses.
        """
        ended = self._ask("stack", "init", self._stack)
        if ended.returncode:
            raise DeployFailed(ended.stdout.strip())

    def up(self) -> Outcome:
        """Deploy the program.

        Raises:
            DeployFailed: In the engine's words.
        """
        self._stand_in()
        with tempfile.TemporaryDirectory() as directory:
            log = Path(directory) / "events.json"
            options = ("--yes", "--skip-preview", "--suppress-progress", "--event-log", str(log))
            ended = self._ask("up", *options)
            lines = log.read_text().splitlines() if log.exists() else []
        outcome = Outcome.of(json.loads(line) for line in lines)
        if ended.returncode:
            raise DeployFailed((outcome.errors or ended.stdout.strip()) + self._hints(outcome.errors))
        return outcome

    def outputs(self) -> dict[str, Any]:
        """Read the stack's outputs."""
        return json.loads(self._ask("stack", "output", "--json").stdout)

    def recover(self) -> None:
        """Clear the lock that a killed command left, and settle what it was creating."""
        if not clear_stale_locks(Path(self.environment["PULUMI_HOME"]).parent / "state"):
            return
        self._ask("refresh", "--yes", "--skip-preview", "--clear-pending-creates")

    def _stand_in(self) -> None:
        """Create the stacks that the stack's file stands in for, whose `StackReference` is the engine's own affair.

        Raises:
            DeployFailed: There cannot be a stack of that name here, or the file is wrong.
        """
        try:
            stubs = Stubs.of_stack(self._program, self._stack)
        except ValueError as wrong:
            raise DeployFailed(str(wrong)) from None
        if refused := create_stacks(self.environment, stubs.stacks):
            raise DeployFailed(
                f"{', '.join(refused)}: a state on this machine holds stacks named organization/<project>/<stack>: "
                'read StackReference(f"{pulumi.get_organization()}/<project>/<stack>") in the program, or run '
                "`weir local up --no-cli`"
            )

    def _hints(self, errors: str) -> str:
        """The lines that stand in for stacks that the engine has not found."""
        stubs = Stubs.of_stack(self._program, self._stack)
        missing = sorted(set(re.findall(r'unknown stack "([^"]+)"', errors)))
        return "".join(f"\n{stubs.hint(STACK_REFERENCE_TYPE, name)}" for name in missing)

    def _ask(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603 - the CLI that was found
            [_cli(self.environment), *arguments, *_PLAIN],
            cwd=self._program,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )


@contextlib.contextmanager
def engine_of(cli: Cli, endpoint: Endpoint, program: Path, stack: str, directory: Path) -> Generator[Engine]:
    """Serve the provider, and give the CLI a new state for an empty endpoint, while a block runs.

    Args:
        cli: The CLI.
        endpoint: The endpoint.
        program: Directory of the program.
        stack: Name of the stack.
        directory: Holds the CLI's state and home; what it held is deleted.
    """
    shutil.rmtree(directory, ignore_errors=True)
    try:
        with served(endpoint.connection, lambda: Stubs.of_stack(program, stack)) as providers:
            environment = engine_environment(
                cli, directory=directory, providers=providers, connection=endpoint.connection
            )
            made = Engine(program, stack, environment)
            made.initialise()
            yield made
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def clear_stale_locks(state: Path) -> bool:
    """Delete locks of commands that do not run any more.

    Returns:
        `True` if there was one: its command was killed, and what it did last is not known.
    """
    stale = [lock for lock in (state / ".pulumi" / "locks").rglob("*.json") if not _runs(lock)]
    for lock in stale:
        lock.unlink(missing_ok=True)
    return bool(stale)


def _runs(lock: Path) -> bool:
    try:
        os.kill(int(json.loads(lock.read_text())["pid"]), 0)
    except (FileNotFoundError, ProcessLookupError, ValueError, KeyError):
        return False
    except PermissionError:
        return True
    return True


def _cli(environment: Mapping[str, str]) -> str:
    return shutil.which("pulumi", path=environment["PATH"]) or "pulumi"
