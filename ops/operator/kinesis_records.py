"""Records of a Kinesis stream, read again by sequence number or from a time (docs/aws-semantics.md §4)."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from handlers.cdc.failure_document import BatchRange
from local.engine.streams.records import from_kinesis
from ops.operator.shard_order import parents_first


class KinesisCursor:
    """A place in a shard of a Kinesis stream, from which its records are read on and on.

    Args:
        kinesis: A boto3 client of Kinesis.
        stream_arn: ARN of the stream.
        shard_id: The shard.
        first: Sequence number of the first record, or a time in seconds since 1970.
        pause: Called before each read, to leave room for the stream's other readers.
    """

    def __init__(
        self,
        kinesis: Any,
        stream_arn: str,
        shard_id: str,
        first: str | float,
        pause: Callable[[], None] = lambda: None,
    ) -> None:
        self._position: dict[str, Any] = {"ShardIteratorType": "AT_SEQUENCE_NUMBER", "StartingSequenceNumber": first}
        if not isinstance(first, str):
            self._position = {"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": datetime.fromtimestamp(first, UTC)}
        self._kinesis = kinesis
        self._stream_arn = stream_arn
        self._shard_id = shard_id
        self._pause = pause
        self._iterator = self._iterator_of_position()

    def new(self) -> Iterator[Mapping[str, Any]]:
        """Yield the records up to the shard's present end, as Lambda would pass them to a function."""
        while self._iterator is not None:
            self._pause()
            try:
                page = self._kinesis.get_records(ShardIterator=self._iterator)
            except self._kinesis.exceptions.ExpiredIteratorException:
                # What was done with the last page, of up to 10,000 records, took longer than an iterator lives: 5 min.
                self._iterator = self._iterator_of_position()
                continue
            for record in page["Records"]:
                yield from_kinesis(
                    partition_key=record["PartitionKey"],
                    sequence_number=record["SequenceNumber"],
                    data=base64.b64encode(record["Data"]).decode(),
                    arrived=record["ApproximateArrivalTimestamp"].timestamp(),
                    shard_id=self._shard_id,
                    stream_arn=self._stream_arn,
                    role_arn="",  # the role of the mapping is not known here, and nothing decides by it
                )
                number = record["SequenceNumber"]
                self._position = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": number}
            self._iterator = page.get("NextShardIterator")
            # A page may be empty in the middle of a shard; at its end it is not behind.
            if not page["Records"] and not page.get("MillisBehindLatest"):
                return

    def _iterator_of_position(self) -> str | None:
        where = {"StreamARN": self._stream_arn, "ShardId": self._shard_id}
        return self._kinesis.get_shard_iterator(**where, **self._position).get("ShardIterator")


def read_kinesis_range(kinesis: Any, batch: BatchRange) -> list[Mapping[str, Any]] | None:
    """Read the records of a range, filtered-out ones included; `None` if the stream no longer has all of them.

    Args:
        kinesis: A boto3 client of Kinesis.
        batch: The range.
    """
    records: list[Mapping[str, Any]] = []
    for record in KinesisCursor(kinesis, batch.stream_arn, batch.shard_id, batch.first).new():
        number = record["kinesis"]["sequenceNumber"]
        # Kinesis begins at the oldest record that it still has where the wanted one is older.
        if not records and number != batch.first:
            return None
        if int(number) > int(batch.last):
            break
        records.append(record)
        if number == batch.last:
            break
    return records or None


def kinesis_shards(kinesis: Any, stream_arn: str) -> Sequence[str]:
    """List the shards of a Kinesis stream, parents before children."""
    pages = kinesis.get_paginator("list_shards").paginate(StreamARN=stream_arn)
    return parents_first(
        {
            shard["ShardId"]: [shard[name] for name in ("ParentShardId", "AdjacentParentShardId") if name in shard]
            for page in pages
            for shard in page["Shards"]
        }
    )


def retention_of(kinesis: Any, stream_arn: str) -> int:
    """Return for how many seconds a Kinesis stream keeps its records."""
    summary = kinesis.describe_stream_summary(StreamARN=stream_arn)["StreamDescriptionSummary"]
    return summary["RetentionPeriodHours"] * 3600
