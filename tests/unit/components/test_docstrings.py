"""The examples in the components' docstrings and in their guide run as they stand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import components
from tests.unit.components.examples import (
    COMPONENTS,
    GUIDES,
    PROGRAM_GUIDES,
    example_of,
    examples_of,
    surroundings,
    write_locks,
)

GUIDE = (GUIDES / "components.md").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write the lock that an example names."""
    write_locks(tmp_path)
    monkeypatch.setattr("components.python_layer._PROJECT", tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.mark.parametrize("name", COMPONENTS)
def test_the_example_of_a_component_deploys(run, name: str) -> None:
    done = run(lambda: exec(example_of(name), surroundings()))
    assert len(done.registrations) > len(run(surroundings).registrations)


def test_the_example_of_a_stream_source_deploys(run) -> None:
    done = run(lambda: exec(example_of("StreamSource"), surroundings()))
    assert done.one("Stream", "orders")


@pytest.mark.parametrize("example", [code for guide in PROGRAM_GUIDES for code in examples_of(guide)])
def test_an_example_of_the_guide_deploys(run, example: str) -> None:
    done = run(lambda: exec(example, surroundings()))
    assert len(done.registrations) > len(run(surroundings).registrations)


@pytest.mark.parametrize("name", components.__all__)
def test_the_guide_names_everything_that_is_public(name: str) -> None:
    assert re.search(rf"\b{name}\b", GUIDE)
