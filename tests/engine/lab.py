"""`Lab`: a copy of the program, an endpoint and the real engine, for one test module."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.deploy.engine_provider import served
from local.deploy.stubs import Stubs
from local.endpoint import Endpoint
from local.pulumi_host.cli import Cli
from local.pulumi_host.environment import engine_environment

ROOT = Path(__file__).resolve().parents[2]
#: What a stack is deployed from.
SOURCES = (
    "__main__.py",
    "components",
    "handlers",
    "policies",
    "aws_semantics",
    "requirements",
    "Pulumi.yaml",
    "Pulumi.local.yaml",
)

#: Options that make output readable by a test.
PLAIN = ("--non-interactive", "--color", "never")

#: Variables with which the engine writes a state once, at the end, and not after each resource: with hundreds of them,
#: writing takes longer than making. Not for a test that stops an engine halfway.
ONE_CHECKPOINT = {"PULUMI_EXPERIMENTAL": "true", "PULUMI_SKIP_CHECKPOINTS": "true"}

STRICT = ("--policy-pack", "policies", "--policy-pack-config", "policies/configs/strict.json")


@dataclass(frozen=True)
class Ran:
    """A command of the engine that has ended."""

    status: int
    output: str
    events: list[dict[str, Any]]

    @property
    def steps(self) -> dict[str, str]:
        """The steps that succeeded: `type name` to `create`, `update`, `replace`…; without what was left alone."""
        metadata = [event["resOutputsEvent"]["metadata"] for event in self.events if "resOutputsEvent" in event]
        return {
            f"{each['type'].rpartition(':')[2]} {each['urn'].rpartition('::')[2]}": each["op"]
            for each in metadata
            if each["op"] != "same"
        }

    @property
    def violations(self) -> set[tuple[str, str]]:
        """Name and enforcement level of each policy that was violated."""
        found = [event["policyEvent"] for event in self.events if "policyEvent" in event]
        return {(each["policyName"], each["enforcementLevel"]) for each in found}

    @property
    def errors(self) -> str:
        """The error messages."""
        found = [event["diagnosticEvent"] for event in self.events if "diagnosticEvent" in event]
        return "\n".join(each["message"] for each in found if each["severity"] == "error")


class Lab:
    """A project of one stack, `local`, and its endpoint."""

    def __init__(self, directory: Path, aws: Endpoint, environment: Mapping[str, str]) -> None:
        self.aws = aws
        self.project = directory / "project"
        self.environment = dict(environment)
        self._log = directory / "events.json"

    def pulumi(self, *arguments: str, status: int | None = 0, timeout: float = 300) -> Ran:
        """Run a command of the engine; fails unless it ends with `status`."""
        self._log.unlink(missing_ok=True)
        logged = arguments[0] in ("up", "preview", "destroy", "refresh")
        log = ("--event-log", str(self._log), "--suppress-progress") if logged else ()
        ran = subprocess.run(
            ["pulumi", *arguments, *PLAIN, *log],
            cwd=self.project,
            env=self.environment | {"PULUMI_DEBUG_COMMANDS": "true"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=False,
        )
        events = self._log.read_text().splitlines() if self._log.exists() else []
        result = Ran(ran.returncode, ran.stdout, [json.loads(line) for line in events])
        command = f"pulumi {' '.join(arguments)}"
        assert status is None or ran.returncode == status, f"{command}: {ran.returncode}\n{ran.stdout}"
        return result

    def up(self, *options: str, status: int | None = 0) -> Ran:
        """Deploy without a preview."""
        return self.pulumi("up", "--yes", "--skip-preview", *options, status=status)

    def preview(self, *options: str, status: int | None = 0) -> Ran:
        """Preview the next deployment."""
        return self.pulumi("preview", *options, status=status)

    def destroy(self, status: int | None = 0) -> Ran:
        """Destroy the stack without a preview."""
        return self.pulumi("destroy", "--yes", "--skip-preview", status=status)

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs."""
        return json.loads(self.pulumi("stack", "output", "--json").output)

    def state(self) -> str:
        """The stack's state as text."""
        return self.pulumi("stack", "export").output

    def config(self, key: str, value: str, *options: str) -> None:
        """Set a value of the configuration."""
        self.pulumi("config", "set", *options, key, value)

    @contextmanager
    def edited(self, file: str, *replacements: tuple[str, str]) -> Iterator[None]:
        """Replace texts of a file of the project within the block."""
        path = self.project / file
        before = after = path.read_text()
        for old, new in replacements:
            assert old in after, f"{file} does not hold {old!r}"
            after = after.replace(old, new)
        path.write_text(after)
        try:
            yield
        finally:
            path.write_text(before)


def cached_bytecode(directory: Path) -> dict[str, str]:
    """The variables by which commands compile each module once for all tests, and leave nothing beside the sources."""
    return {"PYTHONPYCACHEPREFIX": str(directory.parent / "bytecode")}


def copy_project(directory: Path) -> Path:
    """Copy the program to a directory of its own."""
    project = directory / "project"
    project.mkdir(parents=True)
    for name in SOURCES:
        source, target = ROOT / name, project / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    (project / ".venv").symlink_to(ROOT / ".venv")
    (project / "policies" / ".venv").symlink_to(ROOT / ".venv")
    return project


@contextmanager
def lab(directory: Path, cli: Cli, project: Path | None = None) -> Iterator[Lab]:
    """Start an endpoint and its provider for a copy of the program, with an empty stack."""
    project = project or copy_project(directory)
    with Endpoint() as aws, served(aws.connection, lambda: Stubs.of_stack(project, "local")) as providers:
        environment = engine_environment(cli, directory=directory, providers=providers, connection=aws.connection)
        environment |= {"PULUMI_STACK": "local", **cached_bytecode(directory)}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        environment.pop("COVERAGE_PROCESS_CONFIG", None)
        made = Lab(directory, aws, environment)
        made.pulumi("stack", "init", "local")
        yield made
