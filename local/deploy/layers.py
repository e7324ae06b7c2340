"""Layers of packages, built again for this machine: wheels for Lambda's processor and Python do not run here."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pulumi

from local.deploy.archives import unzipped, zipped_files

#: The hashed lock in a layer of packages (components/python_layer.py).
LOCK = "requirements.txt"

_TIMEOUT_SECONDS = 600


class CannotInstall(RuntimeError):
    """Packages of a layer that cannot be installed on this machine. The message says why."""


def for_this_machine(layer: pulumi.Archive) -> bytes:
    """Zip a layer, with the lock that it holds installed for this machine's platform and Python.

    Args:
        layer: The layer. Without a lock it is zipped as it is.

    Raises:
        CannotInstall: A package has no wheel for this machine.
        ValueError: The layer, or a part of it, is not on this machine.
    """
    files = unzipped(layer)
    if (lock := files.get(LOCK)) is None:
        return zipped_files(files)
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        (root / LOCK).write_bytes(lock)
        _install(root / LOCK, root / "python")
        installed = {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}
        return zipped_files(installed, level=1)  # it is unzipped again at once


def _install(lock: Path, target: Path) -> None:
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    if uv is None:
        raise CannotInstall("packages are installed by uv, which is missing: pip install -r requirements/local.txt")
    command = [uv, "pip", "install", "--quiet", "--target", str(target), "--requirements", str(lock)]
    command += ["--require-hashes", "--only-binary", ":all:", "--no-deps", "--python", sys.executable]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=False)  # noqa: S603 - uv, with the project's own lock
    if done.returncode:
        raise CannotInstall(
            f"packages cannot be installed for this machine, so no function here can use them: "
            f"{' '.join(done.stderr.split())}"
        )
