"""Reads the records that a document points at from their stream, by sequence number."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from handlers.cdc.failure_document import BatchRange
from local.endpoint.clients import error_code
from local.engine.streams.records import from_get_records
from ops.operator.kinesis_records import read_kinesis_range
from ops.operator.shard_order import parents_first

_GONE = ("TrimmedDataAccessException", "ResourceNotFoundException")


class Forgotten(Exception):
    """The stream has forgotten the records, or some of them."""


class NotReadable(Exception):
    """The records of this source cannot be read by sequence number here."""


def read_range(client: Callable[[str], Any], batch: BatchRange) -> list[Mapping[str, Any]]:
    """Read the records of a range, filtered-out ones included, as Lambda would pass them to a function.

    Args:
        client: Returns a boto3 client of a service.
        batch: The range.

    Raises:
        Forgotten: The stream has forgotten records of the range: a table's stream keeps them for 24 hours, one of
            Kinesis for its retention.
        NotReadable: The range is of neither a DynamoDB nor a Kinesis stream.
    """
    service = batch.stream_arn.split(":")[2] if batch.stream_arn.count(":") > 2 else ""
    forgotten = Forgotten(
        f"the stream has forgotten the records from {batch.first} to {batch.last}: compare the target with the table "
        "instead"
    )
    if service == "kinesis":
        try:
            found = read_kinesis_range(client("kinesis"), batch)
        except ClientError as error:
            if error_code(error) in _GONE:
                raise forgotten from None
            raise
        if found is None:
            raise forgotten
        return found
    if service != "dynamodb":
        raise NotReadable(f"records of {batch.stream_arn} cannot be read again by sequence number")
    streams = client("dynamodbstreams")
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
            raise forgotten from None
        raise
    # Fewer would be taken for the whole range, and what is missing for done.
    if not records or records[-1]["dynamodb"]["SequenceNumber"] != batch.last:
        raise forgotten
    return records


def shards_of(streams: Any, stream_arn: str) -> Sequence[str]:
    """List the shards of a stream, parents before children."""
    shards: dict[str, list[str]] = {}
    start: dict[str, Any] = {}
    while True:
        description = streams.describe_stream(StreamArn=stream_arn, **start)["StreamDescription"]
        for each in description["Shards"]:
            shards[each["ShardId"]] = [each["ParentShardId"]] if "ParentShardId" in each else []
        if "LastEvaluatedShardId" not in description:
            break
        start = {"ExclusiveStartShardId": description["LastEvaluatedShardId"]}
    return parents_first(shards)


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
        self._position = {"ShardIteratorType": "TRIM_HORIZON"}
        if first is not None:
            self._position = {"ShardIteratorType": "AT_SEQUENCE_NUMBER", "SequenceNumber": first}
        self._streams = streams
        self._shard = {"StreamArn": stream_arn, "ShardId": shard_id}
        self._pause = pause
        self._iterator = self._iterator_of_position()

    def new(self) -> Iterator[Mapping[str, Any]]:
        """Yield the records up to the shard's present end, as Lambda would pass them to a function."""
        empty = 0
        while self._iterator is not None and empty < _EMPTY_PAGES:
            self._pause()
            try:
                page = self._streams.get_records(ShardIterator=self._iterator)
            except self._streams.exceptions.ExpiredIteratorException:
                # What was done with the last page took longer than an iterator lives: 15 minutes.
                self._iterator = self._iterator_of_position()
                continue
            for record in page["Records"]:
                yield from_get_records(record, stream_arn=self._shard["StreamArn"], visible=time.time()).event
                number = record["dynamodb"]["SequenceNumber"]
                self._position = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": number}
            # An open shard has no end: some empty pages in a row are taken for it.
            empty = 0 if page["Records"] else empty + 1
            self._iterator = page.get("NextShardIterator")

    def _iterator_of_position(self) -> str | None:
        return self._streams.get_shard_iterator(**self._shard, **self._position).get("ShardIterator")


#: Pages without records after which an open shard is taken to be read to its end.
_EMPTY_PAGES = 5
