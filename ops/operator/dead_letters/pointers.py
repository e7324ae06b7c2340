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
        for record in _records_from(streams, batch.stream_arn, batch.shard_id, batch.first):
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


def read_shard(
    streams: Any, stream_arn: str, shard_id: str, *, pause: Callable[[], None] = lambda: None
) -> Iterator[Mapping[str, Any]]:
    """Yield the records of a shard from the oldest that it still has, up to its present end."""
    return _records_from(streams, stream_arn, shard_id, None, pause)


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


def _records_from(
    streams: Any, stream_arn: str, shard_id: str, first: str | None, pause: Callable[[], None] = lambda: None
) -> Iterator[Mapping[str, Any]]:
    position = {"ShardIteratorType": "TRIM_HORIZON"}
    if first is not None:
        position = {"ShardIteratorType": "AT_SEQUENCE_NUMBER", "SequenceNumber": first}
    iterator = streams.get_shard_iterator(StreamArn=stream_arn, ShardId=shard_id, **position).get("ShardIterator")
    empty = 0
    while iterator is not None:
        pause()
        page = streams.get_records(ShardIterator=iterator)
        for record in page["Records"]:
            yield from_get_records(record, stream_arn=stream_arn, visible=time.time()).event
        # An open shard has no end: a few empty pages in a row are taken for it.
        empty = 0 if page["Records"] else empty + 1
        iterator = page.get("NextShardIterator") if empty < _EMPTY_PAGES else None


#: Pages without records after which an open shard is taken to be read to its end.
_EMPTY_PAGES = 5
