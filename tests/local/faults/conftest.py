"""One deployment for all faults: each test has users of its own, and leaves nothing broken."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.local.faults.service import Service, running


@pytest.fixture(scope="session")
def deployed_service() -> Iterator[Service]:
    with running() as service:
        yield service


@pytest.fixture
def service(deployed_service: Service) -> Iterator[Service]:
    yield deployed_service
    deployed_service.control.clear_faults()
