"""Reading one shard through the Streams API, from a position that can be returned to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from botocore.exceptions import ClientError

from local.clients import error_code
from local.delivery.records import StreamRecord, from_get_records


class ShardReader:
    """Reads a shard once, in order.

    Args:
        streams: A boto3 client of DynamoDB Streams.
        starting_position: `TRIM_HORIZON` or `LATEST`; what is latest is decided here and now.
    """

    def __init__(self, streams: Any, *, stream_arn: str, shard_id: str, starting_position: str) -> None:
        self.shard_id = shard_id
        self._streams = streams
        self._stream_arn = stream_arn
        self._start = starting_position
        self._checkpoint: str | None = None
        self._last_read: str | None = None
        self._iterator: str | None = self._iterator_at(None)

    def read(self, clock: Callable[[], float]) -> Iterator[StreamRecord]:
        """What the stream shows that was not read yet; nothing once the shard is closed and drained."""
        while self._iterator is not None:
            try:
                page = self._streams.get_records(ShardIterator=self._iterator)
            except ClientError as refused:
                if error_code(refused) != "ExpiredIteratorException":
                    raise
                # Iterators live 15 minutes; a quiet table is not read in between (docs/aws-semantics.md §1.1).
                self._iterator = self._iterator_at(self._last_read)
                continue
            self._iterator = page.get("NextShardIterator")
            if not page["Records"]:
                return
            self._last_read = page["Records"][-1]["dynamodb"]["SequenceNumber"]
            now = clock()
            for record in page["Records"]:
                yield from_get_records(record, stream_arn=self._stream_arn, visible=now)

    def rewind(self, checkpoint: str | None) -> None:
        """Go back to behind the last record done with; `None` when none was since the last call."""
        if checkpoint is not None:
            self._checkpoint = checkpoint
        if self._last_read != self._checkpoint:
            self._last_read = self._checkpoint
            self._iterator = self._iterator_at(self._checkpoint)

    def _iterator_at(self, sequence_number: str | None) -> str:
        position: dict[str, str] = {"ShardIteratorType": self._start}
        if sequence_number is not None:
            position = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": sequence_number}
        return self._streams.get_shard_iterator(StreamArn=self._stream_arn, ShardId=self.shard_id, **position)[
            "ShardIterator"
        ]


def readers_of(streams: Any, *, stream_arn: str, starting_position: str) -> list[ShardReader]:
    """A reader for each shard of a stream.

    Raises:
        ClientError: There is no such stream.
    """
    shards = streams.describe_stream(StreamArn=stream_arn)["StreamDescription"]["Shards"]
    return [
        ShardReader(streams, stream_arn=stream_arn, shard_id=shard["ShardId"], starting_position=starting_position)
        for shard in shards
    ]
