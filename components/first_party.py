"""The modules of a project that a handler imports, directly or through others, found in their source.

Imports inside functions, `lazy_import("…")` and `files("…")` count. Imports under `if TYPE_CHECKING:` do not, since
they never run.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from components.refusal import Refused

#: Packages of the project that never run in Lambda: they need Pulumi, or the machine that the project is cloned to.
OPERATORS_ONLY = frozenset(
    {"aws_semantics", "benchmarks", "components", "local", "ops", "policies", "tests", "tools", "__main__"}
)

#: Functions of `importlib.resources` and `pkgutil` whose first argument is a package.
_NAMING = frozenset({"files", "get_data", "is_resource", "open_binary", "open_text", "read_binary", "read_text"})


class LeavesTheArchive(Refused):
    """An import of a module that is not deployed. One line: file, line, module, how to fix it."""


class Import(NamedTuple):
    """One name that a module imports, and the line."""

    name: str
    line: int


@functools.cache
def imported_files(module: str, root: Path, *, with_runtime: bool = False) -> frozenset[Path]:
    """List the files of a module, of its packages, and of all modules of the project that it imports.

    A run of the program reads each handler's source once, however many consumers it makes of it.

    Args:
        module: The dotted name, e.g. `handlers.welcome_email`.
        root: The directory that its import starts from.
        with_runtime: List the modules of the runtime, `handlers.cdc`, too.

    Raises:
        LeavesTheArchive: One of them imports a module of the project that is not deployed.
    """
    found: set[Path] = set()
    waiting = list(_files_of(module, root))
    while waiting:
        file = waiting.pop()
        if file in found:
            continue
        found.add(file)
        package = ".".join(file.relative_to(root).parts[:-1])
        for imported in imports_of(file, package):
            ours = list(_files_of(imported.name, root))
            name = _name_of(ours[-1], root) if ours else imported.name
            if ours and (name == "handlers.cdc.testing" or name.partition(".")[0] in OPERATORS_ONLY):
                raise LeavesTheArchive(
                    f"{file.relative_to(root).as_posix()}:{imported.line}: imports {name}, which is not deployed: "
                    "move what the handler needs of it into a module under handlers/"
                )
            if with_runtime or not f"{name}.".startswith("handlers.cdc."):
                waiting += ours
    return frozenset(found)


def module_names(module: str, root: Path) -> list[str]:
    """List the dotted names of the project's modules in the archive of a handler, the runtime's left out."""
    return sorted(_name_of(file, root) for file in imported_files(module, root))


def _name_of(file: Path, root: Path) -> str:
    return ".".join(file.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


def _files_of(name: str, root: Path) -> Iterator[Path]:
    """Yield the files that an import of a dotted name runs, as far as they are the project's."""
    parts = name.split(".")
    for end in range(1, len(parts) + 1):
        inside = root.joinpath(*parts[:end])
        for file in (inside / "__init__.py", inside.with_suffix(".py")):
            if file.is_file():
                yield file


@functools.cache
def imports_of(file: Path, package: str) -> tuple[Import, ...]:
    """List the imports of a module in its source, and the packages whose data files it names.

    Args:
        file: The module's file.
        package: The package that its relative imports start from.
    """
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
    except SyntaxError:
        return ()  # the import contract names the line
    return tuple(_statements(tree.body, package))


def _statements(nodes: list[ast.stmt], package: str) -> Iterator[Import]:
    for statement in nodes:
        if isinstance(statement, ast.If) and ast.unparse(statement.test).endswith("TYPE_CHECKING"):
            yield from _statements(statement.orelse, package)
        else:
            for node in ast.walk(statement):
                yield from _names(node, package)


def _names(node: ast.AST, package: str) -> Iterator[Import]:
    match node:
        case ast.Import(names=names):
            yield from (Import(each.name, node.lineno) for each in names)
        case ast.ImportFrom(module=module, names=names, level=level):
            above = package.split(".")[: len(package.split(".")) - level + 1] if level else []
            base = ".".join([*above, *([module] if module else [])])
            yield from (Import(f"{base}.{each.name}", node.lineno) for each in names)
        case ast.Call(
            func=ast.Name(id="lazy_import") | ast.Attribute(attr="lazy_import"), args=[ast.Constant(value=str(name))]
        ):
            yield Import(name, node.lineno)
        case ast.Call(
            func=ast.Name(id=called) | ast.Attribute(attr=called), args=[ast.Constant(value=str(name)), *_]
        ) if called in _NAMING:
            # A package of data files may have an __init__.py, and importlib.resources imports it.
            yield Import(name, node.lineno)
        case _:
            pass
