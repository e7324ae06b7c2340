"""The code archive of a handler: the module, and the runtime it shares with the others.

Files are listed one by one, so that caches and tests never get in: the same code gives the same archive and no diff.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pulumi

from components.refusal import Refused

#: Modules of the runtime that no function needs.
NOT_DEPLOYED = frozenset({"testing"})


def project_root(module: str) -> Path:
    """The directory that holds the package `handlers` of an imported handler module.

    Raises:
        Refused: `module` is not one.
    """
    if not re.fullmatch(r"handlers\.\w+", module):
        raise Refused(
            f"{module} is not a module of the package handlers, and only those are deployed: "
            "move the handler into a file of its own there"
        )
    file = getattr(sys.modules.get(module), "__file__", None)
    if file is None:
        raise Refused(f"{module} is not imported, so its file is not known: import it where it is used")
    return Path(file).resolve().parents[1]


def runtime_files(root: Path) -> list[Path]:
    """The files of `handlers.cdc` that are deployed with every function of the project at `root`."""
    package = root / "handlers" / "cdc"
    return sorted(path for path in package.glob("*.py") if path.stem not in NOT_DEPLOYED)


def handler_package(module: str) -> pulumi.AssetArchive:
    """The archive of `module`, e.g. `handlers.welcome_email`, with `handlers/cdc`."""
    root = project_root(module)
    files = [root / "handlers" / "__init__.py", *runtime_files(root), root / f"{module.replace('.', '/')}.py"]
    return pulumi.AssetArchive({path.relative_to(root).as_posix(): pulumi.FileAsset(str(path)) for path in files})
