"""The code archive of a handler: the module, and the runtime it shares with the others.

Files are listed one by one, so that caches and tests never get in: the same code gives the same archive and no diff.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pulumi

#: Deployed with no function: only tests import it.
_TESTS_ONLY = "testing.py"


def project_root(module: str) -> Path:
    """The directory that holds the top-level package of an imported module."""
    file = sys.modules[module].__file__
    if file is None:
        raise ValueError(f"{module} is not a module in a file")
    return Path(file).resolve().parents[module.count(".")]


def handler_package(module: str) -> pulumi.AssetArchive:
    """The archive of `module`, e.g. `handlers.welcome_email`, with `handlers/cdc`."""
    root = project_root(module)
    runtime = sorted(path for path in (root / "handlers" / "cdc").glob("*.py") if path.name != _TESTS_ONLY)
    files = [root / "handlers" / "__init__.py", *runtime, root / f"{module.replace('.', '/')}.py"]
    return pulumi.AssetArchive({path.relative_to(root).as_posix(): pulumi.FileAsset(str(path)) for path in files})
