"""`ShardReader`: reads one shard through the Streams API, from a position that it can return to."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from botocore.exceptions import ClientError

from aws_semantics.limits import STREAM_POLL_SECONDS
from local.endpoint.clients import error_code, is_throttling, reading_as
from local.engine.streams.records import StreamRecord, from_streams_api


class Reader(Protocol):
    """A reader of one shard.

    Attributes:
        shard_id: The shard's id.
    """

    shard_id: str

    @property
    def ended(self) -> bool:
        """Whether the shard is closed and everything in it was read."""
        ...

    def read(self) -> Iterator[StreamRecord]:
        """Read the records of the stream that were not read yet."""
        ...

    def rewind(self, checkpoint: str | None) -> None:
        """Go back to behind the last finished record; `None` if none was finished since the last call."""
        ...


class ShardReader:
    """Reads a shard once, in order, as one of the two readers that the shard serves.

    Args:
        streams: A client of DynamoDB Streams whose GetRecords answers the API's JSON (`local.endpoint.in_process`).
        stream_arn: The stream's ARN.
        shard_id: The shard's id.
        starting_position: `TRIM_HORIZON` or `LATEST`: behind the last record at the time of construction.
        clock: Returns the time in seconds since 1970.
    """

    def __init__(
        self,
        streams: Any,
        *,
        stream_arn: str,
        shard_id: str,
        starting_position: str,
        clock: Callable[[], float],
    ) -> None:
        self.shard_id = shard_id
        self._streams = streams
        self._stream_arn = stream_arn
        self._clock = clock
        self._name = uuid.uuid4().hex
        #: Sequence numbers of the last finished record and of the last one read; `None` before the first.
        self._checkpoint: str | None = None
        self._last_read: str | None = None
        self._iterator: str | None = None
        self._drained = False
        if starting_position == "LATEST":
            # An iterator does not show its position and dies in 15 minutes; a sequence number lasts.
            self._read_to_the_end()
            self._checkpoint = self._last_read

    @property
    def ended(self) -> bool:
        """Whether the shard is closed and everything in it was read."""
        return self._drained

    def read(self) -> Iterator[StreamRecord]:
        """Read the records of the stream that were not read yet; none once the shard is closed and drained."""
        while not self._drained:
            if self._iterator is None:
                self._iterator = self._iterator_behind(self._last_read)
            try:
                with reading_as(self._name):
                    page = self._streams.get_records(ShardIterator=self._iterator)
            except ClientError as refused:
                if error_code(refused) != "ExpiredIteratorException":
                    raise
                # A quiet table is not read for longer than an iterator lives (docs/aws-semantics.md §1.1).
                self._iterator = None
                continue
            self._iterator = page.get("NextShardIterator")
            self._drained = self._iterator is None
            if not page["Records"]:
                return
            self._last_read = page["Records"][-1]["dynamodb"]["SequenceNumber"]
            now = self._clock()
            for record in page["Records"]:
                yield from_streams_api(record, stream_arn=self._stream_arn, visible=now)

    def rewind(self, checkpoint: str | None) -> None:
        """Go back to behind the last finished record; `None` if none was finished since the last call."""
        if checkpoint is not None:
            self._checkpoint = checkpoint
        if self._last_read != self._checkpoint:
            self._last_read = self._checkpoint
            self._iterator = None
            self._drained = False

    def _read_to_the_end(self) -> None:
        while True:
            try:
                for _ in self.read():
                    pass
            except ClientError as refused:
                if not is_throttling(refused):
                    raise
                time.sleep(STREAM_POLL_SECONDS)
            else:
                return

    def _iterator_behind(self, sequence_number: str | None) -> str:
        position = {"ShardIteratorType": "TRIM_HORIZON"}
        if sequence_number is not None:
            position = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": sequence_number}
        where = {"StreamArn": self._stream_arn, "ShardId": self.shard_id}
        try:
            return self._streams.get_shard_iterator(**where, **position)["ShardIterator"]
        except ClientError as refused:
            if sequence_number is None or error_code(refused) != "TrimmedDataAccessException":
                raise
            # The stream has forgotten that record, and all records before it (docs/aws-semantics.md §1.1).
            return self._iterator_behind(None)


def shard_ids(streams: Any, stream_arn: str) -> list[str]:
    """List the shards of a stream; on this endpoint there is one.

    Args:
        streams: A boto3 client of DynamoDB Streams.
        stream_arn: The stream's ARN.

    Raises:
        ClientError: The stream does not exist.
    """
    # The account's limit of calls does not count AWS's own.
    with reading_as("shard discovery"):
        description = streams.describe_stream(StreamArn=stream_arn)["StreamDescription"]
    return [shard["ShardId"] for shard in description["Shards"]]


def readers_of(
    streams: Any, *, stream_arn: str, starting_position: str, clock: Callable[[], float]
) -> list[ShardReader]:
    """Make a reader for each shard of a stream.

    Args:
        streams: A boto3 client of DynamoDB Streams.
        stream_arn: The stream's ARN.
        starting_position: `TRIM_HORIZON` or `LATEST`.
        clock: Returns the time in seconds since 1970.

    Raises:
        ClientError: The stream does not exist.
    """
    return [
        ShardReader(
            streams,
            stream_arn=stream_arn,
            shard_id=shard_id,
            starting_position=starting_position,
            clock=clock,
        )
        for shard_id in shard_ids(streams, stream_arn)
    ]
