"""Creates other teams' stacks in the CLI's own state, so that a `StackReference` finds outputs that were made up."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def create_stacks(environment: Mapping[str, str], stacks: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Create stacks that hold nothing but outputs; one that exists gets the new ones.

    Args:
        environment: The CLI's variables, as `engine_environment` makes them.
        stacks: Outputs by full name, e.g. `organization/network/prod`.

    Returns:
        The names that the CLI refuses: a state on this machine has no organization but `organization`.
    """
    pulumi = shutil.which("pulumi", path=environment["PATH"]) or "pulumi"
    refused: list[str] = []
    for name, outputs in stacks.items():
        _, project, stack = f"//{name}".rsplit("/", 2)
        with tempfile.TemporaryDirectory() as directory:
            (Path(directory) / "Pulumi.yaml").write_text(f"name: {project}\nruntime: python\n", encoding="utf-8")
            state = Path(directory) / "state.json"
            state.write_text(json.dumps(_state(project, stack, outputs)), encoding="utf-8")
            commands = (("stack", "init", name), ("stack", "import", "--stack", name, "--file", str(state)))
            ended = [
                subprocess.run(  # noqa: S603 - the CLI that was found
                    [pulumi, *command, "--non-interactive"],
                    cwd=directory,
                    env={key: value for key, value in environment.items() if key != "PULUMI_STACK"},
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    check=False,
                ).returncode
                for command in commands
            ]
        if ended[-1]:
            refused.append(name)
    return refused


def _state(project: str, stack: str, outputs: Mapping[str, Any]) -> dict[str, Any]:
    type_ = "pulumi:pulumi:Stack"
    urn = f"urn:pulumi:{stack}::{project}::{type_}::{project}-{stack}"
    resource = {"urn": urn, "custom": False, "type": type_, "outputs": dict(outputs)}
    manifest = {"time": "2026-01-01T00:00:00Z", "magic": "", "version": ""}
    return {"version": 3, "deployment": {"manifest": manifest, "resources": [resource]}}
