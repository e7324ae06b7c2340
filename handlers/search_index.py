"""The users in OpenSearch, found by address and plan; readers search the alias `users`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from handlers.cdc import Change, consumer
from handlers.cdc.projection import VERSIONED
from handlers.cdc.projection_search import SearchProjection

users = SearchProjection(
    "SEARCH_URL",
    index="users-v1",
    alias="users",
    properties={
        "userId": {"type": "keyword"},
        "email": {"type": "text", "fields": {"exact": {"type": "keyword", "ignore_above": 320}}},
        "plan": {"type": "keyword"},
        "version": {"type": "long"},
    },
)


@consumer(when=VERSIONED, whole_batch=True)
def handler(changes: Sequence[Change]) -> list[tuple[Change[Any], Exception]]:
    """Index the users of a batch in one call, and name the changes whose documents were not taken."""
    ordered = (change for change in changes if change.version is not None)  # a snapshot may have none
    return users.write((change, change.keys["userId"], change.new) for change in ordered)
