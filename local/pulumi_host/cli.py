"""Finds the Pulumi CLI, or builds it: `python -m local.pulumi_host.cli`, which is `make engine`.

An installed `pulumi` is used as it is, with its own language host. Without one, Go builds the version that
tools/pulumi-cli pins, into the user's cache; beside it lies a starter of this language host.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2] / "tools" / "pulumi-cli"
VERSION = "3.259.0"
FLAGS = (
    "-tags=osusergo,grpcnotrace",
    "-ldflags",
    f"-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v{VERSION}",
)

#: The engine looks for `pulumi-language-python` beside the binary first.
_STARTER = """#!/bin/sh
exec "${WEIR_HOST_PYTHON:?start this CLI by weir local pulumi}" -P -u -m local.pulumi_host "$@"
"""


class NoCli(Exception):
    """A CLI that is missing and cannot be built. The message says what to install."""


@dataclass(frozen=True)
class Cli:
    """A Pulumi CLI.

    Attributes:
        path: The executable.
        own: `True` if it was built here and runs programs by this language host.
    """

    path: Path
    own: bool


def find() -> Cli | None:
    """Find an installed CLI, or the one that was built before."""
    if installed := shutil.which("pulumi"):
        return Cli(Path(installed), own=False)
    built = _directory() / "pulumi"
    return Cli(built, own=True) if os.access(built, os.X_OK) else None


def build() -> Cli:
    """Build the CLI into the user's cache, which takes some four minutes on two cores.

    Raises:
        NoCli: There is no Go, or it failed.
    """
    go, directory = shutil.which("go"), _directory()
    if go is None:
        raise NoCli(
            "there is neither pulumi nor go on PATH: install the Pulumi CLI (https://www.pulumi.com/docs/install/), or "
            "Go 1.26 (https://go.dev/doc/install), which builds the CLI from tools/pulumi-cli"
        )
    directory.mkdir(parents=True, exist_ok=True)
    command = [go, "build", *FLAGS, "-o", f"{directory}{os.sep}", "tool"]
    built = subprocess.run(  # noqa: S603 - our own command
        command, cwd=SOURCE, env={**os.environ, "CGO_ENABLED": "0"}, stdout=sys.stderr, check=False
    )
    if built.returncode:
        raise NoCli(f"{' '.join(command)} failed in {SOURCE}: see its output above")
    starter = directory / "pulumi-language-python"
    starter.write_text(_STARTER)
    starter.chmod(0o755)
    return Cli(directory / "pulumi", own=True)


def _directory() -> Path:
    """The directory of the built CLI, which changes with its sources and flags."""
    told = Path(os.environ.get("XDG_CACHE_HOME", ""))
    base = told if told.is_absolute() else Path.home() / ".cache"
    key = hashlib.sha256(
        b"\0".join(
            [(SOURCE / "go.mod").read_bytes(), (SOURCE / "go.sum").read_bytes(), repr((FLAGS, _STARTER)).encode()]
        )
    )
    return base / "weir" / "pulumi" / key.hexdigest()[:16]


def main() -> None:
    """Find or build the CLI, and print where it is."""
    cli = find()
    if cli is None:
        sys.stderr.write(f"building the Pulumi CLI {VERSION} into {_directory()} (once; about four minutes)\n")
        try:
            cli = build()
        except NoCli as missing:
            sys.exit(str(missing))
    sys.stdout.write(f"{cli.path}\n")


if __name__ == "__main__":
    main()
