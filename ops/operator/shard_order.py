"""The order in which shards are read: an item's changes are in a parent before they are in its children."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def parents_first(shards: Mapping[str, Sequence[str]]) -> Sequence[str]:
    """Order shards so that each follows its parents.

    Args:
        shards: The parents of each shard; those that the stream has forgotten are ignored.

    >>> parents_first({"child": ["parent"], "parent": ["forgotten"]})
    ['parent', 'child']
    """
    ordered: dict[str, None] = {}

    def add(shard: str) -> None:
        for parent in shards[shard]:
            if parent in shards and parent not in ordered:
                add(parent)
        ordered[shard] = None

    for shard in shards:
        add(shard)
    return list(ordered)
