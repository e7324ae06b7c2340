"""docs/components and the components agree."""

from __future__ import annotations

import pytest

from tests.unit.components.examples import COMPONENTS
from tools import component_pages


def test_the_pages_are_current_or_make_docs_must_be_run() -> None:
    assert component_pages.written_files.stale(component_pages.pages(), component_pages.FOLDER.glob("*.md")) == []


@pytest.mark.parametrize("name", COMPONENTS)
def test_every_argument_of_a_component_says_what_it_means(name: str) -> None:
    page = component_pages.page(name).partition("## Arguments")[2].partition("\n## ")[0]
    silent = [line for line in page.splitlines() if line.startswith("| `") and line.rstrip().endswith("|  |")]
    assert silent == []


def test_a_page_shows_permissions_alarms_and_cost() -> None:
    page = component_pages.page("FanOut")
    for expected in ("`sns:Publish`", "| fan-out-notifications-failed |", "a month while nothing happens"):
        assert expected in page
