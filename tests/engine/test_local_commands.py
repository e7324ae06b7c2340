"""`weir local up` by the engine, `weir local pulumi` on what it keeps running, and `--watch`."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest

from local.pulumi_host.cli import Cli
from tests.engine.lab import ROOT, SOURCES, cached_bytecode
from tests.local.test_local_up import WEIR, below


def weir(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [WEIR, "local", *arguments], capture_output=True, text=True, env=environment(directory), check=False
    )


def environment(directory: Path) -> dict[str, str]:
    # The CLI that `make engine` built is found in the user's cache.
    cache = os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))
    found = {**below(directory), **cached_bytecode(directory), "XDG_CACHE_HOME": cache}
    return {name: value for name, value in found.items() if name != "PYTHONDONTWRITEBYTECODE"}


@pytest.mark.usefixtures("cli")
def test_a_stack_that_the_engine_deployed_is_previewed_refused_and_stopped(tmp_path: Path, cli: Cli) -> None:
    stack_file = (ROOT / "Pulumi.local.yaml").read_text()
    up = subprocess.Popen(
        [WEIR, "local", "up", "--json", "--quiet"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(tmp_path),
    )
    try:
        assert up.stdout is not None
        told: dict[str, Any] = json.loads(up.stdout.readline())
        plain = ("--non-interactive", "--color", "never", "--suppress-progress")
        preview = weir(tmp_path, "pulumi", "--", "preview", "--expect-no-changes", *plain)
        assert preview.returncode == 0, preview.stdout + preview.stderr
        outputs = weir(tmp_path, "pulumi", "--", "stack", "output", "--json")
        assert json.loads(outputs.stdout) == told["outputs"]
        assert weir(tmp_path, "pulumi", "--", "destroy", "--yes", "--skip-preview", *plain).returncode != 0
        assert weir(tmp_path, "down").stdout == "stopped\n"
        assert up.wait(30) == 0
    finally:
        up.send_signal(signal.SIGTERM)
        up.communicate()
    assert (ROOT / "Pulumi.local.yaml").read_text() == stack_file, "the CLI has written into the clone"
    assert [path.name for path in tmp_path.rglob("*.json") if "engine" in path.parts] == []


class Clone:
    """A clone of its own, whose program can be edited, and `weir local up --watch` in it."""

    def __init__(self, directory: Path) -> None:
        self.root = directory / "clone"
        self.root.mkdir()
        for name in (*SOURCES, "local", "ops", "tools/pulumi-cli"):
            source, target = ROOT / name, self.root / name
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, target)
        (self.root / ".venv").symlink_to(ROOT / ".venv")
        self.environment = {**environment(directory), "PYTHONPATH": str(self.root), "COLUMNS": "500"}
        self.up: subprocess.Popen[str]

    def edit(self, file: str, old: str, new: str) -> None:
        """Replace a text of a file."""
        path = self.root / file
        before = path.read_text()
        assert old in before
        path.write_text(before.replace(old, new))

    def weir(self, *arguments: str) -> str:
        """Run a command of the clone."""
        command = [sys.executable, "-m", "ops", *arguments]
        return subprocess.run(
            command, cwd=self.root, env=self.environment, capture_output=True, text=True, check=True
        ).stdout

    @contextmanager
    def watched(self) -> Iterator[dict[str, Any]]:
        """Run a block while it runs; yields what it says once it is up."""
        self.up = subprocess.Popen(
            [sys.executable, "-m", "ops", "local", "up", "--watch", "--json", "--quiet"],
            cwd=self.root,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        # A command that says nothing more is a failure, not a test that never ends.
        deadline = threading.Timer(300, self.up.terminate)
        deadline.start()
        try:
            assert self.up.stdout is not None
            yield json.loads(self.up.stdout.readline())
        finally:
            deadline.cancel()
            self.up.send_signal(signal.SIGTERM)
            self.up.communicate()

    def says(self, text: str) -> str:
        """Wait for a line that holds a text."""
        assert self.up.stderr is not None
        for line in self.up.stderr:
            if text in line:
                return line
        raise AssertionError(f"it ended without saying {text!r}")


@pytest.mark.usefixtures("cli")
def test_watch_applies_whatever_up_can_do_and_outlives_a_mistake(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    with clone.watched() as told:
        clone.says("Ctrl-C stops")
        table, names = told["outputs"]["usersTable"], told["outputs"]["functionNames"]
        dynamodb = boto3.client("dynamodb", **_keys(told["environment"]))
        dynamodb.put_item(TableName=table, Item={"userId": {"S": "ada"}, "plan": {"S": "free"}})

        clone.edit("handlers/welcome_email.py", "Thank you", "Thanks")
        assert clone.says("updated: ").strip() == "updated: Function welcome-email (update)"
        clone.edit("Pulumi.local.yaml", "weir:attempts: 3", "weir:attempts: 4")
        assert "Function welcome-email (update)" in clone.says("updated: ")
        clone.edit("handlers/welcome_email.py", "import os\n", "import os\nthis is\n")
        assert "handlers/welcome_email.py" in clone.says("SyntaxError")
        clone.edit("handlers/welcome_email.py", "import os\nthis is\n", "import os\n")
        clone.says("nothing to update")
        statement = "changes.subscribe(welcome_email.handler, "
        second = f'{statement}name="second", access=[ledger.access(), mail.send_access()])\n{statement}'
        clone.edit("__main__.py", statement, second)
        assert "EventSourceMapping second (create)" in clone.says("updated: ")

        outputs = json.loads(clone.weir("local", "pulumi", "--", "stack", "output", "--json"))
        assert outputs["usersTable"] == table
        assert outputs["functionNames"].items() > names.items()
        assert "second" in clone.weir("status")
        assert dynamodb.get_item(TableName=table, Key={"userId": {"S": "ada"}})["Item"]["plan"] == {"S": "free"}


def _keys(variables: dict[str, str]) -> dict[str, str]:
    return {
        "endpoint_url": variables["AWS_ENDPOINT_URL"],
        "region_name": variables["AWS_REGION"],
        "aws_access_key_id": variables["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": variables["AWS_SECRET_ACCESS_KEY"],
    }
