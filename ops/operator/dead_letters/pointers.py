"""Reads the records that a document points at from their stream, by sequence number."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from handlers.cdc.failure_document import BatchRange
from local.endpoint.clients import error_code
from local.engine.streams.records import from_get_records

_GONE = ("TrimmedDataAccessException", "ResourceNotFoundException")


class Forgotten(Exception):
    """The stream has forgotten the records, or some of them."""


class NotReadable(Exception):
    """The records of this source cannot be read by sequence number here."""


def read_range(streams: Any, batch: BatchRange) -> list[Mapping[str, Any]]:
    """Read the records of a range, filtered-out ones included, as Lambda would pass them to a function.

    Args:
        streams: A boto3 client of DynamoDB Streams.
        batch: The range.

    Raises:
        Forgotten: The stream keeps records for 24 hours, and the first of these are older.
        NotReadable: The range is of another source than a DynamoDB stream.
    """
    if ":dynamodb:" not in batch.stream_arn:
        raise NotReadable(f"records of {batch.stream_arn} cannot be read again by sequence number")
    try:
        records: list[Mapping[str, Any]] = []
        for record in Cursor(streams, batch.stream_arn, batch.shard_id, batch.first).new():
            if int(record["dynamodb"]["SequenceNumber"]) > int(batch.last):
                break
            records.append(record)
            if record["dynamodb"]["SequenceNumber"] == batch.last:
                break
    except ClientError as error:
        if error_code(error) in _GONE:
            raise Forgotten(
                f"the stream has forgotten the records from {batch.first} to {batch.last}: compare the target with the "
                "table instead"
            ) from None
        raise
    return records


def shards_of(streams: Any, stream_arn: str) -> Sequence[str]:
    """List the shards of a stream, parents before children."""
    shards: dict[str, str | None] = {}
    start: dict[str, Any] = {}
    while True:
        description = streams.describe_stream(StreamArn=stream_arn, **start)["StreamDescription"]
        shards |= {each["ShardId"]: each.get("ParentShardId") for each in description["Shards"]}
        if "LastEvaluatedShardId" not in description:
            break
        start = {"ExclusiveStartShardId": description["LastEvaluatedShardId"]}
    ordered: dict[str, None] = {}

    def add(shard: str) -> None:
        parent = shards[shard]
        if parent in shards and parent not in ordered:
            add(str(parent))
        ordered[shard] = None

    for shard in shards:
        add(shard)
    return list(ordered)


class Cursor:
    """A place in a shard, from which its records are read on and on.

    Args:
        streams: A boto3 client of DynamoDB Streams.
        stream_arn: ARN of the stream.
        shard_id: The shard.
        first: Sequence number of the first record; the oldest that the stream still has if left out.
        pause: Called before each read, to leave room for the stream's other readers.
    """

    def __init__(
        self,
        streams: Any,
        stream_arn: str,
        shard_id: str,
        first: str | None = None,
        pause: Callable[[], None] = lambda: None,
    ) -> None:
        position = {"ShardIteratorType": "TRIM_HORIZON"}
        if first is not None:
            position = {"ShardIteratorType": "AT_SEQUENCE_NUMBER", "SequenceNumber": first}
        self._streams = streams
        self._stream_arn = stream_arn
        self._pause = pause
        self._iterator: str | None = streams.get_shard_iterator(StreamArn=stream_arn, ShardId=shard_id, **position).get(
            "ShardIterator"
        )

    def new(self) -> Iterator[Mapping[str, Any]]:
        """Yield the records up to the shard's present end, as Lambda would pass them to a function."""
        empty = 0
        while self._iterator is not None and empty < _EMPTY_PAGES:
            self._pause()
            page = self._streams.get_records(ShardIterator=self._iterator)
            for record in page["Records"]:
                yield from_get_records(record, stream_arn=self._stream_arn, visible=time.time()).event
            # An open shard has no end: some empty pages in a row are taken for it.
            empty = 0 if page["Records"] else empty + 1
            self._iterator = page.get("NextShardIterator")


#: Pages without records after which an open shard is taken to be read to its end.
_EMPTY_PAGES = 5
