"""Finds the Python that a program, a policy pack or a plugin runs with, by `runtime.options` of its YAML file."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from google.protobuf import json_format


class HostError(Exception):
    """A failure that the user sees as it is worded."""


def python_of(info: Any, environment: Mapping[str, str] | None = None) -> Path:
    """Find the interpreter of a program.

    Args:
        info: The engine's ProgramInfo: its directories and `runtime.options`.
        environment: Variables to look in, instead of this process's.

    Raises:
        HostError: The virtual environment does not exist, or there is no Python.
    """
    toolchain, directory = toolchain_of(info)
    if directory is not None:
        python = directory / "bin" / "python"
        if not os.access(python, os.X_OK):
            raise HostError(
                f"{directory} is not a virtual environment (runtime.options.virtualenv, toolchain {toolchain}): "
                "run `pulumi install`"
            )
        return python
    path = (environment or os.environ).get("PATH")
    found = (
        os.environ.get("PULUMI_PYTHON_CMD") or shutil.which("python3", path=path) or shutil.which("python", path=path)
    )
    if not found:
        raise HostError("there is no python3 on PATH")
    return Path(found)


def toolchain_of(info: Any) -> tuple[str, Path | None]:
    """Read the toolchain (pip or uv) and the directory of the virtual environment, if there is one."""
    options = json_format.MessageToDict(info.options)
    root = Path(info.root_directory)
    locked = next((each for each in (root, *root.parents) if (each / "uv.lock").exists()), None)
    toolchain = options.get("toolchain") or ("uv" if locked else "pip")
    directory = options.get("virtualenv")
    if toolchain == "uv" and not directory:
        directory = os.environ.get("UV_PROJECT_ENVIRONMENT") or str((locked or root) / ".venv")
    return toolchain, root / directory if directory else None


def within(python: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """Make the variables of a process that runs in the interpreter's virtual environment."""
    variables = dict(environment)
    if (python.parent.parent / "pyvenv.cfg").exists():
        variables["VIRTUAL_ENV"] = str(python.parent.parent)
        variables["PATH"] = f"{python.parent}{os.pathsep}{variables.get('PATH', '')}"
        variables.pop("PYTHONHOME", None)
    return variables


def ask(python: Path, script: str) -> Any:
    """Run a script that prints JSON, and read it.

    Raises:
        HostError: The script failed.
    """
    answer = subprocess.run([python, "-c", script], capture_output=True, text=True, check=False)  # noqa: S603 - ours
    if answer.returncode:
        raise HostError(f"{python}: {answer.stderr.strip()}")
    return json.loads(answer.stdout)
