"""`weir local up` by the engine, and `weir local pulumi` on what it keeps running."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from local.pulumi_host.cli import Cli
from tests.engine.lab import ROOT
from tests.local.test_local_up import WEIR, below


def weir(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [WEIR, "local", *arguments], capture_output=True, text=True, env=environment(directory), check=False
    )


def environment(directory: Path) -> dict[str, str]:
    # The CLI that `make engine` built is found in the user's cache.
    return {**below(directory), "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))}


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
