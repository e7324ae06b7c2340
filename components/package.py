"""The code archive of a handler: its module, the modules that it imports, and the data files that they read.

The modules are the project's and the runtime's. Files are listed one by one, so that caches and tests never get in: the
same code gives the same archive and no diff.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import pulumi

from components.data_files import data_files
from components.first_party import imported_files
from components.refusal import Refused

#: Modules of the runtime that no function needs.
NOT_DEPLOYED = frozenset({"testing"})
#: Modules of the runtime that are handlers themselves.
ENTRY_POINTS = frozenset({"handlers.cdc.forwarder", "handlers.cdc.reconciler"})


def project_root(module: str) -> Path:
    """Find the directory from which an imported handler module is imported, e.g. `handlers.welcome_email`.

    Raises:
        Refused: The module is the program itself, the runtime's or not imported, or the runtime is not beside it.
    """
    if module == "__main__" or (f"{module}.".startswith("handlers.cdc.") and module not in ENTRY_POINTS):
        raise Refused(
            f"{module} is not a handler's module, and only those are deployed: "
            "move the handler into a file of its own in handlers/"
        )
    file = getattr(sys.modules.get(module), "__file__", None)
    if file is None:
        raise Refused(f"{module} is not imported, so its file is not known: import it where it is used")
    path = Path(file).resolve()
    root = path.parents[module.count(".") + (path.name == "__init__.py")]
    if not (root / "handlers" / "cdc" / "__init__.py").is_file():  # listing the runtime would take longer than the rest
        raise Refused(
            f"{module} lies outside of the project, where the runtime handlers/cdc is: move the handler into handlers/"
        )
    return root


def runtime_files(root: Path) -> list[Path]:
    """List the files of `handlers.cdc` in the project at `root` that a function may need."""
    package = root / "handlers" / "cdc"
    return sorted(path for path in package.glob("*.py") if path.stem not in NOT_DEPLOYED)


def handler_package(module: str, further: Iterable[str] = ()) -> pulumi.AssetArchive:
    """Pack `module`, e.g. `handlers.welcome_email`, with the modules that it imports and the data files they read.

    Args:
        module: The handler's module.
        further: Modules that it imports by name while it runs.

    Raises:
        Refused: It imports a module of the project that is not deployed, or reads files beside it in the project's
            own directory.
    """
    root = project_root(module)
    files = {root / "handlers" / "__init__.py": root}
    for each in (module, *further):
        base = project_root(each)
        modules = imported_files(each, base, with_runtime=True)
        files |= dict.fromkeys(modules | data_files(modules, base), base)
    return pulumi.AssetArchive(
        {path.relative_to(base).as_posix(): pulumi.FileAsset(str(path)) for path, base in sorted(files.items())}
    )
