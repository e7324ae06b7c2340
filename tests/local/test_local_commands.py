"""`weir local env`, `reset`, `down` and `pulumi`, for a stack that `weir local up` keeps running."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.local.test_local_up import WEIR, below, start, tables


def weir(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [WEIR, "local", *arguments], capture_output=True, text=True, env=below(directory), timeout=120, check=False
    )


def test_without_a_running_stack_every_command_says_how_to_start_one(tmp_path: Path) -> None:
    for command in (["env"], ["reset"], ["pulumi", "--", "preview"]):
        refused = weir(tmp_path, *command)
        assert (refused.returncode, refused.stderr) == (2, "no stack runs here: start it with `weir local up`\n")
    stopped = weir(tmp_path, "down")
    assert (stopped.returncode, stopped.stdout) == (0, "nothing runs\n")


def test_a_running_stack_is_described_reset_and_stopped(tmp_path: Path) -> None:
    up, told = start(tmp_path, "--quiet")
    try:
        assert json.loads(weir(tmp_path, "env", "--json").stdout) == told["environment"]
        assert f"export AWS_ENDPOINT_URL={told['environment']['AWS_ENDPOINT_URL']}" in weir(tmp_path, "env").stdout
        without = weir(tmp_path, "pulumi", "--", "preview")
        assert without.returncode == 2
        assert "run `make engine`" in without.stderr

        tables(told).put_item(TableName=told["outputs"]["usersTable"], Item={"userId": {"S": "u1"}})
        assert weir(tmp_path, "reset").returncode == 0
        assert up.stdout is not None
        again: dict[str, Any] = json.loads(up.stdout.readline())
        assert again["environment"]["AWS_ENDPOINT_URL"] == told["environment"]["AWS_ENDPOINT_URL"]
        assert tables(again).scan(TableName=again["outputs"]["usersTable"])["Items"] == []

        assert weir(tmp_path, "down").stdout == "stopped\n"
        assert up.wait(10) == 0
    finally:
        up.kill()
        up.communicate()
