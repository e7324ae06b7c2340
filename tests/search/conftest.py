"""One node and one endpoint for the tier. Who has no Java is told, and these tests are skipped; in CI they fail."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from opensearchpy import OpenSearch

from local.endpoint import Endpoint
from tests.search.node import NoNode, search_node


@pytest.fixture(scope="session")
def node() -> Iterator[str]:
    """The URL of a real OpenSearch node."""
    running = search_node()
    try:
        url = running.__enter__()
    except NoNode as missing:
        if os.environ.get("CI") == "true":
            pytest.fail(str(missing))
        pytest.skip(str(missing))
    try:
        yield url
    finally:
        running.__exit__(None, None, None)


@pytest.fixture(scope="session")
def engine(node: str) -> Iterator[OpenSearch]:
    client = OpenSearch(hosts=[node], timeout=60)
    yield client
    client.close()


@pytest.fixture(scope="session")
def aws() -> Iterator[Endpoint]:
    with Endpoint() as endpoint:
        yield endpoint
