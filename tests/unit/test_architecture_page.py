"""docs/architecture.md and the tree agree."""

from __future__ import annotations

import re
from pathlib import Path

from tools import import_graph

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
NAMED = set(re.findall(r"`([\w./]+)`", PAGE))


def test_every_folder_of_code_is_on_the_page() -> None:
    packages = {
        path.parent
        for top in ("aws_semantics", "components", "handlers", "local", "ops", "policies")
        for path in (ROOT / top).rglob("__init__.py")
    }
    tops = {ROOT / top for top in ("benchmarks", "docs", "examples", "requirements", "tests", "tools")}
    folders = {f"{path.relative_to(ROOT).as_posix()}/" for path in packages | tops}
    assert sorted(folders - NAMED) == []


def test_every_file_and_folder_that_the_page_names_exists() -> None:
    paths = {name for name in NAMED if "/" in name and not name.startswith("/")}
    assert len(paths) > 20
    assert sorted(path for path in paths if not (ROOT / path).exists()) == []


def test_the_import_graph_and_the_contracts_are_current_or_make_docs_must_be_run() -> None:
    assert import_graph.page() == import_graph.PAGE.read_text(encoding="utf-8")


def test_arrows_of_the_import_graph_lead_from_the_program_down_to_the_facts() -> None:
    arrows = import_graph.arrows()
    assert ("__main__", "handlers") in arrows
    assert ("components", "aws_semantics") in arrows
    assert ("local.simulation", "local.engine") in arrows
    assert not [imported for importer, imported in arrows if importer == "aws_semantics"]
