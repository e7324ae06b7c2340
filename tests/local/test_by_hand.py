"""The by-hand guide's commands, typed as they stand there, with the real AWS CLI."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.endpoint.control.client import Control
from tests.local.world import wait_until

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "by-hand.md"
VENV = Path(sys.executable).parent


class Shell:
    """The guide's second shell: the exported variables, the names set there, and a directory."""

    def __init__(self, told: dict[str, Any], directory: Path) -> None:
        self.environment = {
            **{name: os.environ[name] for name in ("HOME", "LANG") if name in os.environ},
            "PATH": f"{VENV}{os.pathsep}{os.environ['PATH']}",
            **told["environment"],
        }
        self.directory = directory

    def type(self, block: str) -> str:
        """Run a block; its output."""
        done = subprocess.run(
            ["bash", "-euc", block],
            env=self.environment,
            cwd=self.directory,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture
def told(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """What `weir local up --json` prints first."""
    environment = {**os.environ, "TMPDIR": str(tmp_path), "XDG_STATE_HOME": str(tmp_path)}
    command = [VENV / "weir", "local", "up", "--no-cli", "--json"]
    up = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment)
    assert up.stdout is not None
    yield json.loads(up.stdout.readline())
    up.send_signal(signal.SIGINT)
    up.communicate(timeout=60)


def blocks() -> list[str]:
    return re.findall(r"^```sh\n(.*?)^```", GUIDE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def named(block: str, outputs: dict[str, Any]) -> dict[str, str]:
    """The names that a block sets, with the outputs that its comments say."""
    values: dict[str, str] = {}
    for name, path, prefix in re.findall(r"^(\w+)=…\s+# (.*?)(?: without (\S+))?$", block, re.MULTILINE):
        value: Any = outputs
        for member in path.split(", "):
            value = value[member]
        values[name] = value.removeprefix(prefix)
    return values


def test_the_guide_can_be_typed_as_it_stands(told: dict[str, Any], tmp_path: Path) -> None:
    start, names, upgrade, mails, poison, dead_letters, alarm, redrive, queues = blocks()
    assert start.strip() == ".venv/bin/weir local up"
    shell = Shell(told, tmp_path)
    shell.environment |= named(names, told["outputs"])
    control = Control(told["environment"]["AWS_ENDPOINT_URL"], told["environment"]["WEIR_CONTROL_TOKEN"])
    consumer = told["outputs"]["consumers"]["welcome-email"]

    shell.type(upgrade)
    wait_until(control.mails)
    assert [mail["To"] for mail in json.loads(shell.type(mails))] == [["ada@example.com"]]

    shell.type(poison)
    function = told["outputs"]["functionNames"]["welcome-email"]
    wait_until(lambda: control.metric_sum("Discarded", FunctionName=function))
    control.wait_until_idle([consumer["eventSourceMapping"]])
    assert "UnusableAddress" in shell.type(dead_letters)
    assert consumer["alarms"]["dead-letters"] in shell.type(alarm)

    shell.type(redrive)
    assert json.loads((tmp_path / "answer.json").read_text()) == {"batchItemFailures": []}
    assert [mail["To"] for mail in control.mails()] == [["ada@example.com"], ["bob@example.com"]]

    assert told["environment"]["AWS_ENDPOINT_URL"] in shell.type(queues)
