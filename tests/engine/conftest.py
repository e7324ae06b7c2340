"""The CLI of this tier: tests fail without one unless they are merely collected with the others."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local.pulumi_host.cli import Cli, find
from tests.engine.lab import Lab, lab


@pytest.fixture(scope="session")
def cli() -> Cli:
    found = find()
    if found is None:
        pytest.skip("there is no Pulumi CLI: run `make engine`")
    return found


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory, cli: Cli) -> Iterator[Lab]:
    """An empty stack of the whole program."""
    with lab(tmp_path_factory.mktemp("engine"), cli) as made:
        yield made
