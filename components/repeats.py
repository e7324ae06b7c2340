"""Repeats: how a consumer makes a second delivery of a change harmless.

A fan-out, a pipe and a Kinesis stream deliver every change at least once. So each subscriber either uses something of
the runtime that makes repeats harmless, which is found in its module, or declares in words what does.
"""

from __future__ import annotations

import ast
import sys

from components.first_party import imported_files
from components.package import project_root
from components.refusal import Refused
from handlers.cdc import Consumer, EffectLedger
from handlers.cdc.counters import Counters
from handlers.cdc.projection import DynamoDBProjection, search_version
from handlers.cdc.projection_redis import RedisProjection
from handlers.cdc.projection_search import SearchProjection
from handlers.cdc.projection_sql import SqlProjection
from handlers.cdc.sequencer import Sequencer
from handlers.cdc.workflow import Workflow
from handlers.cdc.write_once import WriteOnceBucket

_SEARCH = "the search index takes a document only with a higher version"

#: The runtime's means, and how each makes repeats harmless.
_FOUND: tuple[tuple[type, str], ...] = (
    (EffectLedger, "the effect ledger runs each effect once per key"),
    (Counters, "the counters count each change once, by a marker"),
    (DynamoDBProjection, "the projection's version guard ignores what it has seen"),
    (SqlProjection, "the projection's version guard ignores what it has seen"),
    (RedisProjection, "the projection's version guard ignores what it has seen"),
    (SearchProjection, _SEARCH),
    (WriteOnceBucket, "an object of the bucket is written once and never replaced"),
    (Sequencer, "the sequencer runs its effect once per key, through the effect ledger"),
    (Workflow, "Step Functions starts an execution once per name"),
)

#: The means of those that are copies of items, and nothing more.
_PROJECTIONS = (DynamoDBProjection, RedisProjection, SearchProjection, SqlProjection)

#: The runtime's words: with these, an older change that comes late is harmless too.
GUARDS = frozenset({_SEARCH, *(words for _, words in _FOUND)})


def harmless_repeats(name: str, consumer: Consumer, declared: str | None, *, route: str = "a fan-out") -> str:
    """Return how a consumer makes repeats harmless: in its own words, else by what its module uses.

    Args:
        name: The consumer's name, for the message.
        consumer: The consumer.
        declared: The words of `subscribe(repeats=…)`.
        route: The way that changes come, for the message.

    Raises:
        Refused: Nothing is declared and nothing is found.
    """
    if declared is not None and declared.strip():
        return declared
    found = found_harmless(consumer)
    if found is None:
        raise Refused(
            f"{name}: {route} delivers every change at least once, and nothing in {consumer.module} makes a repeat "
            "harmless: an effect could happen twice; run it through effects.once(…) of handlers.cdc, count with "
            "Counters, write with a projection, or say in words what makes repeats harmless: "
            'subscribe(…, repeats="the object\'s key is the event id, so a second write changes nothing")'
        )
    return found


def check_keys_through_kinesis(name: str, consumer: Consumer, declared: str | None) -> None:
    """Refuse a consumer of Kinesis whose keys rest on what is not the same at every delivery there.

    A change can come twice with different event ids, and it has no sequence number (docs/aws-semantics.md §4, KDS-10).

    Args:
        name: The consumer's name, for the message.
        consumer: The consumer.
        declared: The words of `subscribe(repeats=…)`, with which event ids are the consumer's own business.

    Raises:
        Refused: The module, or a module of the project that it imports, reads `event_id`; or a projection is guarded by
            sequence numbers.
    """
    if guarded_by_sequence(consumer):
        raise Refused(
            f"{name}: a projection of {consumer.module} is guarded by sequence numbers, and changes that come "
            'through Kinesis have none: guard it by the item\'s version, guard_by="version"'
        )
    if declared is not None and declared.strip():
        return
    root = project_root(consumer.module)
    for file in sorted(imported_files(consumer.module, root)):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr == "event_id":
                raise Refused(
                    f"{name}: {file.relative_to(root).as_posix()}:{node.lineno} reads event_id, and through Kinesis "
                    "a change can come twice with different event ids, so that its effect would happen twice: make the "
                    "key of the item's key and its version, e.g. "
                    "f\"{change.keys['userId']}#{change.item['version']}\", or say in words what makes repeats "
                    "harmless: subscribe(…, repeats=…)"
                )


def found_harmless(consumer: Consumer) -> str | None:
    """Return how what a consumer's module uses makes repeats harmless; `None` if it uses nothing that does."""
    for value in vars(sys.modules[consumer.module]).values():
        if value is search_version:
            return _SEARCH
        for kind, words in _FOUND:
            if isinstance(value, kind):
                return words
    return None


def effects_beside_projections(consumer: Consumer) -> str | None:
    """Return how a consumer's effects that are not rows of a projection are kept from a repeat; `None` without any."""
    for value in vars(sys.modules[consumer.module]).values():
        for kind, words in _FOUND:
            if isinstance(value, kind) and not isinstance(value, _PROJECTIONS):
                return words
    return None


def guarded_by_sequence(consumer: Consumer) -> bool:
    """Return whether a projection of a consumer's module is guarded by sequence numbers."""
    return any(
        isinstance(value, DynamoDBProjection | SqlProjection | RedisProjection) and value.guard_by == "sequence"
        for value in vars(sys.modules[consumer.module]).values()
    )
