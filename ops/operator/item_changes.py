"""The changes of one item in the streams of a stack, found by the item's key or by a request's id."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from handlers.cdc import Change
from ops.operator.consumers import Consumer
from ops.operator.dead_letters.letters import change_in, has_key
from ops.operator.dead_letters.pointers import Cursor, shards_of
from ops.operator.kinesis_records import KinesisCursor, kinesis_shards
from ops.operator.stack import Stack

#: Seconds that a table's stream keeps its records, and so the longest time that a change can be found after.
DAY = 86_400


class ItemChanges:
    """Reads the streams of consumers on and on, and keeps the changes of one item.

    The last 24 hours are read, which is all that a table's stream has, with `pause` before each read. A change that is
    read from both the table's stream and from Kinesis is found twice: it has another event id there.

    Args:
        stack: The stack.
        consumers: Consumers whose tables' streams and Kinesis streams are read.
        wanted: A key such as `userId=bob` or `bob`, a request's id, or an event id.
        pause: Called before each read.
    """

    def __init__(
        self, stack: Stack, consumers: Sequence[Consumer], wanted: str, *, pause: Callable[[], None] = lambda: None
    ) -> None:
        streams, kinesis = stack.client("dynamodbstreams"), stack.client("kinesis")
        since = time.time() - DAY
        self._wanted = wanted
        self._cursors: list[Cursor | KinesisCursor] = [
            Cursor(streams, arn, shard, pause=pause)
            for arn in sorted({each.stream for each in consumers if each.stream is not None and not each.reads_kinesis})
            for shard in shards_of(streams, arn)
        ]
        self._cursors += [
            KinesisCursor(kinesis, arn, shard, since, pause)
            for arn in sorted({each.source for each in consumers if each.reads_kinesis})
            for shard in kinesis_shards(kinesis, arn)
        ]
        self.found: dict[str, Mapping[str, Any]] = {}

    def read(self) -> Mapping[str, Mapping[str, Any]]:
        """Read what is new; returns all records found so far, by the event ids of their changes."""
        for cursor in self._cursors:
            for record in cursor.new():
                change = change_in(record)
                if change and self._matches(change):
                    self.found[change["eventID"]] = record
        return self.found

    def _matches(self, change: Mapping[str, Any]) -> bool:
        if has_key(change, self._wanted):
            return True
        return self._wanted in (change["eventID"], Change(change).correlation_id)
