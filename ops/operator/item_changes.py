"""The changes of one item in the streams of a stack, found by the item's key or by a request's id."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from handlers.cdc import Change
from ops.operator.consumers import Consumer
from ops.operator.dead_letters.letters import has_key
from ops.operator.dead_letters.pointers import Cursor, shards_of
from ops.operator.stack import Stack


class ItemChanges:
    """Reads the streams of consumers on and on, and keeps the changes of one item.

    The whole stream is read, up to 24 hours of it, with `pause` before each read.

    Args:
        stack: The stack.
        consumers: Consumers whose tables' streams are read.
        wanted: A key such as `userId=bob` or `bob`, a request's id, or an event id.
        pause: Called before each read.
    """

    def __init__(
        self, stack: Stack, consumers: Sequence[Consumer], wanted: str, *, pause: Callable[[], None] = lambda: None
    ) -> None:
        streams = stack.client("dynamodbstreams")
        self._wanted = wanted
        self._cursors = [
            Cursor(streams, arn, shard, pause=pause)
            for arn in sorted({each.stream for each in consumers if each.stream is not None})
            for shard in shards_of(streams, arn)
        ]
        self.found: dict[str, Mapping[str, Any]] = {}

    def read(self) -> Mapping[str, Mapping[str, Any]]:
        """Read what is new; returns all records found so far, by their event ids."""
        for cursor in self._cursors:
            for record in cursor.new():
                if self._matches(record):
                    self.found[record["eventID"]] = record
        return self.found

    def _matches(self, record: Mapping[str, Any]) -> bool:
        if has_key(record, self._wanted):
            return True
        return self._wanted in (record["eventID"], Change(record).correlation_id)
