"""The data files that a handler's modules read at run time (templates, SQL, JSON), found from how a module reads them.

A module that mentions `__file__` reads what is beside it. A module that uses `importlib.resources` or `pkgutil` reads
what is in its own package, and in the packages of the project that it imports or names.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterable, Iterator
from pathlib import Path

from components.first_party import imports_of
from components.refusal import Refused

_READERS = frozenset({"importlib.resources", "pkgutil"})
_CODE = frozenset({".py", ".pyc", ".pyi"})


def data_files(modules: Iterable[Path], root: Path) -> set[Path]:
    """List the data files that modules read.

    Args:
        modules: Their files.
        root: The directory that imports start from.

    Raises:
        Refused: A module reads files beside it, and lies in the project's own directory.
    """
    found: set[Path] = set()
    for module in modules:
        for directory in _directories(module, root):
            if directory == root:
                raise Refused(
                    f"{module.relative_to(root).as_posix()}: reads files beside it, and there lies the whole project: "
                    "move the module and its files into a package, e.g. handlers/"
                )
            found |= set(_data_of(directory))
    return found


@functools.cache
def _directories(module: Path, root: Path) -> frozenset[Path]:
    """Return the directories that a module reads data files of."""
    source = module.read_text(encoding="utf-8")
    found: set[Path] = set()
    if "__file__" not in source and not any(each.rpartition(".")[2] in source for each in _READERS):
        return frozenset()
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return frozenset()  # the import contract names the line
    if any(isinstance(node, ast.Name) and node.id == "__file__" for node in ast.walk(tree)):
        found.add(module.parent)
    names = [each.name for each in imports_of(module, ".".join(module.relative_to(root).parts[:-1]))]
    if any(f"{name}.".startswith(f"{reader}.") for name in names for reader in _READERS):
        found |= {module.parent, *(place for name in names for place in _package(name, root))}
    return frozenset(found)


def _package(name: str, root: Path) -> Iterator[Path]:
    """Yield the directory of a package or module of the project."""
    parts = name.split(".")
    for inside in (root.joinpath(*parts), root.joinpath(*parts[:-1])):
        if inside != root and (inside.is_dir() or inside.with_suffix(".py").is_file()):
            yield inside if inside.is_dir() else inside.parent
            return


def _data_of(directory: Path) -> Iterator[Path]:
    """Yield the data files of a directory, and of those below it that hold no modules."""
    for path in sorted(directory.iterdir()):
        if path.name.startswith(".") or path.name == "__pycache__":
            continue
        if path.is_file() and path.suffix not in _CODE:
            yield path
        elif path.is_dir() and not any(each.suffix == ".py" for each in path.iterdir()):
            yield from _data_of(path)
