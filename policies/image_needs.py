"""The images that the readers of a table's stream need, as far as their filters say so."""

from __future__ import annotations

from collections.abc import Sequence

from aws_semantics.event_patterns import InvalidPattern
from aws_semantics.event_patterns.lint import IMAGES_OF, LACKED_BY
from aws_semantics.event_patterns.syntax import Clause, Or, expand, parse
from policies.graph import Stack
from policies.resources import Resource
from policies.stream_readers import filter_patterns, source, stream_readers

_EVENT_NAMES = ("INSERT", "MODIFY", "REMOVE")


def view_suffices(stack: Stack, table: Resource, view_type: str) -> bool:
    """Test whether the filters of every reader of a table's stream say that a view type is enough.

    A filter says so when it asks for the image that the view carries, and for no other; or when it selects only the
    changes that have no other image: INSERT has no old one, REMOVE no new one. With KEYS_ONLY it asks for keys.

    Raises:
        Awaited: A filter, or the stream of a reader, is not known yet.
    """
    readers = [reader for reader in stream_readers(stack) if source(stack, reader) is table]
    return bool(readers) and all(_says_so(reader, view_type) for reader in readers)


def _says_so(reader: Resource, view_type: str) -> bool:
    criteria = filter_patterns(reader)
    patterns = [place.text("pattern") for place in criteria.blocks("filters")]
    if not patterns or any(pattern is None for pattern in patterns):
        return False
    try:
        ways = [way for pattern in patterns for way in expand(parse(pattern or ""))]
    except InvalidPattern:
        return False
    return all(_is_enough(way, view_type) for way in ways)


def _is_enough(way: Sequence[Clause | Or], view_type: str) -> bool:
    clauses = [clause for clause in way if isinstance(clause, Clause)]
    names = set(_EVENT_NAMES)
    parts: set[str] = set()
    for clause in clauses:
        if clause.path == ("eventName",):
            names = {name for name in _EVENT_NAMES if clause.field.accepts(name)}
        elif clause.path[0] == "dynamodb" and len(clause.path) > 1:
            parts.add(clause.path[1])
    images = set(IMAGES_OF[view_type])
    if not images:
        return "Keys" in parts and parts.isdisjoint(LACKED_BY)
    # An image that no selected change has is not missed.
    missed = {image for image, lacking in LACKED_BY.items() if image not in images and names != {lacking}}
    return parts.isdisjoint(missed) and (not missed or bool(parts & images))
