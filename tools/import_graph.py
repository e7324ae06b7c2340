"""Writes the import graph of docs/architecture.md, and the contracts that keep it as it is.

`python -m tools.import_graph` writes the section; `make docs` does the same.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import grimp

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "architecture.md"
START, END = "<!-- imports: written by tools/import_graph.py -->", "<!-- end of imports -->"

#: Boxes of the graph: packages, and the module that is the program. A package stands for what no other box names.
ROOMS = (
    "__main__",
    "aws_semantics",
    "components",
    "handlers",
    "handlers.cdc",
    "local.deploy",
    "local.endpoint",
    "local.engine",
    "local.pulumi_host",
    "local.simulation",
    "ops",
    "policies",
)


def arrows() -> list[tuple[str, str]]:
    """List which room imports from which, both by name, sorted."""
    found = {
        (_room(importer), _room(imported)) for importer, imported in _imports() if _room(imported) and _room(importer)
    }
    return sorted((importer, imported) for importer, imported in found if importer != imported)


def contracts() -> list[str]:
    """List the names of the contracts in pyproject.toml, which `make check` enforces."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return [contract["name"] for contract in settings["tool"]["importlinter"]["contracts"]]


def page() -> str:
    """Return the page with the section as the code has it now."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}\n{_section()}\n{END}{after}"


def _section() -> str:
    boxes = [f'    {_box(room)}["{room}"]' for room in ROOMS]
    lines = [f"    {_box(importer)} --> {_box(imported)}" for importer, imported in arrows()]
    graph = "\n".join(["```mermaid", "flowchart TD", *boxes, *lines, "```"])
    return graph + "\n\nThe contracts:\n\n" + "\n".join(f"- {name}." for name in contracts())


def _imports() -> Iterator[tuple[str, str]]:
    packages = sorted({room.split(".")[0] for room in ROOMS} - {"__main__"})
    graph = grimp.build_graph(*packages, cache_dir=None)
    for importer in graph.modules:
        for imported in graph.find_modules_directly_imported_by(importer):
            yield importer, imported
    # The program belongs to no package.
    for node in ast.walk(ast.parse((ROOT / "__main__.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield "__main__", node.module


def _room(module: str) -> str:
    """Return the room that a module is in; empty if it is in none."""
    return max((room for room in ROOMS if f"{module}.".startswith(f"{room}.")), key=len, default="")


def _box(room: str) -> str:
    return re.sub(r"\W", "_", room).strip("_")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
