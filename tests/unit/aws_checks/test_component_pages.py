"""docs/components and the components agree."""

from __future__ import annotations

import re

import pytest

from tests.unit.components.examples import COMPONENTS
from tools import component_pages, conformance, service_limits


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


@pytest.mark.parametrize("name", COMPONENTS)
def test_a_page_has_the_limits_of_what_its_example_creates(name: str) -> None:
    limits = component_pages.page(name).partition("## Limits\n")[2].partition("\n## ")[0]
    assert ("| limit |" in limits) == (name not in {"QueueAlarms", "StreamAlarms"})


def test_the_numbers_of_a_limit_are_those_of_its_row_in_the_semantics() -> None:
    rows = {each.id: each.text for each in conformance.rows()}
    listed = dict.fromkeys(limit for limits in service_limits.LIMITS.values() for limit in limits)
    of_rows = [each for each in listed if not each.source.startswith("https://")]
    assert [each for each in of_rows if not set(numbers(each.value)) <= set(numbers(rows[each.source]))] == []


def numbers(text: str) -> list[str]:
    return re.findall(r"\d+", text.replace(",", ""))
