"""One endpoint for the whole tier; every test has tables, functions and mappings of its own."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from local.endpoint import Endpoint
from ops.local_stack import local_stack
from tests.local.operator_world import Night
from tests.local.pipe_world import PipeWorld
from tests.local.queue_world import Queues
from tests.local.world import World, members_set


@pytest.fixture(scope="session")
def aws() -> Iterator[Endpoint]:
    with Endpoint() as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def clients() -> dict[str, Any]:
    return {}


@pytest.fixture
def world(request: pytest.FixtureRequest, aws: Endpoint, clients: dict[str, Any]) -> Iterator[World]:
    members_set.clear()
    made = World(aws, clients)
    yield made
    made.close()
    for marker in request.node.iter_markers("honours"):
        operation, *members = marker.args
        assert operation in members_set, f"the test is said to show {operation} and does not call it"
        unset = set(" ".join(members).split()) - members_set[operation]
        assert not unset, f"the test is said to show {sorted(unset)} of {operation} and does not set it"


@pytest.fixture(scope="session")
def operated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    """The program without a fan-out on an endpoint of its own, with one retry, so that failures are given up soon."""
    with local_stack(Console(file=StringIO()), config={"weir:fanOut": "false"}) as (endpoint, deployment):
        night = Night(endpoint, deployment, tmp_path_factory.mktemp("stack") / "local.json")
        night.client("lambda").update_event_source_mapping(UUID=night.mapping, MaximumRetryAttempts=1)
        yield night


@pytest.fixture
def night(operated: Night) -> Night:
    """The same, quiet and without dead letters, whatever the last test wrote or broke."""
    operated.settle()
    return operated


@pytest.fixture
def pipes(world: World) -> Iterator[PipeWorld]:
    made = PipeWorld(world)
    yield made
    made.close()


@pytest.fixture
def queues(world: World) -> Queues:
    return Queues(world)
